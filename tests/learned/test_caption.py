"""The captioner, the prompt writer, and their stages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.fakes.no_network import no_network
from tests.fakes.tiny.chat import write_chat
from tests.fakes.tiny.florence import FILES, write_florence
from tests.stages.context import stage_context

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.chat.load import load_writer
from kiss3d_backend.networks.florence.load import load_captioner
from kiss3d_backend.pipeline.types import Cutout
from kiss3d_backend.stages.caption import Caption
from kiss3d_backend.stages.write_prompt import INSTRUCTION, MOST_CHARACTERS, WritePrompt, bounded
from kiss3d_protocol.errors import JobCancelled, ModelFileCorrupt, ModelFileMissing, ModelKeysWrong, ParamsInvalid


def _never() -> None: ...


@pytest.fixture(scope="module")
def florence(tmp_path_factory: pytest.TempPathFactory) -> EntryFiles:
    return write_florence(tmp_path_factory.mktemp("florence"))


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> EntryFiles:
    return write_chat(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (90, 120, 3), dtype=np.uint8)


def test_caption_is_that_of_the_published_way(florence: EntryFiles, picture: np.ndarray) -> None:
    """The same files through the library's own loading, the task's own sentence and plain pixels."""
    from PIL import Image
    from transformers import AutoTokenizer, Florence2ForConditionalGeneration

    with no_network():
        captioner = load_captioner(florence, "cpu", torch.float32)
        said = captioner.caption(picture, _never)
        assert captioner.caption(picture, _never) == said
        assert captioner.caption(255 - picture, _never) != said

        folder = florence.path("config.json").parent
        model = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    sentence = "Describe with a paragraph what is shown in the image."
    tokens = tokenizer("<image>" * 65 + "<s>" + sentence + "</s>", add_special_tokens=False, return_tensors="pt")
    resized = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC)) / 255.0
    pixels = (resized - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    out = model.generate(
        **tokens,
        pixel_values=torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32),
        num_beams=3,
        do_sample=False,
        max_new_tokens=512,
    )
    expected = tokenizer.decode(out[0], skip_special_tokens=True)
    assert said == " ".join(expected.split()) and len(said) > 20


def test_tied_embeddings_are_one_tensor_from_the_mapped_file(florence: EntryFiles) -> None:
    model = load_captioner(florence, "cpu", torch.bfloat16).model
    text = model.model.language_model
    assert model.lm_head.weight is text.shared.weight is text.encoder.embed_tokens.weight
    wanted = load_file(florence.path("model.safetensors"))["model.language_model.shared.weight"]
    assert torch.equal(model.lm_head.weight, wanted.bfloat16())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_half_precision_is_refused_on_the_cpu(florence: EntryFiles, chat: EntryFiles) -> None:
    for load, files in ((load_captioner, florence), (load_writer, chat)):
        with pytest.raises(ParamsInvalid, match="half precision"):
            load(files, "cpu", torch.float16)


def test_bfloat16_captions_too(florence: EntryFiles, picture: np.ndarray) -> None:
    assert load_captioner(florence, "cpu", torch.bfloat16).caption(picture, _never)


def test_files_may_lie_anywhere_under_any_name(florence: EntryFiles, tmp_path: Path, picture: np.ndarray) -> None:
    scattered = {}
    for number, file in enumerate(FILES):
        scattered[file] = tmp_path / str(number) / "blob"
        scattered[file].parent.mkdir()
        shutil.copy(florence.path(file), scattered[file])
    captioner = load_captioner(EntryFiles("florence2", scattered), "cpu", torch.float32)
    assert captioner.caption(picture, _never) == load_captioner(florence, "cpu", torch.float32).caption(picture, _never)


def test_settings_may_be_in_the_newer_file(florence: EntryFiles, tmp_path: Path) -> None:
    old = json.loads(florence.path("preprocessor_config.json").read_text(encoding="utf-8"))
    new = {"processor_class": "Florence2Processor", "image_processor": old}
    (tmp_path / "new.json").write_text(json.dumps(new), encoding="utf-8")
    paths = {**florence.paths, "processor_config.json": tmp_path / "new.json"}
    del paths["preprocessor_config.json"], paths["generation_config.json"]
    captioner = load_captioner(EntryFiles("florence2", paths), "cpu", torch.float32)
    assert captioner.processor.image_processor.image_seq_length == 65
    assert captioner.model.generation_config.decoder_start_token_id == 2
    del paths["processor_config.json"]
    with pytest.raises(ModelFileMissing, match="preprocessor_config"):
        load_captioner(EntryFiles("florence2", paths), "cpu", torch.float32)


def test_a_cancel_is_noticed_between_layers(florence: EntryFiles, picture: np.ndarray) -> None:
    captioner = load_captioner(florence, "cpu", torch.float32)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise JobCancelled("The job was cancelled.")

    with pytest.raises(JobCancelled):
        captioner.caption(picture, check)
    assert calls == 3
    assert not any(layer._forward_pre_hooks for layer in captioner.model.modules())


def _with(files: EntryFiles, file: str, folder: Path, change: Any) -> EntryFiles:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.endswith(".json"):
        values = json.loads(files.path(file).read_text(encoding="utf-8"))
        path.write_text(json.dumps(change(values)), encoding="utf-8")
    else:
        save_file(change(load_file(files.path(file))), path)
    return EntryFiles(files.entry, {**files.paths, file: path})


def test_wrong_files_say_so(florence: EntryFiles, tmp_path: Path) -> None:
    def load(files: EntryFiles) -> None:
        load_captioner(files, "cpu", torch.float32)

    with pytest.raises(ModelKeysWrong, match=r"1 missing \(model.language_model.shared.weight\).*1 surplus \(more\)"):
        load(
            _with(
                florence,
                "model.safetensors",
                tmp_path,
                lambda state: {
                    **{name: value for name, value in state.items() if "shared" not in name},
                    "more": torch.zeros(1),
                },
            )
        )
    with pytest.raises(ModelFileCorrupt, match="settings of 'florence2'"):
        load(_with(florence, "config.json", tmp_path, lambda values: [values]))
    with pytest.raises(ModelFileCorrupt, match="settings of 'florence2'"):
        load(_with(florence, "tokenizer.json", tmp_path, lambda values: {}))
    with pytest.raises(ModelFileMissing, match="tokenizer_config"):
        load(EntryFiles("florence2", {k: v for k, v in florence.paths.items() if k != "tokenizer_config.json"}))


def test_code_beside_the_weights_does_not_run(
    florence: EntryFiles, chat: EntryFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that name classes of files in the repository, with those files there."""
    marker = tmp_path / "it-ran"
    code = tmp_path / "evil.py"
    code.write_text(f"open({str(marker)!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    classes = dict.fromkeys(("AutoConfig", "AutoModelForCausalLM", "AutoProcessor"), "evil.Evil")
    for files, load in ((florence, load_captioner), (chat, load_writer)):
        named = _with(files, "config.json", tmp_path / files.entry, lambda values: {**values, "auto_map": classes})
        named = _with(
            named,
            "tokenizer_config.json",
            tmp_path / files.entry,
            lambda values: {**values, "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}},
        )
        load(EntryFiles(files.entry, {**named.paths, "evil.py": code}), "cpu", torch.float32)
    unknown = _with(
        chat, "config.json", tmp_path / "unknown", lambda values: {"model_type": "evil", "auto_map": classes}
    )
    with pytest.raises(ModelFileCorrupt):
        load_writer(EntryFiles("chat", {**unknown.paths, "evil.py": code}), "cpu", torch.float32)
    assert not marker.exists()


class _Says:
    """Stands for a network: keeps what it is given, and says something."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.given: list[Any] = []

    def caption(self, rgb: np.ndarray, check: Any) -> str:
        self.given.append(rgb)
        return self.text

    def answer(self, *given: Any) -> str:
        self.given.append(given)
        return self.text


def test_the_stage_shows_the_object_on_white() -> None:
    network = _Says("a chair")
    rgba = np.zeros((4, 4, 4), dtype=np.uint8)
    rgba[1, 1] = (10, 20, 30, 255)
    rgba[2, 2] = (0, 0, 100, 51)
    context, record = stage_context()
    assert Caption(lambda: network, "x").run(Cutout(rgba), context) == "a chair"
    assert [text for _, text in record.of("text")] == ["a chair"], "it can be read while the job goes on"
    (rgb,) = network.given
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[1, 1].tolist() == [10, 20, 30]
    assert rgb[2, 2].tolist() == [204, 204, 224]


def test_stages_cancel_and_carry_on(florence: EntryFiles, chat: EntryFiles, picture: np.ndarray) -> None:
    cutout = Cutout(np.dstack([picture, np.full(picture.shape[:2], 255, dtype=np.uint8)]))
    cancelled, _ = stage_context(cancelled=True)
    captioner = load_captioner(florence, "cpu", torch.float32)
    with pytest.raises(JobCancelled):
        Caption(lambda: captioner).run(cutout, cancelled)
    with pytest.raises(JobCancelled):
        WritePrompt(lambda: load_writer(chat, "cpu", torch.float32)).run("a chair", cancelled)


def test_the_writer_answers_as_the_library_does(chat: EntryFiles) -> None:
    """Against the same files loaded by the library itself, and the likeliest token chosen by hand."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with no_network():
        writer = load_writer(chat, "cpu", torch.float32)
        said = writer.answer("Rewrite.", "a red chair", 12, _never)
        folder = chat.path("config.json").parent
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("<|user|>Rewrite.\n\na red chair<|end|><|assistant|>", return_tensors="pt").input_ids
    start = ids.shape[1]
    with torch.no_grad():
        for _ in range(12):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
            if ids[0, -1] == tokenizer.eos_token_id:
                break
    assert said == " ".join(tokenizer.decode(ids[0, start:], skip_special_tokens=True).split())
    assert said and writer.model.lm_head.weight is writer.model.model.embed_tokens.weight


def test_a_model_without_a_template_answers_too(tmp_path: Path) -> None:
    writer = load_writer(write_chat(tmp_path, template=None), "cpu", torch.float32)
    assert writer.answer("Rewrite.", "a red chair", 8, _never)


def test_thoughts_are_left_out() -> None:
    from kiss3d_backend.networks.chat.writer import _THOUGHTS

    assert _THOUGHTS.sub("", "<think>hm\nhm</think> A chair.") == " A chair."
    assert _THOUGHTS.sub("", "<think>never ends") == ""


def test_the_prompt_is_bounded_and_never_lost() -> None:
    network = _Says("A red chair.")
    context, record = stage_context()
    assert WritePrompt(lambda: network).run("chair", context) == "A red chair."
    assert network.given[0][:2] == (INSTRUCTION, "chair")
    assert WritePrompt(lambda: _Says(" .. ")).run("chair", context) == "chair"
    assert record.warning_codes() == ["prompt.not_written"]
    long = "A chair with a back. " * 200
    assert len(bounded(long)) <= MOST_CHARACTERS and bounded(long).endswith("back.")
    assert len(bounded("word " * 1000)) <= MOST_CHARACTERS and bounded("word " * 1000).endswith("word")
    assert len(bounded("x" * 5000)) == MOST_CHARACTERS
