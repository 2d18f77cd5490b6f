"""Errors in Brazilian Portuguese (no bpy).

``MESSAGES``: sentences that this side raises, as templates whose places are filled in the same order. ``REMEDIES``:
what to do about each error. ``MEANINGS``: what each code means, for a backend's sentences, which have no template.
"""

MESSAGES = {
    # The add-on.
    "This copy of the extension has no set-up in it.": "Esta cópia da extensão não traz a instalação.",
    "Install the extension from its zip file.": "Instale a extensão a partir do arquivo zip.",
    "The set-up ended unexpectedly (exit code {}).": "A instalação terminou inesperadamente (código de saída {}).",
    "No Python was found that could run the set-up.": "Não foi encontrado um Python que possa executar a instalação.",
    "The object of '{}' is not in the scene any more.": "O objeto de '{}' não está mais na cena.",
    "The picture that '{}' was made of is not in this file any more.": (
        "A imagem de que '{}' foi feito não está mais neste arquivo."
    ),
    "'{}' is not the identity of a job.": "'{}' não é a identidade de um trabalho.",
    "Choose one in the history.": "Escolha um no histórico.",
    "Choose a picture yourself.": "Escolha você mesmo uma imagem.",
    "The object '{}' that it was made of is not in this file.": (
        "O objeto '{}', de que foi feito, não está neste arquivo."
    ),
    "Select a mesh and enhance that.": "Selecione uma malha e melhore-a.",
    "The size {} is not a length greater than 0.": "O tamanho {} não é um comprimento maior que 0.",
    "'{}' has no faces.": "'{}' não tem faces.",
    "Choose an object with faces that have an area.": "Escolha um objeto com faces que tenham área.",
    "'{}' has {} vertices, faces or corners: too many to be sent.": (
        "'{}' tem {} vértices, faces ou cantos: demais para enviar."
    ),
    "Decimate it first.": "Reduza a malha primeiro (Decimate).",
    "The pixels of '{}' cannot be taken.": "Não é possível ler os pixels de '{}'.",
    "'{}' has {} x {} pixels; at most {} can be sent.": "'{}' tem {} x {} pixels; no máximo {} podem ser enviados.",
    "'{}' is not a mesh.": "'{}' não é uma malha.",
    "Choose a mesh object, or convert it to a mesh.": "Escolha um objeto de malha, ou converta-o em malha.",
    "'{}' is hidden, or not in the current view layer.": "'{}' está oculto, ou não está na camada de visão atual.",
    "Show it in the view layer that is open.": "Mostre-o na camada de visão que está aberta.",
    "The faces of '{}' have several materials with different textures; one texture can be sent.": (
        "As faces de '{}' têm vários materiais com texturas diferentes; só uma textura pode ser enviada."
    ),
    "Bake its colours into one image, or take the textures off.": (
        "Asse as cores em uma única imagem (Bake), ou retire as texturas."
    ),
    "'{}' is not a picture in a format that the backend reads.": (
        "'{}' não é uma imagem em um formato que o backend lê."
    ),
    "'{}' is a folder, not a picture.": "'{}' é uma pasta, não uma imagem.",
    "'{}' has {} MiB; at most {} MiB can be sent.": "'{}' tem {} MiB; no máximo {} MiB podem ser enviados.",
    "There is no picture at '{}'.": "Não há imagem em '{}'.",
    "'{}' could not be read: {}.": "Não foi possível ler '{}': {}.",
    "Blender is not allowed to use the network, so '{}' cannot be reached.": (
        "O Blender não tem permissão para usar a rede, por isso '{}' não pode ser alcançado."
    ),
    "Turn on 'Allow Online Access' in Preferences > System, or start Blender with --online-mode.": (
        "Ative 'Permitir acesso online' em Preferências > Sistema, ou inicie o Blender com --online-mode."
    ),
    "The mesh that came is empty, or has a position that is not a number.": (
        "A malha recebida está vazia, ou tem uma posição que não é um número."
    ),
    "The mesh that came has no triangle with an area.": "A malha recebida não tem nenhum triângulo com área.",
    "The mesh that came has a UV coordinate that is not a number.": (
        "A malha recebida tem uma coordenada UV que não é um número."
    ),
    "The mesh that came names {} that it does not have.": "A malha recebida cita {} que ela não tem.",
    "The prompt has {} characters; at most {} are allowed.": (
        "A descrição tem {} caracteres; no máximo {} são permitidos."
    ),
    "{} faces are not between {} and {}.": "{} faces não estão entre {} e {}.",
    "The texture size {} is none of {}.": "O tamanho de textura {} não é nenhum destes: {}.",
    "{} views were given; a job takes at most {}.": "Foram dadas {} vistas; um trabalho aceita no máximo {}.",
    "Give it one bundle picture, or {} views: front, and then going round by 90 degrees.": (
        "Dê uma imagem de pacote, ou {} vistas: a frente, e depois girando de 90 em 90 graus."
    ),
    "The {} {} is not between 0 and {}.": "{} {} não está entre 0 e {}.",
    "The backend finished the job without sending a mesh.": "O backend terminou o trabalho sem enviar uma malha.",
    "The connection to the backend was lost.": "A conexão com o backend foi perdida.",
    "The connection to {} was lost.": "A conexão com {} foi perdida.",
    "The mesh could not be put into the scene: {}.": "Não foi possível colocar a malha na cena: {}.",
    "'{}' was cancelled.": "'{}' foi cancelado.",
    "'{}' was cancelled when the connection was closed.": "'{}' foi cancelado quando a conexão foi fechada.",
    "The job was given up after {} seconds.": "O trabalho foi abandonado depois de {} segundos.",
    "The job did not end well.": "O trabalho não terminou bem.",
    "The local backend {} (exit code {}){}": "O backend local terminou ({}; código de saída {}){}",
    "The local backend was not started.": "O backend local não foi iniciado.",
    "The local backend was not ready after {} seconds.": "O backend local não ficou pronto em {} segundos.",
    "Its last words: {}": "Suas últimas palavras: {}",
    "It is not set where the local backend is installed.": "Não está definido onde o backend local está instalado.",
    "There is no Python at '{}'.": "Não há Python em '{}'.",
    "The Python environment of '{}' has no Kiss3D backend.": "O ambiente Python de '{}' não tem o backend do Kiss3D.",
    "Install kiss3d there, or set another Python in the add-on's preferences.": (
        "Instale o kiss3d lá, ou defina outro Python nas preferências da extensão."
    ),
    "Set the Python of the environment where kiss3d is installed in the add-on's preferences.": (
        "Defina nas preferências da extensão o Python do ambiente onde o kiss3d está instalado."
    ),
    "Save it as a PNG file and choose the file.": "Salve como um arquivo PNG e escolha o arquivo.",
    "'{}' could not be started: {}.": "Não foi possível iniciar '{}': {}.",
    "'{}' is a folder without a Python environment.": "'{}' é uma pasta sem um ambiente Python.",
    "'{}' cannot be written ({}).": "Não é possível gravar '{}' ({}).",
    "The scene that it was made for is not open.": "A cena para a qual ele foi feito não está aberta.",
    "'{}' is being edited: go back to Object Mode to let the new mesh in.": (
        "'{}' está sendo editado: volte ao Modo Objeto para deixar entrar a nova malha."
    ),
    # What is missing, or in the way of taking it.
    "Choose a picture file first": "Escolha primeiro um arquivo de imagem",
    "Choose an image first": "Escolha primeiro uma imagem",
    "Describe the object in words first": "Descreva primeiro o objeto em palavras",
    "Select a mesh object first": "Selecione primeiro um objeto de malha",
    "Choose all four pictures first": "Escolha primeiro as quatro imagens",
    "A movie or a sequence is not one picture": "Um filme ou uma sequência não é uma imagem",
    "Add a camera to the scene first": "Adicione primeiro uma câmera à cena",
    "Do this in a 3D View": "Faça isto em uma Viewport 3D",
    "Open an image in this editor first": "Abra primeiro uma imagem neste editor",
    "Render the scene first": "Renderize primeiro a cena",
    "Wait until the render has finished": "Espere a renderização terminar",
    "Select objects that are visible in renders first": "Selecione primeiro objetos visíveis em renderizações",
    "The clipboard is out of reach in background mode": "A área de transferência está fora de alcance sem janela",
    "Copy the path of a picture file first: from X11's clipboard Blender reads no pictures": (
        "Copie antes o caminho de um arquivo de imagem: o Blender não lê imagens da área de transferência do X11"
    ),
    "Copy a picture, or the path of a picture file, first": (
        "Copie antes uma imagem, ou o caminho de um arquivo de imagem"
    ),
    "There is no picture in the clipboard.": "Não há imagem na área de transferência.",
    "The clipboard's picture could not be taken.": "Não foi possível pegar a imagem da área de transferência.",
    "There is no picture to take. {}.": "Não há imagem para pegar. {}.",
    "There is no render of the scene '{}'.": "Não há renderização da cena '{}'.",
    "Render it first (F12).": "Renderize primeiro (F12).",
    "A panoramic camera sees no plain picture.": "Uma câmera panorâmica não vê uma imagem plana.",
    "Make the camera perspective or orthographic.": "Torne a câmera perspectiva ou ortográfica.",
    "Nothing of the selected objects is to be seen.": "Nada dos objetos selecionados pode ser visto.",
    "Select others, or turn the view.": "Selecione outros, ou gire a vista.",
    "Select objects that can be rendered.": "Selecione objetos que possam ser renderizados.",
    "The selected objects have no extent.": "Os objetos selecionados não têm extensão.",
    "The selected objects reach behind the eye of this view.": (
        "Os objetos selecionados chegam atrás do olho desta vista."
    ),
    "Move the view back until all of them are seen.": "Afaste a vista até que todos sejam vistos.",
    "No mesh object is selected.": "Nenhum objeto de malha está selecionado.",
    "Select the object that is to be enhanced.": "Selecione o objeto que deve ser melhorado.",
    "'{}' is empty, or scaled to nothing.": "'{}' está vazio, ou escalado a nada.",
    "Give it faces and a scale above 0.": "Dê a ele faces e uma escala acima de 0.",
    "'{}' is linked from another file, where its mesh cannot be replaced.": (
        "'{}' está vinculado de outro arquivo, onde sua malha não pode ser trocada."
    ),
    "Make it local, or let the result come beside it.": "Torne-o local, ou deixe o resultado aparecer ao lado dele.",
    "There is no mesh that the result could be put {}.": "Não há malha para que o resultado fique {}.",
    "Give a mesh with it.": "Dê uma malha junto.",
    "The recipe of this object has been changed and cannot be read.": (
        "A receita deste objeto foi alterada e não pode ser lida."
    ),
    # What the connection itself finds out.
    "'{}' is not an address of a backend.": "'{}' não é o endereço de um backend.",
    "'{}' is neither an address nor a backend that this computer was paired with.": (
        "'{}' não é um endereço nem um backend com o qual este computador foi pareado."
    ),
    "'{}' cannot be connected to ({}).": "Não é possível conectar a '{}' ({}).",
    "Another program, not a Kiss3D backend, listens at {}.": "Outro programa, não um backend do Kiss3D, escuta em {}.",
    "The program at {} speaks ZeroMQ, but not with the encryption of a Kiss3D backend.": (
        "O programa em {} fala ZeroMQ, mas não com a criptografia de um backend do Kiss3D."
    ),
    "Check the port; a Kiss3D backend of an older version has to be updated.": (
        "Confira a porta; um backend do Kiss3D de uma versão antiga precisa ser atualizado."
    ),
    "A backend listens at {}, but it does not take up the conversation: it has another key than the one that this "
    "computer knows of it, or it is too busy.": (
        "Um backend escuta em {}, mas não inicia a conversa: ele tem outra chave que não a conhecida por este "
        "computador, ou está ocupado demais."
    ),
    "If its keys were changed, ask for a new pairing string ('kiss3d pair' on its machine) and pair again; a local "
    "backend has to be started again.": (
        "Se as chaves mudaram, peça um novo código de pareamento ('kiss3d pair' na máquina dele) e pareie de novo; um "
        "backend local precisa ser reiniciado."
    ),
    "Nothing listens at {}.": "Nada escuta em {}.",
    "The name '{}' is not known in this network.": "O nome '{}' não é conhecido nesta rede.",
    "{} cannot be reached ({}).": "{} não pode ser alcançado ({}).",
    "A web server, not a Kiss3D backend, answers at {}.": "Um servidor web, não um backend do Kiss3D, responde em {}.",
    "What came is not a Kiss3D message.": "O que veio não é uma mensagem do Kiss3D.",
    "A message of {} bytes is over the limit of {}.": "Uma mensagem de {} bytes passa do limite de {}.",
    "A {} is not a map.": "{} não é um mapa.",
    "A message has {} frames instead of 2 to {}.": "Uma mensagem tem {} partes em vez de 2 a {}.",
    "An envelope of {} bytes is over the limit of {}.": "Um envelope de {} bytes passa do limite de {}.",
    "A blob of {} bytes is over the limit of {}.": "Um bloco de {} bytes passa do limite de {}.",
    "A text of the message is not Unicode.": "Um texto da mensagem não é Unicode.",
    "Rename the file so that its name has ordinary letters.": "Renomeie o arquivo com letras comuns.",
    "A {} could not be read ({}).": "{} não pôde ser lido ({}).",
    "A {} is not as the protocol says: {}.": "{} não é como o protocolo diz: {}.",
    "The other side speaks version {} of the protocol, this side version {}.": (
        "O outro lado fala a versão {} do protocolo, este lado a versão {}."
    ),
    "The backend at {} does not know the key of this computer (any more).": (
        "O backend em {} não conhece (mais) a chave deste computador."
    ),
    "This is not a pairing string.": "Isto não é um código de pareamento.",
    "This is not a whole pairing string.": "Este código de pareamento está incompleto.",
    "This pairing string says nothing that this version understands.": (
        "Este código de pareamento não diz nada que esta versão entenda."
    ),
    "'{}' cannot be the name of a backend.": "'{}' não pode ser o nome de um backend.",
    "Use letters, digits, '-', '_' and '.'.": "Use letras, dígitos, '-', '_' e '.'.",
    "'{}' is the name of the backend at {} already.": "'{}' já é o nome do backend em {}.",
    "Give this one another name.": "Dê outro nome a este.",
    "The backend does not accept this pairing string (any more).": (
        "O backend não aceita (mais) este código de pareamento."
    ),
    "This computer has no key for the backend at {}.": "Este computador não tem chave para o backend em {}.",
    "This computer was not paired with a backend '{}'.": "Este computador não foi pareado com um backend '{}'.",
    "The key file {} does not describe a backend.": "O arquivo de chave {} não descreve um backend.",
    "The key file {} cannot be read (it is not a JSON object).": (
        "O arquivo de chave {} não pode ser lido (não é um objeto JSON)."
    ),
    "The key file {} belongs to another user.": "O arquivo de chave {} pertence a outro usuário.",
    "The key file {} can be read or changed by other users of this machine.": (
        "O arquivo de chave {} pode ser lido ou alterado por outros usuários desta máquina."
    ),
    "The key file {} does not hold the keys of a backend.": "O arquivo de chave {} não contém as chaves de um backend.",
    "The key file {} cannot be read ({}).": "O arquivo de chave {} não pode ser lido ({}).",
    "The key file {} cannot be written ({}).": "O arquivo de chave {} não pode ser gravado ({}).",
    "There is no recipe '{}'.": "Não existe a receita '{}'.",
    "Choose one of: {}.": "Escolha uma destas: {}.",
    "The recipe '{}' needs {}.": "A receita '{}' precisa de {}.",
    "Add {}, or choose another recipe.": "Acrescente {}, ou escolha outra receita.",
    "The recipe '{}' takes no {}.": "A receita '{}' não aceita {}.",
    "Leave the {} out, or choose another recipe.": "Deixe de fora: {}; ou escolha outra receita.",
    "The recipe '{}' draws nothing from words: there is no prompt to write.": (
        "A receita '{}' não desenha nada a partir de palavras: não há descrição a escrever."
    ),
    "Switch the prompt writer off, or choose another recipe.": (
        "Desligue o redator de descrições, ou escolha outra receita."
    ),
    "The recipe 'views_to_3d' takes one bundle picture or {} views, not {}.": (
        "A receita 'views_to_3d' aceita uma imagem de pacote ou {} vistas, não {}."
    ),
    "The recipe 'views_to_3d' makes no bundles: there is nothing to choose from.": (
        "A receita 'views_to_3d' não faz pacotes: não há o que escolher."
    ),
    "Ask for one bundle, without a choice.": "Peça um pacote, sem escolha.",
}

