"""The stage that draws bundles: what is in memory when, what it tells, and how it ends."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.fakes.tiny import flux as tiny
from tests.learned.flux_models import CPU, Models, load_models, picture

from kiss3d_backend.networks.flux.denoiser import Denoiser
from kiss3d_backend.networks.flux.draw import FluxParts
from kiss3d_backend.networks.flux.lora import read_lora, remove_lora, set_lora
from kiss3d_backend.networks.flux.prompt import MOST_T5_TOKENS, PromptEncoder, read_clip_tokenizer, read_t5_tokenizer
from kiss3d_backend.networks.flux.settings import BUNDLE_SENTENCE, FLUX_PRESETS, ControlSettings, FluxSettings
from kiss3d_backend.networks.flux.settings import long_prompt as long
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.text_encoders import load_clip, load_t5
from kiss3d_backend.networks.shelf import Shelf
from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.stage import StageContext
from kiss3d_backend.stages.generate_bundle import GenerateBundle, ToGenerate
from kiss3d_protocol.errors import JobCancelled, ModelFileCorrupt

SMALL = FluxSettings(steps=4, width=64, height=32, tokens=16, preview_every=1)


class Sink:
    """Keeps what a stage tells."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.pictures: list[NDArray[np.uint8]] = []
        self.warnings: list[tuple[str, str]] = []

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        self.steps.append((step, steps))

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None:
        self.pictures.append(image)

    def stage_started(self, *_: object) -> None: ...

    def mesh_ready(self, *_: object) -> None: ...

    def bundles_ready(self, *_: object) -> None: ...

    def warning(self, code: str, message: str, remedy: str) -> None:
        self.warnings.append((code, message))


def context(seed: int = 1, cancel: threading.Event | None = None) -> tuple[StageContext, Sink]:
    sink = Sink()
    cancel = cancel or threading.Event()
    return StageContext(stage="bundle", index=0, seed=seed, sink=sink, cancel=cancel, clock=JobClock([1.0])), sink


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return load_models(tmp_path_factory.mktemp("models"))


def run(models: Models, settings: FluxSettings, value: ToGenerate, seed: int = 1) -> tuple[NDArray[np.uint8], Sink]:
    told, sink = context(seed)
    (bundle,) = GenerateBundle(settings, models.parts, torch.float32).run(attrs.evolve(value, redraw=False), told)
    assert bundle.seed == seed
    return bundle.picture, sink


def count_calls(module: torch.nn.Module) -> tuple[list[int], Any]:
    calls: list[int] = []
    return calls, module.register_forward_pre_hook(lambda *_: calls.append(1))


def test_same_seed_same_bundle_and_another_seed_another(models: Models) -> None:
    value = ToGenerate("a chair", picture(1))
    one, again, other = (run(models, SMALL, value, seed)[0] for seed in (1, 1, 2))
    assert one.shape == (32, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("solver", "evaluations"), [("euler", 4), ("heun", 7)])
def test_progress_counts_evaluations_and_previews_come_between_steps(
    models: Models, solver: Any, evaluations: int
) -> None:
    calls, hook = count_calls(models.transformer.x_embedder)
    _, sink = run(models, attrs.evolve(SMALL, solver=solver), ToGenerate("a chair"))
    hook.remove()
    assert sink.steps == [(done, evaluations) for done in range(1, evaluations + 1)]
    assert len(calls) == evaluations
    assert [preview.shape for preview in sink.pictures] == [(8, 16, 3)] * 3 + [(32, 64, 3)]


@pytest.mark.parametrize(
    ("end", "strength", "solver", "expected"),
    [(0.65, 0.95, "euler", 12), (0.65, 0.5, "euler", 6), (1.0, 1.0, "euler", 20), (0.3, 1.0, "heun", 11)],
)
def test_controlnet_is_not_evaluated_after_its_end(
    models: Models, end: float, strength: float, solver: Any, expected: int
) -> None:
    """12 of the 19 evaluations that strength .95 leaves of 20 steps: 12 / 19 <= .65 < 13 / 19; and so on."""
    settings = attrs.evolve(
        SMALL, steps=20, preview_every=0, strength=strength, solver=solver, control=ControlSettings(end=end)
    )
    calls, hook = count_calls(models.controlnet)
    run(models, settings, ToGenerate("a chair", picture(1)))
    hook.remove()
    assert len(calls) == expected


