"""The words of panels, buttons and tooltips in Brazilian Portuguese, by their English (no bpy)."""

WORDS = {
    # The main panel and its settings.
    "Kiss3D": "Kiss3D",
    "From": "A partir de",
    "What the object is made of": "De que o objeto é feito",
    "Picture File": "Arquivo de imagem",
    "A picture file on this computer": "Um arquivo de imagem neste computador",
    "Image": "Imagem",
    "An image that is in this .blend file, with its painted changes": (
        "Uma imagem que está neste arquivo .blend, com o que foi pintado nela"
    ),
    "Clipboard": "Área de transferência",
    "The picture in the clipboard, or the file whose path is in it": (
        "A imagem na área de transferência, ou o arquivo cujo caminho está nela"
    ),
    "Render Result": "Resultado da renderização",
    "The last render of this scene": "A última renderização desta cena",
    "Viewport Snapshot": "Foto da viewport",
    "A picture of the selected objects alone, on white, as this viewport shows them": (
        "Uma imagem só dos objetos selecionados, sobre branco, como esta viewport os mostra"
    ),
    "Camera Snapshot": "Foto da câmera",
    "A picture of the selected objects alone, on white, as the scene's camera sees them": (
        "Uma imagem só dos objetos selecionados, sobre branco, como a câmera da cena os vê"
    ),
    "Text": "Texto",
    "A description in words": "Uma descrição em palavras",
    "Selected Mesh": "Malha selecionada",
    "The active mesh object as it is seen, to be enhanced or restyled": (
        "O objeto de malha ativo como é visto, para ser melhorado ou ganhar outro estilo"
    ),
    "Four Pictures": "Quatro imagens",
    "Four pictures of one object: front, right, back and left": (
        "Quatro imagens de um objeto: frente, direita, costas e esquerda"
    ),
    "Bundle": "Pacote",
    "A finished bundle picture: four views, and below them their normals": (
        "Uma imagem de pacote pronta: quatro vistas, e abaixo delas suas normais"
    ),
    "File": "Arquivo",
    "The picture of one object, or the bundle: PNG, JPEG, WebP, TIFF, BMP or GIF": (
        "A imagem de um objeto, ou o pacote: PNG, JPEG, WebP, TIFF, BMP ou GIF"
    ),
    "The picture of one object, with its painted changes": "A imagem de um objeto, com o que foi pintado nela",
    "Front": "Frente",
    "The picture of the object from the front (-Y)": "A imagem do objeto de frente (-Y)",
    "Right": "Direita",
    "The picture of the object from +X, the right of the front view": (
        "A imagem do objeto a partir de +X, a direita da vista frontal"
    ),
    "Back": "Costas",
    "The picture of the object from behind (+Y)": "A imagem do objeto por trás (+Y)",
    "Left": "Esquerda",
    "The picture of the object from -X, the left of the front view": (
        "A imagem do objeto a partir de -X, a esquerda da vista frontal"
    ),
    "What the object is, in words. Needed where there is no picture and no mesh, else left to you": (
        "O que é o objeto, em palavras. Necessário onde não há imagem nem malha; nos outros casos, opcional"
    ),
    "No mesh is selected": "Nenhuma malha está selecionada",
    "Preset": "Predefinição",
    "How much work is put into the mesh": "Quanto trabalho é dedicado à malha",
    "Draft": "Rascunho",
    "Inflates the silhouette in seconds; needs no GPU and no model files": (
        "Infla a silhueta em segundos; não precisa de GPU nem de arquivos de modelo"
    ),
    "Fast": "Rápida",
    "FLUX.1-schnell in fp8, 4 steps": "FLUX.1-schnell em fp8, 4 passos",
    "Balanced": "Equilibrada",
    "FLUX.1-dev in fp8, 8 steps": "FLUX.1-dev em fp8, 8 passos",
    "Quality": "Qualidade",
    "FLUX.1-dev in fp8 with ControlNet and Redux, 20 steps": "FLUX.1-dev em fp8 com ControlNet e Redux, 20 passos",
    "Seed": "Semente",
    "Another seed gives another variation; the same one gives the same mesh again": (
        "Outra semente dá outra variação; a mesma dá de novo a mesma malha"
    ),
    "Size": "Tamanho",
    "Length of the longest side of the new object": "Comprimento do lado mais longo do novo objeto",
    "Choose from": "Escolher entre",
    "How many bundles are drawn for you to choose from before the object is made of one": (
        "Quantos pacotes são desenhados para você escolher antes que o objeto seja feito de um deles"
    ),
    "Generate 3D": "Gerar 3D",
    "Make a textured object from what is chosen above. It appears first coarse, then finished": (
        "Faz um objeto texturizado a partir do que está escolhido acima. Ele aparece primeiro grosseiro, depois pronto"
    ),
    "Generate 3D from Clipboard": "Gerar 3D da área de transferência",
    "Make a textured object from the picture in the clipboard, or from the file whose path is in it": (
        "Faz um objeto texturizado a partir da imagem na área de transferência, ou do arquivo cujo caminho está nela"
    ),
    "Generate 3D from Render": "Gerar 3D da renderização",
    "Make a textured object from the last render of this scene": (
        "Faz um objeto texturizado a partir da última renderização desta cena"
    ),
    "Generate 3D from Viewport": "Gerar 3D da viewport",
    "Make a textured object from a picture of the selected objects, as this viewport shows them": (
        "Faz um objeto texturizado a partir de uma imagem dos objetos selecionados, como esta viewport os mostra"
    ),
    "Generate 3D from Camera": "Gerar 3D da câmera",
    "Make a textured object from a picture of the selected objects, as the scene's camera sees them": (
        "Faz um objeto texturizado a partir de uma imagem dos objetos selecionados, como a câmera da cena os vê"
    ),
    "Generate 3D from Image": "Gerar 3D da imagem",
    "Make a textured object from the image in this editor": (
        "Faz um objeto texturizado a partir da imagem neste editor"
    ),
    "Generate 3D from Pictures": "Gerar 3D de imagens",
    "Make a textured object from each of the pictures": "Faz um objeto texturizado de cada uma das imagens",
    "Generate 3D with Kiss3D": "Gerar 3D com Kiss3D",
    "Pictures as 3D Objects (Kiss3D)": "Imagens como objetos 3D (Kiss3D)",
    "Enhance with Kiss3D": "Melhorar com Kiss3D",
    "Make a finer or another object of the selected mesh, guided by words": (
        "Faz da malha selecionada um objeto mais fino, ou outro, guiado por palavras"
    ),
    "What the object is to become; empty to let the backend describe the mesh": (
        "O que o objeto deve se tornar; vazio para que o backend descreva a malha"
    ),
    "{preset} (not available)": "{preset} (não disponível)",
    "Use This Preset": "Usar esta predefinição",
    "Use the Preset {preset}": "Usar a predefinição {preset}",
    "Choose this preset, which the backend can run": "Escolhe esta predefinição, que o backend pode usar",
    "The backend cannot run this preset: {reason}": "O backend não pode usar esta predefinição: {reason}",
    "Dismiss": "Dispensar",
    "Take this message away": "Retira esta mensagem",
    # The result.
    "Result": "Resultado",
    "Place": "Lugar",
    "Where the result comes": "Onde o resultado aparece",
    "Where the result comes that is made of the selected mesh": (
        "Onde aparece o resultado que é feito da malha selecionada"
    ),
    "Where the new object comes. One that is made of a selected mesh comes beside it, or in its place": (
        "Onde aparece o novo objeto. O que é feito de uma malha selecionada aparece ao lado dela, ou em seu lugar"
    ),
    "3D Cursor": "Cursor 3D",
    "The object stands on the 3D cursor": "O objeto fica sobre o cursor 3D",
    "View Center": "Centro da vista",
    "The object stands where this viewport looks at": "O objeto fica onde esta viewport está olhando",
    "Beside": "Ao lado",
    "A new object to the right of the selected one, turned and scaled as it is": (
        "Um novo objeto à direita do selecionado, girado e escalado como ele"
    ),
    "In Place": "No lugar",
    "The selected object gets the new mesh, when it is finished": (
        "O objeto selecionado recebe a nova malha, quando ela estiver pronta"
    ),
    "The selected object gets the new mesh, when it is finished. It keeps its transform, name and collections; its "
    "modifiers are applied": (
        "O objeto selecionado recebe a nova malha, quando ela estiver pronta. Ele mantém sua transformação, nome e "
        "coleções; seus modificadores são aplicados"
    ),
    "Limit Faces": "Limitar faces",
    "Faces": "Faces",
    "Have the mesh decimated before its texture is made; else the preset decides": (
        "Faz a malha ser reduzida antes que sua textura seja feita; senão a predefinição decide"
    ),
    "How many triangles the result has at most": "Quantos triângulos o resultado tem no máximo",
    "As the Preset": "Como a predefinição",
    "The preset decides": "A predefinição decide",
    "Width and height of the texture and the normal map": "Largura e altura da textura e do mapa de normais",
    "Levels of Detail": "Níveis de detalhe",
    "Objects with a half, a quarter ... of the faces, in a hidden collection beside the result": (
        "Objetos com metade, um quarto... das faces, em uma coleção oculta ao lado do resultado"
    ),
    "Mark as Asset": "Marcar como ativo",
    "Show the result in the Asset Browser, with the picture that it was made of": (
        "Mostra o resultado no navegador de ativos, com a imagem de que ele foi feito"
    ),
    "Tags": "Etiquetas",
    "Tags of the asset, with commas between them": "Etiquetas do ativo, separadas por vírgulas",
    # The jobs.
    "Jobs": "Trabalhos",
    "Job": "Trabalho",
    "The job whose details are shown": "O trabalho cujos detalhes são mostrados",
    "Nothing has been made yet": "Nada foi feito ainda",
    "ready": "pronto",
    "failed": "falhou",
    "cancelled": "cancelado",
    "stopping": "parando",
    "waits for the backend": "espera pelo backend",
    "next in line": "próximo da fila",
    "{number} before it": "{number} antes dele",
    "choose a bundle": "escolha um pacote",
    "coarse mesh": "malha grosseira",
    "refining": "refinando",
    "running": "em andamento",
    "sent": "enviado",
    "{time} so far": "{time} até agora",
    "about {time} left": "faltam cerca de {time}",
    "Pictures": "Imagens",
    "Choose the bundle that the object is made of.": "Escolha o pacote de que o objeto é feito.",
    "Use This": "Usar este",
    "Use This (Seed {seed})": "Usar este (semente {seed})",
    "Make the object of this bundle; the others are left": "Faz o objeto deste pacote; os outros são deixados",
    "This job does not wait for a choice now": "Este trabalho não espera por uma escolha agora",
    "Cancel": "Cancelar",
    "Discard": "Descartar",
    "Stop this job. What it has put into the scene is taken out again": (
        "Para este trabalho. O que ele pôs na cena é retirado"
    ),
    "Take this job out of the list. Its object stays in the scene": (
        "Tira este trabalho da lista. Seu objeto fica na cena"
    ),
    "Select Object": "Selecionar objeto",
    "Select the object that this job made": "Seleciona o objeto que este trabalho fez",
    "Go back to Object Mode first": "Volte primeiro ao Modo Objeto",
    "The object is not in the scene any more": "O objeto não está mais na cena",
    "Show Report": "Mostrar relatório",
    "Show in the browser what this job did, how long each step took, and what would make the next one faster": (
        "Mostra no navegador o que este trabalho fez, quanto durou cada etapa, e o que tornaria o próximo mais rápido"
    ),
    "The backend of this job is not connected": "O backend deste trabalho não está conectado",
    "Place in This Scene": "Colocar nesta cena",
    "Put the result into this scene, as the scene that it was made for is not open": (
        "Põe o resultado nesta cena, pois a cena para a qual ele foi feito não está aberta"
    ),
    "This job is not in the list any more": "Este trabalho não está mais na lista",
    "Retry": "Tentar de novo",
    "Make this job again, with the same inputs and settings. What the backend has kept of it is not made again": (
        "Faz este trabalho de novo, com as mesmas entradas e configurações. O que o backend guardou não é refeito"
    ),
    "Only a job that failed or was cancelled can be retried": (
        "Só um trabalho que falhou ou foi cancelado pode ser tentado de novo"
    ),
    "New Variation": "Nova variação",
    "Make another object of the same inputs, with the next seed. It comes beside this one": (
        "Faz outro objeto das mesmas entradas, com a próxima semente. Ele aparece ao lado deste"
    ),
    "From Here...": "A partir daqui...",
    "Keep the imagined sides of this object and draw another bundle of them, with another seed or prompt. It comes "
    "beside this one": (
        "Mantém os lados imaginados deste objeto e desenha outro pacote deles, com outra semente ou descrição. O novo "
        "objeto aparece ao lado deste"
    ),
    "Prompt": "Descrição",
    "What the object is, in words. Empty: the backend describes the picture itself": (
        "O que é o objeto, em palavras. Vazio: o próprio backend descreve a imagem"
    ),
    "Bundle Seed": "Semente do pacote",
    "Another seed draws another bundle of the same imagined sides": (
        "Outra semente desenha outro pacote dos mesmos lados imaginados"
    ),
    "The Draft preset draws no bundle that could be drawn again": (
        "A predefinição Rascunho não desenha um pacote que possa ser desenhado de novo"
    ),
    # Model files.
    "Model Files": "Arquivos de modelo",
    "The preset {preset} lacks {size} of model files:": "À predefinição {preset} faltam {size} de arquivos de modelo:",
    "Starting": "Começando",
    "Download": "Baixar",
    "Let the backend download the model files that the chosen preset lacks. Blender stays free meanwhile": (
        "Faz o backend baixar os arquivos de modelo que faltam à predefinição escolhida. O Blender continua livre"
    ),
    "A download runs already": "Um download já está em andamento",
    "Stop Download": "Parar o download",
    "Stop the download. What has come stays, and the next one goes on from there": (
        "Para o download. O que já veio fica, e o próximo continua dali"
    ),
    "Connect to the backend first": "Conecte primeiro ao backend",
    "Turn on 'Allow Online Access' in Preferences > System first": (
        "Ative primeiro 'Permitir acesso online' em Preferências > Sistema"
    ),
    # The backend.
    "Backend": "Backend",
    "The local backend is not running.": "O backend local não está em execução.",
    "The local backend is starting.": "O backend local está iniciando.",
    "Not connected.": "Não conectado.",
    "Connecting.": "Conectando.",
    "Connected: {server}, {device}.": "Conectado: {server}, {device}.",
    "Busy with '{name}': {server}, {device}.": "Ocupado com '{name}': {server}, {device}.",
    "The backend does not answer at the moment. Its jobs go on.": (
        "O backend não responde no momento. Os trabalhos dele continuam."
    ),
    "No connection.": "Sem conexão.",
    "Pairing with the backend.": "Pareando com o backend.",
    "Start": "Iniciar",
    "Stop": "Parar",
    "Try Again": "Tentar de novo",
    "Connect": "Conectar",
    "Start the local backend, or connect to the one at the address in the preferences": (
        "Inicia o backend local, ou conecta ao que está no endereço das preferências"
    ),
    "There is a connection already": "Já existe uma conexão",
    "Disconnect": "Desconectar",
    "Close the connection. A local backend is ended; jobs that have not finished are cancelled": (
        "Fecha a conexão. Um backend local é encerrado; trabalhos que não terminaram são cancelados"
    ),
    "There is no connection": "Não há conexão",
    "Pair with String in Clipboard": "Parear com o código copiado",
    "Pair with the backend whose pairing string ('kiss3d pair' prints it) is in the clipboard": (
        "Pareia com o backend cujo código de pareamento ('kiss3d pair' o mostra) está na área de transferência"
    ),
    "A pairing is under way": "Um pareamento está em andamento",
    "Show Output": "Mostrar saída",
    "Show what the local backend writes, in the Text Editor. The text is kept current while it is in the file": (
        "Mostra no Editor de Texto o que o backend local escreve. O texto é atualizado enquanto está no arquivo"
    ),
    "The local backend has not written anything yet": "O backend local ainda não escreveu nada",
    "Preferences": "Preferências",
    "Open the preferences of Kiss3D, where the backend is chosen": (
        "Abre as preferências do Kiss3D, onde o backend é escolhido"
    ),
    # The preferences.
    "Where the program that makes the meshes runs": "Onde roda o programa que faz as malhas",
    "Local": "Local",
    "Blender starts the backend on this machine, and ends it when Blender ends": (
        "O Blender inicia o backend nesta máquina, e o encerra quando o Blender termina"
    ),
    "Address": "Endereço",
    "A backend that was started with 'kiss3d serve' is used": "É usado um backend que foi iniciado com 'kiss3d serve'",
    "Python": "Python",
    "The Python executable (or the folder) of an environment in which you have installed kiss3d yourself. Empty: that "
    "of the environment variable KISS3D_PYTHON, or the backend that was set up from here": (
        "O executável do Python (ou a pasta) de um ambiente em que você mesmo instalou o kiss3d. Vazio: o da variável "
        "de ambiente KISS3D_PYTHON, ou o backend que foi instalado daqui"
    ),
    "The address that 'kiss3d serve' prints, as tcp://HOST:PORT, or the name of a backend that this computer was "
    "paired with": (
        "O endereço que 'kiss3d serve' mostra, como tcp://MÁQUINA:PORTA, ou o nome de um backend com o qual este "
        "computador foi pareado"
    ),
    "KISS3D_PYTHON is used: {path}": "KISS3D_PYTHON é usada: {path}",
    "Blender is not allowed to use the network. Turn on 'Allow Online Access' in Preferences > System.": (
        "O Blender não tem permissão para usar a rede. Ative 'Permitir acesso online' em Preferências > Sistema."
    ),
    # What the stages of a job are called, as in reports.
    "Reading the picture": "Lendo a imagem",
    "Removing the background": "Removendo o fundo",
    "Imagining the other sides": "Imaginando os outros lados",
    "Reference shape": "Forma de referência",
    "Reference picture": "Imagem de referência",
    "Describing the picture": "Descrevendo a imagem",
    "Writing the prompt": "Escrevendo a descrição",
    "Rendering the mesh": "Renderizando a malha",
    "Reading the views": "Lendo as vistas",
    "Bundle of the views": "Pacote das vistas",
    "Reading the bundle": "Lendo o pacote",
    "Drawing the bundle": "Desenhando o pacote",
    "Splitting the bundle": "Separando o pacote",
    "Coarse shape": "Forma grosseira",
    "Fitting the coarse shape": "Ajustando a forma grosseira",
    "Starting shape": "Forma inicial",
    "Refining the shape": "Refinando a forma",
    "Cleaning the shape": "Limpando a forma",
    "Texture": "Textura",
    "Coarse colours": "Cores grosseiras",
    "Shape": "Forma",
    # Making a result again, and the history.
    "Generate Again Like This": "Gerar de novo igual a este",
    "Make the active object again from the same inputs with the same settings, with the backend as it is now": (
        "Faz de novo o objeto ativo, com as mesmas entradas e configurações, com o backend como ele está agora"
    ),
    "Select an object that Kiss3D has made first": "Primeiro selecione um objeto que o Kiss3D fez",
    "Variation": "Variação",
    "Take the next seed, for another one of its kind": "Usa a próxima semente, para outro do mesmo tipo",
    "The picture is not the one of then: it has been changed": "A imagem não é mais a de antes: foi alterada",
    "History": "Histórico",
    "The chosen result of this scene's history": "O resultado escolhido no histórico desta cena",
    "The job's identity, by which the backend knows it": "A identidade do trabalho, pela qual o backend o conhece",
    "Made": "Feito em",
    "When it was finished": "Quando ficou pronto",
    "How much work was put into it": "Quanto trabalho foi empregado nele",
    "The seed that it was made with": "A semente com que foi feito",
    "The words that it was made with": "As palavras com que foi feito",
    "All that it was made with, as JSON": "Tudo com que foi feito, em JSON",
    "Recipe": "Receita",
    "In This Scene": "Nesta cena",
    "On the Backend": "No backend",
    "Refresh": "Atualizar",
    "Delete at the Backend": "Excluir no backend",
    "Delete this job and its results at the backend, for good. What stands in a scene stays there": (
        "Exclui no backend este trabalho e seus resultados, de vez. O que está em uma cena fica lá"
    ),
    "Ask the backend for its newest jobs, those of other sessions and other files too": (
        "Pergunta ao backend pelos trabalhos mais recentes, também os de outras sessões e de outros arquivos"
    ),
    "Bring Back": "Trazer de volta",
    "Put this result into the scene once more. What this file has lost comes from the backend, if that still has it": (
        "Põe este resultado na cena mais uma vez. O que este arquivo perdeu vem do backend, se ele ainda o tiver"
    ),
    "This job is in the list of jobs, and will come by itself": (
        "Este trabalho está na lista de trabalhos, e virá por si mesmo"
    ),
    "What this job was made of is not here: it was made in another session": (
        "O que deu origem a este trabalho não está aqui: ele foi feito em outra sessão"
    ),
    "and {number} older ones": "e {number} mais antigos",
    # Setting a local backend up.
    "Set Up a Local Backend": "Instalar um backend local",
    "Install the backend with all it needs into a folder of its own. Blender's Python is left as it is": (
        "Instala o backend com tudo de que precisa em uma pasta própria. O Python do Blender não é alterado"
    ),
    "Stop the set-up. What is done is kept, and the next one goes on from there": (
        "Para a instalação. O que foi feito fica, e a próxima continua dali"
    ),
    "Remove the Local Backend": "Remover o backend local",
    "Delete the backend that was set up here. Your jobs, results and model files stay": (
        "Apaga o backend instalado aqui. Seus trabalhos, resultados e arquivos de modelo ficam"
    ),
    "Show Log": "Mostrar registro",
    "Show what the set-up has written to its log, in the Text Editor": (
        "Mostra no editor de texto o que a instalação escreveu em seu registro"
    ),
    "A set-up is under way": "Uma instalação está em andamento",
    "Wait until the jobs of the local backend have ended, or cancel them": (
        "Espere os trabalhos do backend local terminarem, ou cancele-os"
    ),
    "No backend was set up here": "Nenhum backend foi instalado aqui",
    "There is no backend on this computer yet, or none that was set up from here.": (
        "Ainda não há um backend neste computador, ou nenhum que tenha sido instalado daqui."
    ),
    "The set-up was interrupted. It goes on where it stopped.": (
        "A instalação foi interrompida. Ela continua de onde parou."
    ),
    "Continue": "Continuar",
    "Upgrade": "Atualizar",
    "The local backend is version {backend}, this extension is {own}. Jobs and models are kept.": (
        "O backend local é a versão {backend}, esta extensão é a {own}. Trabalhos e modelos são mantidos."
    ),
    "This backend is version {backend}, the extension is {own}. Upgrade the older one.": (
        "Este backend é a versão {backend}, a extensão é a {own}. Atualize o mais antigo."
    ),
    "Removing the local backend": "Removendo o backend local",
    "Stopping the set-up": "Parando a instalação",
    "Making the environment": "Criando o ambiente",
    "Installing torch": "Instalando o torch",
    "Installing the backend": "Instalando o backend",
    "Checking": "Verificando",
    "Set-up Folder": "Pasta da instalação",
    "Limit VRAM (GB)": "Limitar VRAM (GB)",
    "Say how much of the graphics card's memory the local backend may take. Else it takes what is free when it "
    "starts, less room for Blender": (
        "Diga quanto da memória da placa de vídeo o backend local pode usar. Senão ele usa o que está livre quando "
        "inicia, menos um espaço para o Blender"
    ),
    "VRAM Budget (GB)": "Limite de VRAM (GB)",
    "How many GB of the graphics card's memory the local backend may take, from its next start on. With less, "
    "jobs take longer, and presets that need more are not offered": (
        "Quantos GB da memória da placa de vídeo o backend local pode usar, a partir do próximo início. Com menos, os "
        "trabalhos demoram mais, e predefinições que precisam de mais não são oferecidas"
    ),
    "Where a local backend is set up: a folder of its own on a disk with 4 GB of room, with an NVIDIA card 14 GB. "
    "Empty: a folder for the data of programs in your home": (
        "Onde um backend local é instalado: uma pasta própria em um disco com 4 GB livres, com uma placa NVIDIA 14 GB. "
        "Vazio: uma pasta para dados de programas em sua pasta pessoal"
    ),
    "The backend in that folder is version {version}.": "O backend nessa pasta é a versão {version}.",
}