MEANINGS = {
    "picture.missing": "A imagem não está lá.",
    "picture.is_directory": "Isto é uma pasta, não uma imagem.",
    "picture.unreadable": "A imagem não pode ser lida.",
    "picture.truncated": "O arquivo da imagem está incompleto.",
    "picture.too_small": "A imagem é pequena demais.",
    "picture.too_large": "A imagem é grande demais.",
    "picture.transparent": "A imagem é toda transparente.",
    "picture.no_object": "Nenhum objeto foi encontrado na imagem.",
    "output.unwritable": "O arquivo de saída não pode ser gravado.",
    "batch.invalid": "Este lote não pode ser feito assim.",
    "batch.incomplete": "Uma parte do lote ficou sem resultado.",
    "params.invalid": "Uma configuração não é válida.",
    "params.preset_unknown": "Esta predefinição não existe.",
    "params.preset_unavailable": "O backend não pode usar esta predefinição.",
    "params.recipe_unknown": "Esta receita não existe.",
    "params.recipe_unavailable": "O backend não pode usar esta receita.",
    "connect.address_invalid": "O endereço não é válido.",
    "connect.unreachable": "O backend não pode ser alcançado.",
    "connect.not_a_backend": "Nesse endereço não há um backend do Kiss3D.",
    "connect.lost": "A conexão foi perdida.",
    "connect.key_refused": "A chave deste computador foi recusada.",
    "key.file_unsafe": "Um arquivo de chave não está protegido.",
    "key.file_unusable": "Um arquivo de chave não pode ser usado.",
    "key.missing": "Falta a chave deste backend.",
    "key.server_unknown": "Este backend não foi pareado.",
    "pairing.invalid": "O código de pareamento não é válido.",
    "pairing.refused": "O pareamento foi recusado.",
    "pairing.name_taken": "Esse nome já está em uso.",
    "pairing.client_unknown": "Este cliente não é conhecido.",
    "protocol.version": "As versões da extensão e do backend não combinam.",
    "protocol.malformed": "Uma mensagem veio malformada.",
    "protocol.too_large": "Uma mensagem é grande demais.",
    "protocol.hello_required": "O backend foi reiniciado.",
    "job.unknown": "O backend não conhece este trabalho.",
    "job.conflict": "Já existe outro trabalho com este número.",
    "job.queue_full": "A fila está cheia.",
    "job.too_many": "Já há trabalhos demais seus na fila.",
    "job.no_result": "Este trabalho ainda não tem resultado.",
    "protocol.too_many": "Este computador pediu demais ao backend de uma só vez.",
    "job.not_waiting": "Este trabalho não espera por uma escolha.",
    "job.not_ended": "Este trabalho ainda não terminou.",
    "job.cancelled": "O trabalho foi cancelado.",
    "job.stage_failed": "Uma etapa falhou.",
    "job.out_of_memory": "A memória não foi suficiente.",
    "job.worker_died": "O processo de cálculo terminou de repente.",
    "job.worker_hung": "O processo de cálculo parou de responder.",
    "job.artifact_lost": "Um resultado guardado se perdeu.",
    "job.interrupted": "O backend parou várias vezes durante este trabalho.",
    "backend.disk_full": "O disco do backend está cheio.",
    "backend.start_failed": "O backend não pôde iniciar.",
    "backend.fault": "O backend cometeu um erro.",
    "backend.stopping": "O backend está terminando.",
    "backend.bind_refused": "O backend não escuta em outras máquinas sem chaves.",
    "backend.address_in_use": "O endereço já está em uso.",
    "backend.data_directory": "A pasta de dados não pode ser usada.",
    "backend.part_missing": "Falta uma parte do backend.",
    "backend.memory_too_small": "A memória é pequena demais para esta predefinição.",
    "backend.cluster_unreachable": "O cluster Ray não responde.",
    "backend.no_workers": "Nenhuma máquina do cluster Ray tem uma placa de vídeo livre para trabalhos.",
    "setup.no_python": "Não há um Python adequado neste computador.",
    "setup.folder": "Esta pasta não pode ser usada para o backend.",
    "setup.no_room": "Falta espaço no disco para o backend.",
    "setup.busy": "Outra instalação está em andamento nesta pasta.",
    "setup.step_failed": "A instalação do backend falhou.",
    "setup.check_failed": "O backend foi instalado, mas não funciona.",
    "setup.cancelled": "A instalação foi cancelada.",
    "mesh.missing": "A malha não está lá.",
    "mesh.unreadable": "A malha não pode ser lida.",
    "mesh.too_large": "A malha é grande demais.",
    "mesh.empty": "A malha está vazia.",
    "mesh.bundle_invalid": "A imagem de pacote não é válida.",
    "mesh.view_empty": "Uma das vistas está vazia.",
    "mesh.views_disagree": "As vistas não mostram o mesmo objeto.",
    "model.missing": "Faltam arquivos de modelo.",
    "model.corrupt": "Um arquivo de modelo está danificado.",
    "model.keys": "Um arquivo de modelo não é o esperado.",
    "model.gated": "Um modelo exige que sua licença seja aceita.",
    "model.not_found": "Um modelo não foi encontrado.",
    "model.download_failed": "O download falhou.",
    "model.disk_full": "O disco está cheio.",
    "model.offline": "O backend está sem rede.",
    "model.catalogue_invalid": "O catálogo de modelos não é válido.",
}