def test_redux_and_controlnet_change_the_bundle_and_are_left_out_without_pictures(models: Models) -> None:
    plain, _ = run(models, SMALL, ToGenerate("a chair", picture(1)))
    controlled, _ = run(models, attrs.evolve(SMALL, control=ControlSettings()), ToGenerate("a chair", picture(1)))
    rich = attrs.evolve(SMALL, redux=0.5)
    seen, _ = run(models, rich, ToGenerate("a chair", picture(1), picture(3, 40, 40)))
    assert not np.array_equal(plain, controlled)
    assert not np.array_equal(plain, seen)
    unseen, _ = run(models, rich, ToGenerate("a chair", picture(1)))
    assert np.array_equal(plain, unseen)


def test_lora_changes_the_bundle_and_goes_again(models: Models, tmp_path: Path) -> None:
    value = ToGenerate("a chair", picture(1))
    plain, _ = run(models, SMALL, value)
    (path,) = tiny.write_kohya_lora(tmp_path).paths.values()
    set_lora(models.transformer, "kiss3dgen", read_lora(path, models.transformer))
    with_lora, _ = run(models, SMALL, value)
    remove_lora(models.transformer, "kiss3dgen")
    assert not np.array_equal(plain, with_lora)
    assert np.array_equal(run(models, SMALL, value)[0], plain)


def test_text_encoders_and_redux_leave_memory_before_the_transformer_is_loaded(models: Models, tmp_path: Path) -> None:
    file = open_flux(tiny.write_single_file(tmp_path / "flux"))
    gone: dict[str, weakref.ref[Any]] = {}

    def prompts() -> PromptEncoder:
        encoder = PromptEncoder(
            load_clip(file.part("clip"), CPU, torch.float32),
            read_clip_tokenizer(tiny.write_clip_tokenizer(tmp_path / "clip")),
            load_t5(file.part("t5"), CPU, torch.float32),
            read_t5_tokenizer(tiny.write_t5_tokenizer(tmp_path / "t5")),
        )
        gone.update(clip=weakref.ref(encoder.clip), t5=weakref.ref(encoder.t5))
        return encoder

    def redux() -> Any:
        from kiss3d_backend.networks.flux.redux import load_redux

        loaded = load_redux(tiny.write_redux(tmp_path / "redux"), CPU, torch.float32)
        gone.update(redux=weakref.ref(loaded.encoder))
        return loaded

    left: list[str] = []

    def transformer() -> Any:
        gc.collect()
        left.extend(name for name, reference in gone.items() if reference() is not None)
        assert len(gone) == 3
        return Denoiser(models.transformer)

    shelf = Shelf(10**12)
    parts = FluxParts(
        shelf.add("prompts", prompts, lambda: 1),
        shelf.add("autoencoder", lambda: models.autoencoder, lambda: 1),
        shelf.add("transformer", transformer, lambda: 1),
        redux=shelf.add("redux", redux, lambda: 1),
    )
    told, _ = context()
    stage = GenerateBundle(attrs.evolve(SMALL, steps=1, redux=0.5), lambda: parts, torch.float32)
    stage.run(ToGenerate("a chair", picture(1), picture(2, 30, 30), redraw=False), told)
    assert left == []


def test_cancel_ends_an_evaluation_midway(models: Models) -> None:
    cancel = threading.Event()
    blocks = [*models.transformer.transformer_blocks, *models.transformer.single_transformer_blocks]
    counted = [count_calls(block) for block in blocks]
    stopper = blocks[1].register_forward_pre_hook(lambda *_: cancel.set())
    told, sink = context(cancel=cancel)
    with pytest.raises(JobCancelled):
        GenerateBundle(SMALL, models.parts, torch.float32).run(ToGenerate("a chair"), told)
    stopper.remove()
    for _, hook in counted:
        hook.remove()
    assert [len(calls) for calls, _ in counted] == [1, 1, 0, 0]
    assert sink.steps == []


def test_bfloat16_on_the_cpu_draws_a_bundle_too(models: Models, tmp_path: Path) -> None:
    from tests.learned.flux_models import Held

    from kiss3d_backend.networks.flux.transformer import load_transformer

    file = open_flux(tiny.write_single_file(tmp_path))
    narrow = load_transformer(file.transformer, CPU, torch.bfloat16)
    parts = attrs.evolve(models.parts(), transformer=Held(Denoiser(narrow)))
    told, _ = context()
    stage = GenerateBundle(SMALL, lambda: parts, torch.bfloat16)
    (got,) = stage.run(ToGenerate("a chair", picture(1), redraw=False), told)
    wide, _ = run(models, SMALL, ToGenerate("a chair", picture(1)))
    assert np.abs(got.picture.astype(float) - wide).mean() < 20


