"""What only the command line raises, in Brazilian Portuguese (no bpy): templates as in :mod:`pt_br_errors`."""

MESSAGES = {
    # What was asked for.
    "'{}' is neither a .blend nor a .glb file.": "'{}' não é um arquivo .blend nem .glb.",
    "Give it one of these endings.": "Dê a ele uma destas extensões.",
    "'{}' is one file for all: --format is for a folder.": "'{}' é um só arquivo para todos: --format é para pastas.",
    "Leave one out.": "Deixe um de fora.",
    "Leave one of them out.": "Deixe um deles de fora.",
    "A .glb holds no assets.": "Um .glb não contém assets.",
    "A .glb holds no levels of detail.": "Um .glb não contém níveis de detalhe.",
    "Write a .blend, or a folder with --format blend.": "Grave um .blend, ou uma pasta com --format blend.",
    "A grid cannot have {} columns.": "Uma grade não pode ter {} colunas.",
    "{} jobs at once are not between 1 and {}.": "{} trabalhos de uma vez não estão entre 1 e {}.",
    "{} levels of detail are not between 0 and {}.": "{} níveis de detalhe não estão entre 0 e {}.",
    "Jobs are chosen by their ids, or by --since and --last.": (
        "Os trabalhos são escolhidos por suas identidades, ou por --since e --last."
    ),
    "{} bundles are not between 1 and {}.": "{} bundles não estão entre 1 e {}.",
    "The preset 'draft' draws no bundles: there is nothing to choose from.": (
        "A predefinição 'draft' não desenha bundles: não há entre o que escolher."
    ),
    "Choose another preset, or ask for one bundle.": "Escolha outra predefinição, ou peça um só bundle.",
    "There is no bundle '{}' to pick.": "Não há um bundle '{}' para escolher.",
    "Say 'all', or a number from 1 to {}.": "Diga 'all', ou um número de 1 a {}.",
    "Say a number from 1 to {}.": "Diga um número de 1 a {}.",
    "There are {} bundles, and no one picks one.": "Há {} bundles, e ninguém escolhe um.",
    "Say which with 'pick'.": "Diga qual com 'pick'.",
    "The job '{}' does not wait for a choice.": "O trabalho '{}' não espera por uma escolha.",
    "The newest {} jobs are not between 1 and {}.": "Os {} trabalhos mais novos não estão entre 1 e {}.",
    "'{}' is no date.": "'{}' não é uma data.",
    "Write it as 2026-11-01 or 2026-11-01T18:30.": "Escreva como 2026-11-01 ou 2026-11-01T18:30.",
    "'{}' cannot be a catalogue.": "'{}' não pode ser um catálogo.",
    "Write it as Props/Chairs, without colons.": "Escreva como Objetos/Cadeiras, sem dois-pontos.",
    "The command would replace the file that is open in this window.": (
        "O comando substituiria o arquivo que está aberto nesta janela."
    ),
    "Run it as 'blender --command kiss3d', or in a script of 'blender --background'.": (
        "Execute como 'blender --command kiss3d', ou em um script de 'blender --background'."
    ),
    # Files.
    "'{}' cannot be opened, so nothing can be added to it.": (
        "Não é possível abrir '{}', então nada pode ser acrescentado a ele."
    ),
    "'{}' cannot be written.": "Não é possível gravar '{}'.",
    "The folder '{}' cannot be made ({}).": "Não é possível criar a pasta '{}' ({}).",
    "There is no mesh at '{}'.": "Não há malha em '{}'.",
    "There is no mesh in '{}'.": "Não há nenhuma malha dentro de '{}'.",
    "'{}' is neither a GLB, an OBJ nor a PLY file.": "'{}' não é um arquivo GLB, OBJ nem PLY.",
    # Backends and their jobs.
    "The backend has no preset '{}'.": "O backend não tem a predefinição '{}'.",
    "The backend cannot run the preset '{}': {}": "O backend não pode executar a predefinição '{}': {}",
    "The backend finished the job without a report.": "O backend terminou o trabalho sem um relatório.",
    "The backend has {} whose id begins with '{}'.": "O backend tem {} com identidade que começa com '{}'.",
    "The job '{}' is not finished, but {}.": "O trabalho '{}' não está terminado, e sim {}.",
    "The job was cancelled.": "O trabalho foi cancelado.",
    "'{}' is there already, and is not of this batch.": "'{}' já está lá e não é deste lote.",
    # Batches.
    "Run the same line again: what is there already is not imported twice.": (
        "Execute a mesma linha de novo: o que já está lá não é importado duas vezes."
    ),
    "'{}' has a batch already.": "'{}' já tem um lote.",
    "Add --resume to go on with it, or choose another output.": (
        "Acrescente --resume para continuá-lo, ou escolha outra saída."
    ),
    "{} of {} have no result, first '{}': {}": "{} de {} não têm resultado, primeiro '{}': {}",
    "Another batch writes to '{}' now.": "Outro lote está gravando em '{}' agora.",
    "Wait for its end, or choose another folder.": "Espere o fim dele, ou escolha outra pasta.",
    "Line {} of '{}' is not of a batch.": "A linha {} de '{}' não é de um lote.",
    "Choose another output folder.": "Escolha outra pasta de saída.",
    # Rows of a batch.
    "There is no picture in '{}'.": "Não há nenhuma imagem dentro de '{}'.",
    "Choose another folder{}.": "Escolha outra pasta{}.",
    "'{}' is neither a folder nor a .csv or .jsonl file.": "'{}' não é uma pasta nem um arquivo .csv ou .jsonl.",
    "'{}' has no rows.": "'{}' não tem linhas.",
    "'{}' has more than one row named '{}'.": "'{}' tem mais de uma linha com o nome '{}'.",
    "Give each a name of its own in column 'name'.": "Dê a cada uma um nome próprio na coluna 'name'.",
    "'{}' is larger than {} MiB.": "'{}' é maior que {} MiB.",
    "Divide it.": "Divida-o.",
    "There is no file or folder '{}'.": "Não há arquivo nem pasta '{}'.",
    "Check the path.": "Confira o caminho.",
    "'{}' is not in UTF-8.": "'{}' não está em UTF-8.",
    "Save it again as 'CSV UTF-8'.": "Salve de novo como 'CSV UTF-8'.",
    "'{}' cannot be read ({}).": "Não é possível ler '{}' ({}).",
    "Check that you may read it.": "Confira se você pode lê-lo.",
    "'{}' is no column of a batch.": "'{}' não é uma coluna de um lote.",
    "Columns are {}.": "As colunas são {}.",
    "Line {} has more values than the first line has names.": "A linha {} tem mais valores que a primeira tem nomes.",
    "Line {} is no JSON: {}.": "A linha {} não é JSON: {}.",
    "Line {} is no JSON object.": "A linha {} não é um objeto JSON.",
    "Write one object on each line.": "Escreva um objeto em cada linha.",
    "Line {}: '{}' is not known.": "Linha {}: '{}' não é conhecido.",
    "Keys are {}.": "As chaves são {}.",
    "{}: {} must be a text.": "{}: {} deve ser um texto.",
    "{} has neither a picture nor a prompt.": "{} não tem imagem nem descrição.",
    "{} has a prompt only, so its result needs a name.": "{} só tem descrição, então seu resultado precisa de um nome.",
    "Fill the column 'name'.": "Preencha a coluna 'name'.",
    "{}: the seed must be a number from 0 to {}.": "{}: a semente deve ser um número de 0 a {}.",
    "{}: the preset or the prompt is too long.": "{}: a predefinição ou a descrição é longa demais.",
    "{}: '{}' cannot be the name of a file in the output folder.": (
        "{}: '{}' não pode ser o nome de um arquivo na pasta de saída."
    ),
}