REMEDIES = {
    "Give a folder of pictures, or a .csv or .jsonl file, and an output folder of its own.": (
        "Dê uma pasta de imagens, ou um arquivo .csv ou .jsonl, e uma pasta de saída própria."
    ),
    "The manifest names each; mend those and run it again with --resume --retry-failed.": (
        "O manifesto diz quais; corrija-os e repita com --resume --retry-failed."
    ),
    "Close programs that are connected to this backend, then try again.": (
        "Feche programas que estão conectados a este backend e tente de novo."
    ),
    "Wait until the job has made a mesh, or choose another job.": (
        "Espere até que o trabalho tenha feito uma malha, ou escolha outro trabalho."
    ),
    "Wait until some of your jobs have finished, or cancel some.": (
        "Espere até que alguns dos seus trabalhos terminem, ou cancele alguns."
    ),
    "Free disk space on the backend's machine, or delete jobs there, then try again.": (
        "Libere espaço no disco da máquina do backend, ou apague trabalhos lá, e tente de novo."
    ),
    "This job may be what stops the backend: try a lighter preset or another picture first.": (
        "Este trabalho pode ser o que para o backend: tente antes uma predefinição mais leve ou outra imagem."
    ),
    "Check the path, or choose the picture again.": "Confira o caminho, ou escolha a imagem de novo.",
    "Choose one picture inside the folder.": "Escolha uma imagem dentro da pasta.",
    "Save it as PNG, JPEG or WebP in a paint program and try again.": (
        "Salve como PNG, JPEG ou WebP em um programa de pintura e tente de novo."
    ),
    "Copy or download the file again, or save it anew.": "Copie ou baixe o arquivo de novo, ou salve-o outra vez.",
    "Use a picture of at least 32 x 32 pixels; 512 x 512 or more gives good results.": (
        "Use uma imagem de pelo menos 32 x 32 pixels; 512 x 512 ou mais dá bons resultados."
    ),
    "Scale the picture down, for example to 4000 x 4000 pixels.": (
        "Reduza a imagem, por exemplo para 4000 x 4000 pixels."
    ),
    "Make the object opaque, or use a picture without transparency.": (
        "Torne o objeto opaco, ou use uma imagem sem transparência."
    ),
    "Use a picture with one clear object, on a plain or a transparent background.": (
        "Use uma imagem com um único objeto nítido, sobre fundo liso ou transparente."
    ),
    "Choose another file or folder that you may write to.": "Escolha outro arquivo ou pasta em que você possa gravar.",
    "Correct the setting and try again.": "Corrija a configuração e tente de novo.",
    "Choose one of the presets that the backend offers.": "Escolha uma das predefinições que o backend oferece.",
    "Choose the draft preset, which runs on every machine.": (
        "Escolha a predefinição Rascunho, que funciona em qualquer máquina."
    ),
    "Choose one of the recipes that the backend knows.": "Escolha uma das receitas que o backend conhece.",
    "Choose the recipe 'image_to_3d' with the draft preset, which runs on every machine.": (
        "Escolha a receita 'image_to_3d' com a predefinição Rascunho, que funciona em qualquer máquina."
    ),
    "Write it as tcp://HOST:PORT, for example tcp://127.0.0.1:47800.": (
        "Escreva como tcp://MÁQUINA:PORTA, por exemplo tcp://127.0.0.1:47800."
    ),
    "Start the backend with 'kiss3d serve', and check the address and the firewall.": (
        "Inicie o backend com 'kiss3d serve', e confira o endereço e o firewall."
    ),
    "Check the port: 'kiss3d serve' prints the address to use.": (
        "Confira a porta: 'kiss3d serve' mostra o endereço a usar."
    ),
    "The job goes on in the backend: connect again to get its result.": (
        "O trabalho continua no backend: conecte de novo para receber o resultado."
    ),
    "Ask for a new pairing string ('kiss3d pair' on the backend's machine), and pair again.": (
        "Peça um novo código de pareamento ('kiss3d pair' na máquina do backend) e pareie de novo."
    ),
    "Make it yours alone (chmod 600). If others may have read it, run 'kiss3d keys rotate'.": (
        "Deixe-o só seu (chmod 600). Se outros podem tê-lo lido, execute 'kiss3d keys rotate'."
    ),
    "Check the folder's permissions; move a broken file away, and pair this computer again.": (
        "Confira as permissões da pasta; mova o arquivo danificado e pareie este computador de novo."
    ),
    "Run 'kiss3d pair NAME' on the backend's machine; paste what it prints into the add-on's preferences, or give it "
    "to 'kiss3d connect' here.": (
        "Execute 'kiss3d pair NOME' na máquina do backend; cole o que ele mostra nas preferências da extensão, ou "
        "passe-o a 'kiss3d connect' aqui."
    ),
    "List those that this computer knows with 'kiss3d servers list'.": (
        "Liste os que este computador conhece com 'kiss3d servers list'."
    ),
    "Copy the whole string that 'kiss3d pair' printed, from 'kiss3d1-' to its end.": (
        "Copie o código inteiro que 'kiss3d pair' mostrou, de 'kiss3d1-' até o fim."
    ),
    "A pairing string is good for one use and some minutes: ask for a new one ('kiss3d pair').": (
        "Um código de pareamento vale para um uso e alguns minutos: peça um novo ('kiss3d pair')."
    ),
    "Choose another name; or add --renew to give that client a new key: it keeps its jobs.": (
        "Escolha outro nome; ou acrescente --renew para dar a esse cliente uma chave nova: ele mantém seus trabalhos."
    ),
    "List the clients with 'kiss3d clients list'.": "Liste os clientes com 'kiss3d clients list'.",
    "Update the add-on and the backend to the same version.": ("Atualize a extensão e o backend para a mesma versão."),
    "Use a smaller picture or mesh.": "Use uma imagem ou malha menor.",
    "Connect again.": "Conecte de novo.",
    "List the jobs to see which ones the backend knows.": "Liste os trabalhos para ver quais o backend conhece.",
    "Give every job an id of its own.": "Dê a cada trabalho um número próprio.",
    "Wait until some jobs have finished, or cancel some.": "Espere alguns trabalhos terminarem, ou cancele alguns.",
    "Choose while the job shows its bundles, and only once.": (
        "Escolha enquanto o trabalho mostra seus pacotes, e só uma vez."
    ),
    "Wait for its end, or cancel it.": "Espere o fim, ou cancele.",
    "Try again; if it fails again, report it with the log of the backend.": (
        "Tente de novo; se falhar outra vez, relate o problema com a saída do backend."
    ),
    "Close other programs or choose a lighter preset, then try again.": (
        "Feche outros programas ou escolha uma predefinição mais leve, e tente de novo."
    ),
    "The worker has been started again: try once more.": "O processo foi reiniciado: tente mais uma vez.",
    "Generate it again.": "Gere de novo.",
    "Run 'kiss3d doctor' in the backend's environment to see what is missing.": (
        "Execute 'kiss3d doctor' no ambiente do backend para ver o que falta."
    ),
    "Its log says what. Please report it with the lines around it.": (
        "O log dele diz qual. Por favor, relate-o com as linhas ao redor."
    ),
    "Start the backend again.": "Inicie o backend de novo.",
    "Pair a client first ('kiss3d pair NAME'), or bind to 127.0.0.1.": (
        "Pareie um cliente primeiro ('kiss3d pair NOME'), ou use 127.0.0.1."
    ),
    "Stop the other program, or choose another port with --bind.": (
        "Pare o outro programa, ou escolha outra porta com --bind."
    ),
    "Install Python 3.12 from python.org (Debian and Ubuntu: python3 and python3-venv), or uv, and try again.": (
        "Instale o Python 3.12 de python.org (Debian e Ubuntu: python3 e python3-venv), ou o uv, e tente de novo."
    ),
    "Choose a folder that is empty or does not exist yet, and that you may write to.": (
        "Escolha uma pasta vazia ou que ainda não exista, e em que você possa gravar."
    ),
    "Free disk space, or choose a folder on a larger disk.": (
        "Libere espaço no disco, ou escolha uma pasta em um disco maior."
    ),
    "Wait until the other set-up has ended, or cancel it.": "Espere a outra instalação terminar, ou cancele-a.",
    "Its log says why. Check the network and pip's settings, and try again: it goes on where it stopped.": (
        "O registro diz por quê. Confira a rede e as configurações do pip, e tente de novo: ela continua de onde parou."
    ),
    "Run 'kiss3d doctor' in the environment to see what is wrong, or remove it and set it up again.": (
        "Execute 'kiss3d doctor' no ambiente para ver o que está errado, ou remova-o e instale de novo."
    ),
    "Start the set-up again: it goes on where it stopped.": (
        "Inicie a instalação de novo: ela continua de onde parou."
    ),
    "Choose another folder with --data-dir.": "Escolha outra pasta com --data-dir.",
    "Check the path of the mesh.": "Confira o caminho da malha.",
    "Export it again as GLB, OBJ or PLY, without compression.": (
        "Exporte de novo como GLB, OBJ ou PLY, sem compressão."
    ),
    "Decimate it and scale its textures down, then export it again.": (
        "Reduza a malha e as texturas, e exporte de novo."
    ),
    "Export an object with faces that have an area.": "Exporte um objeto com faces que tenham área.",
    "Use a picture of 2048 x 1024 pixels: four views on white above, their normals below.": (
        "Use uma imagem de 2048 x 1024 pixels: quatro vistas sobre branco em cima, suas normais embaixo."
    ),
    "Make the bundle again, with the object in all four views.": (
        "Faça o pacote de novo, com o objeto nas quatro vistas."
    ),
    "Make the bundle again, with the same object in all four views.": (
        "Faça o pacote de novo, com o mesmo objeto nas quatro vistas."
    ),
    "Install it into the backend's environment: pip install 'kiss3d[gpu]'.": (
        "Instale no ambiente do backend: pip install 'kiss3d[gpu]'."
    ),
    "Start Ray on this machine ('ray start', with --head or --address), and check --ray-address.": (
        "Inicie o Ray nesta máquina ('ray start', com --head ou --address), e confira --ray-address."
    ),
    "Start Ray on a machine that has one; one without may say 'ray start --num-gpus 1'.": (
        "Inicie o Ray em uma máquina que tenha uma; uma sem placa pode usar 'ray start --num-gpus 1'."
    ),
    "Choose a lighter preset, raise --vram-budget, or close other programs that use the graphics card.": (
        "Escolha uma predefinição mais leve, aumente --vram-budget, ou feche outros programas que usam a "
        "placa de vídeo."
    ),
    "Get it with 'kiss3d models pull', or point its catalogue entry to a local file.": (
        "Baixe com 'kiss3d models pull', ou aponte a entrada do catálogo para um arquivo local."
    ),
    "Delete the file and get it again with 'kiss3d models pull'.": (
        "Apague o arquivo e baixe de novo com 'kiss3d models pull'."
    ),
    "Use the file that the catalogue names; 'kiss3d models list' shows where it comes from.": (
        "Use o arquivo que o catálogo cita; 'kiss3d models list' mostra de onde ele vem."
    ),
    "Accept the licence on the model's page, then log in with 'hf auth login' and try again.": (
        "Aceite a licença na página do modelo, entre com 'hf auth login' e tente de novo."
    ),
    "Check the repository, revision and file of the entry in the catalogue.": (
        "Confira o repositório, a revisão e o arquivo da entrada no catálogo."
    ),
    "Check the network and run 'kiss3d models pull' again: it goes on where it stopped.": (
        "Confira a rede e execute 'kiss3d models pull' de novo: ele continua de onde parou."
    ),
    "Free disk space, or set HF_HOME to a folder on a larger disk, and try again.": (
        "Libere espaço no disco, ou aponte HF_HOME para uma pasta em um disco maior, e tente de novo."
    ),
    "Unset HF_HUB_OFFLINE, or copy the file here and use 'kiss3d models import'.": (
        "Desative HF_HUB_OFFLINE, ou copie o arquivo para cá e use 'kiss3d models import'."
    ),
    "Correct the file, or delete it to use the catalogue that comes with Kiss3D.": (
        "Corrija o arquivo, ou apague-o para usar o catálogo que vem com o Kiss3D."
    ),
}