def test_several_seeds_share_one_prompt_and_do_not_change_each_other(models: Models) -> None:
    parts = models.parts()
    told, sink = context()
    value = ToGenerate("a chair", picture(1), seeds=(7, 3), redraw=False)
    bundles = GenerateBundle(SMALL, lambda: parts, torch.float32).run(value, told)
    assert [bundle.seed for bundle in bundles] == [7, 3]
    assert np.array_equal(bundles[1].picture, run(models, SMALL, ToGenerate("a chair", picture(1)), 3)[0])
    assert parts.prompts.released == 1  # type: ignore[attr-defined]
    assert sink.steps == [(done, 8) for done in range(1, 9)]


def test_doubtful_bundle_is_drawn_once_more_with_the_next_seed(models: Models) -> None:
    told, sink = context(seed=2**32 - 1)
    value = ToGenerate("a chair", picture(1))
    (bundle,) = GenerateBundle(SMALL, models.parts, torch.float32).run(value, told)
    assert bundle.seed == 0
    ((code, message),) = sink.warnings
    assert code == "bundle.drawn_again"
    assert "64 x 32" in message
    assert np.array_equal(bundle.picture, run(models, SMALL, value, 0)[0])


def test_doubtful_bundle_that_is_not_to_be_drawn_again_is_told_of(models: Models) -> None:
    told, sink = context(seed=5)
    value = ToGenerate("a chair", picture(1), redraw=False)
    (bundle,) = GenerateBundle(SMALL, models.parts, torch.float32).run(value, told)
    ((code, message),) = sink.warnings
    assert (bundle.seed, code) == (5, "bundle.doubtful")
    assert "64 x 32" in message


def test_input_and_output_can_be_checkpoints(models: Models) -> None:
    from kiss3d_backend.pipeline.snapshot import freeze, thaw

    value = ToGenerate("a chair", picture(1), seeds=(1,), redraw=False)
    told, _ = context()
    stage = GenerateBundle(SMALL, models.parts, torch.float32, "w")
    result = stage.run(thaw(freeze(value)), told)
    assert np.array_equal(thaw(freeze(result))[0].picture, result[0].picture)
    other = GenerateBundle(attrs.evolve(SMALL, steps=5), models.parts, torch.float32, "w")
    assert len({stage.fingerprint(), other.fingerprint()}) == 2


def test_presets_are_those_of_the_facts() -> None:
    fast, balanced, quality = (FLUX_PRESETS[name] for name in ("fast", "balanced", "quality"))
    assert (fast.steps, balanced.steps, quality.steps) == (4, 8, 20)
    assert (balanced.turbo, fast.turbo, quality.turbo) == (1.0, 0.0, 0.0)
    assert quality.control == ControlSettings(scale=0.6, start=0.0, end=0.65, mode=1)
    assert quality.redux == 0.5
    for preset in FLUX_PRESETS.values():
        assert (preset.strength, preset.guidance, preset.lora, preset.solver) == (0.95, 3.5, 1.0, "euler")
        assert (preset.width, preset.height) == (2048, 1024)
    with pytest.raises(ValueError, match="strength"):
        FluxSettings(steps=4, strength=0.0)


def test_prompts_are_the_published_sentence_and_the_caption() -> None:
    assert BUNDLE_SENTENCE == "A grid of 2x4 multi-view image, elevation 5. White background."
    assert long(" A red chair. ") == f"{BUNDLE_SENTENCE} A red chair."
    assert long("") == BUNDLE_SENTENCE


def test_tokens_are_those_of_the_real_classes(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer, T5Tokenizer

    text = "The new view, an er & a grid"
    for read, write, cls, count in (
        (read_clip_tokenizer, tiny.write_clip_tokenizer, CLIPTokenizer, 77),
        (read_t5_tokenizer, tiny.write_t5_tokenizer, T5Tokenizer, MOST_T5_TOKENS),
    ):
        folder = tmp_path / cls.__name__
        ours, theirs = read(write(folder)), cls.from_pretrained(folder)
        for words in (text, " ".join([text] * 60), ""):
            numbers = [
                tokenizer(words, padding="max_length", max_length=count, truncation=True).input_ids
                for tokenizer in (ours, theirs)
            ]
            assert numbers[0] == numbers[1]
            assert len(numbers[0]) == count
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFileCorrupt):
        read(attrs.evolve(tiny.write_t5_tokenizer(tmp_path / "x"), paths={"tokenizer.json": folder / "tokenizer.json"}))
