"""The ways to run FLUX's transformer: streamed, in float8, from the cache, compiled, in tiles."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from tests.fakes.tiny import flux as tiny
from tests.learned.flux_models import CPU, Held, Models, load_models, picture
from torch.utils._python_dispatch import TorchDispatchMode

from kiss3d_backend.networks.flux import denoiser as denoiser_module
from kiss3d_backend.networks.flux.denoiser import Denoiser, block_list
from kiss3d_backend.networks.flux.draw import FluxParts, Request, Watcher, draw, draw_latents, embed
from kiss3d_backend.networks.flux.execution import (
    FluxExecution,
    device_block_bytes,
    most_resident_blocks,
    streamed_blocks,
)
from kiss3d_backend.networks.flux.first_block_cache import FirstBlockCache
from kiss3d_backend.networks.flux.lora import read_lora, set_lora
from kiss3d_backend.networks.flux.parts import block_bytes, device_bytes, load_denoiser, stored_bytes
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings
from kiss3d_backend.networks.flux.residency import parameter_bytes
from kiss3d_backend.networks.flux.settings import ControlSettings, FluxSettings
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.solver import solve
from kiss3d_backend.networks.flux.stored_layers import StoredLinear, store_linears
from kiss3d_backend.networks.flux.transformer import TransformerShape
from kiss3d_backend.networks.flux.velocity import FluxVelocity

SMALL = FluxSettings(steps=3, width=64, height=32, tokens=24, preview_every=0)
LONG = attrs.evolve(SMALL, steps=14)
STREAMED = FluxExecution(streamed=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return load_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def load(models: Models) -> Callable[[FluxExecution], Denoiser]:
    """A transformer of its own for an execution, from the same file."""
    (path,) = (models.folder / "flux").iterdir()
    file = open_flux(tiny.EntryFiles("flux_dev_fp8", {path.name: path}))
    return lambda execution: load_denoiser(file.transformer, CPU, torch.float32, execution)


def parts_of(models: Models, denoiser: Denoiser) -> FluxParts:
    return attrs.evolve(models.parts(), transformer=Held(denoiser), execution=denoiser.execution)


def latents(models: Models, denoiser: Denoiser, settings: FluxSettings = SMALL, **inputs: Any) -> torch.Tensor:
    parts, request = parts_of(models, denoiser), Request("a view", "the view", **inputs)
    prompt = embed(parts, request, settings, torch.float32)
    return draw_latents(parts, request, prompt, settings, torch.Generator().manual_seed(3))


Load = Callable[[FluxExecution], Denoiser]

# Residency.


@pytest.mark.parametrize("resident", [0, 1, 2, 3])
def test_streamed_is_resident_bit_for_bit(models: Models, load: Load, tmp_path: Path, resident: int) -> None:
    (path,) = tiny.write_kohya_lora(tmp_path).paths.values()
    drawn = []
    for execution in (FluxExecution(), attrs.evolve(STREAMED, resident_blocks=resident)):
        denoiser = load(execution)
        plain = latents(models, denoiser)
        set_lora(denoiser.model, "one", read_lora(path, denoiser.model), 1.0, denoiser.device)
        drawn.append((plain, latents(models, denoiser)))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
    assert not torch.equal(drawn[0][0], drawn[0][1])


def test_streamed_blocks_use_slots_and_go_back_to_host_memory(load: Load) -> None:
    denoiser = load(attrs.evolve(STREAMED, resident_blocks=1))
    blocks = block_list(denoiser.model)
    streamed = streamed_blocks([parameter_bytes(block) for block in blocks], 1)
    assert streamed == {1, 2, 3}
    home = {number: blocks[number].attn.to_q.weight.data_ptr() for number in streamed}
    (storage,) = {blocks[number].attn.to_q.weight.untyped_storage().data_ptr() for number in streamed}
    rooms: dict[int, set[int]] = {number: set() for number in streamed}
    for _ in range(3):
        for number, block in enumerate(blocks):
            with denoiser._blocks.on_device(number) as used:
                assert used is block
                if number in streamed:
                    rooms[number].add(used.attn.to_q.weight.untyped_storage().data_ptr())
    assert storage not in set().union(*rooms.values())
    assert len(set().union(*rooms.values())) == 2, "two slots"
    assert {number: blocks[number].attn.to_q.weight.data_ptr() for number in streamed} == home


def test_the_next_streamed_block_is_asked_for_while_one_is_used(load: Load) -> None:
    streaming = load(STREAMED)._blocks
    for _ in range(2):
        for number in range(len(streaming)):
            with streaming.on_device(number):
                asked = {slot.block for slot in streaming._slots}  # type: ignore[attr-defined]
                assert asked == {number, (number + 1) % len(streaming)}
    with streaming.on_device(2):
        assert {slot.block for slot in streaming._slots} == {2, 3}, "out of order"  # type: ignore[attr-defined]


def test_an_error_in_a_block_leaves_the_blocks_usable(models: Models, load: Load) -> None:
    denoiser = load(STREAMED)
    expected = latents(models, denoiser)
    left = [5]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise InterruptedError

    parts, request = parts_of(models, denoiser), Request("a view", "the view")
    prompt = embed(parts, request, SMALL, torch.float32)
    with pytest.raises(InterruptedError):
        draw_latents(parts, request, prompt, SMALL, torch.Generator().manual_seed(3), Watcher(check))
    assert torch.equal(latents(models, denoiser), expected)


def test_bytes_on_the_device_are_those_of_the_parts_there(models: Models, load: Load) -> None:
    (path,) = (models.folder / "flux").iterdir()
    tensors = open_flux(tiny.EntryFiles("flux_dev_fp8", {path.name: path})).transformer
    sizes = block_bytes(tensors)
    model = load(FluxExecution()).model
    assert len(sizes) == 4
    assert sizes == [sum(value.numel() for value in block.parameters()) for block in block_list(model)]
    assert device_bytes(tensors, FluxExecution()) == stored_bytes(tensors)
    rest = stored_bytes(tensors) - sum(sizes)
    assert device_bytes(tensors, STREAMED) == rest + 2 * max(sizes)
    one_left = FluxExecution(streamed=True, resident_blocks=3)
    assert device_bytes(tensors, one_left) == rest + sum(sizes)


def test_small_blocks_are_streamed_first_and_evenly() -> None:
    sizes = [340] * 19 + [141] * 38
    assert streamed_blocks(sizes, 57) == frozenset()
    assert streamed_blocks(sizes, 0) == frozenset(range(57))
    half = sorted(streamed_blocks(sizes, 38))
    assert len(half) == 19
    assert half[0] >= 19
    assert {b - a for a, b in itertools.pairwise(half)} == {2}
    assert streamed_blocks(sizes, 19) == frozenset(range(19, 57))
    assert streamed_blocks(sizes, 18) == frozenset({18, *range(19, 57)})


def test_as_many_blocks_stay_as_fit() -> None:
    sizes = [340] * 19 + [141] * 38
    assert most_resident_blocks(sizes, sum(sizes)) == 57
    for budget in (sum(sizes) - 1, 9000, 7000, 3000, 700):
        resident = most_resident_blocks(sizes, budget)
        assert resident is not None
        taken = [device_block_bytes(sizes, FluxExecution(streamed=True, resident_blocks=n)) for n in range(58)]
        assert taken[resident] <= budget
        assert all(bytes_ > budget for bytes_ in taken[resident + 1 :])
    assert most_resident_blocks(sizes, 679) is None


# The cache.


def test_cache_of_threshold_nought_computes_everything(models: Models, load: Load) -> None:
    exact, cached = (load(FluxExecution(first_block_cache=threshold)) for threshold in (None, 0.0))
    assert torch.equal(latents(models, exact, LONG), latents(models, cached, LONG))


def _cached(models: Models, load: Load, threshold: float, settings: FluxSettings) -> tuple[torch.Tensor, int]:
    denoiser = load(FluxExecution(first_block_cache=threshold))
    calls: list[int] = []
    denoiser.model.single_transformer_blocks[-1].register_forward_pre_hook(lambda *_: calls.append(1))
    return latents(models, denoiser, settings), len(calls)


def test_larger_thresholds_leave_out_more_and_err_more(models: Models, load: Load) -> None:
    exact = latents(models, load(FluxExecution()), LONG)
    errors, evaluations = [], []
    for threshold in (0.05, 0.2, 0.5, 5.0):
        drawn, calls = _cached(models, load, threshold, LONG)
        errors.append(float((drawn - exact).abs().mean() / exact.abs().mean()))
        evaluations.append(calls)
    assert evaluations == sorted(evaluations, reverse=True)
    assert evaluations[0] > evaluations[-1]
    assert evaluations[-1] == 1, "everything counts as unchanged"
    assert errors == sorted(errors)
    assert 0 < errors[-1] < 1


def test_short_runs_do_not_use_the_cache(models: Models, load: Load) -> None:
    _, calls = _cached(models, load, 5.0, SMALL)
    assert calls == 3


def test_what_was_steered_never_stands_for_what_is_not(models: Models, load: Load) -> None:
    controlled = attrs.evolve(LONG, control=ControlSettings(end=0.5))
    denoiser = load(FluxExecution(first_block_cache=5.0))
    calls: list[int] = []
    steered: list[int] = []
    denoiser.model.single_transformer_blocks[-1].register_forward_pre_hook(lambda *_: calls.append(1))
    hook = models.controlnet.register_forward_pre_hook(lambda *_: steered.append(1))
    latents(models, denoiser, controlled, steering=picture(2))
    hook.remove()
    assert len(calls) == 2, "once with the ControlNet, and once without"
    assert len(steered) == 1, "nor is the ControlNet evaluated for an evaluation that is left out"


def test_change_is_relative_and_against_the_last_that_was_computed() -> None:
    cache = FirstBlockCache(0.1)
    rest = torch.ones(3)
    assert cache.rest(torch.full((3,), 10.0), False) is None
    cache.keep(rest)
    assert cache.rest(torch.full((3,), 10.9), False) is rest
    assert cache.rest(torch.full((3,), 11.1), False) is None, "11 % away from 10, although 2 % from 10.9"
    cache.keep(rest)
    assert cache.rest(torch.full((3,), 10.1), True) is None
    assert cache.skipped == 1


# Compilation.


def test_each_kind_of_block_is_compiled_once_from_the_second_run_on(
    models: Models, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[int] = []

    def count(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        graphs.append(1)
        # As torch 2.11 does; tests make errors of warnings.
        warnings.warn("`torch.jit.script_method` is deprecated.", DeprecationWarning, stacklevel=1)
        return graph.forward

    monkeypatch.setattr(Denoiser, "compile", partialmethod(Denoiser.compile, count))
    torch._dynamo.reset()
    denoiser = load(FluxExecution(compiled=True, compile_after=0.0, streamed=True, resident_blocks=1))
    block = denoiser.model.transformer_blocks[0]
    seen: list[tuple[bool, bool]] = []

    def conditions(self: Denoiser, *inputs: Any) -> Any:
        found = original(self, *inputs)
        seen.append((block._compiled_call_impl is not None, isinstance(found.rotation, tuple)))
        return found

    original = Denoiser.conditions
    monkeypatch.setattr(Denoiser, "conditions", conditions)
    drawn = [latents(models, denoiser) for _ in range(3)]
    assert seen == [(False, False), (True, True), (True, True)], "compiled blocks know no complex numbers"
    torch.testing.assert_close(drawn[0], drawn[1], rtol=1e-4, atol=1e-4)
    assert torch.equal(drawn[1], drawn[2])
    assert len(graphs) == 2, "one for double blocks and one for single ones, streamed or not"
    torch._dynamo.reset()


def test_compiling_waits_until_as_much_time_was_lost_as_it_costs(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    now, compiled = [0.0], []
    monkeypatch.setattr(denoiser_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Denoiser, "compile", lambda self: compiled.append(now[0]))
    denoiser = load(FluxExecution(compiled=True))
    for seconds in (40.0, 49.0, 2.0, 1.0):
        with denoiser.run():
            now[0] += seconds
    assert compiled == [40.0 + 49.0 + 2.0]


@pytest.mark.parametrize("back_end", ["cudnn", "flash", "efficient", "math"])
def test_every_attention_gives_the_same(models: Models, load: Load, back_end: Any) -> None:
    chosen = latents(models, load(FluxExecution(attention=back_end)))
    torch.testing.assert_close(chosen, latents(models, load(FluxExecution())), rtol=1e-4, atol=1e-4)


# Waiting.


class Copies(TorchDispatchMode):
    """Notes what goes from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        devices = {value.device.type for value in (*args, result) if isinstance(value, torch.Tensor) and value.dim()}
        if len(devices) > 1:
            self.seen.append(str(func))
        return result


def test_between_steps_nothing_is_read_back_from_the_device_or_sent_to_it() -> None:
    """The meta device holds no data: reading a number from it is an error, and every copy to or from it is seen."""
    device = torch.device("meta")
    size = tiny.Size()
    model = TransformerShape.of(tiny.transformer_shapes(size), "tiny").build()
    store_linears(model)
    for owner in model.modules():
        dtype = tiny.FP8 if isinstance(owner, StoredLinear) else torch.bfloat16
        for leaf, value in owner._parameters.items():
            if value is not None:
                owner._parameters[leaf] = torch.nn.Parameter(value.to(dtype), requires_grad=False)
    denoiser = Denoiser(model, FluxExecution(), device)
    wide = {"dtype": torch.bfloat16, "device": device}
    prompt = PromptEmbeddings(torch.empty(1, 5, size.text, **wide), torch.empty(1, size.pooled, **wide))
    sigmas = np.array([1.0, 0.6, 0.3, 0.0], dtype=np.float32)
    with torch.inference_mode():
        with Copies() as known:
            torch.empty(3).to(device)
            torch.empty(3, device=device).to(torch.float64)
            with pytest.raises(RuntimeError, match="meta tensors"):
                torch.empty(3, device=device).sum().item()
        assert len(known.seen) == 1
        velocity = FluxVelocity(denoiser, prompt, torch.zeros(8, 3), sigmas[:-1], 3.5)
        with Copies() as copies, denoiser.run():
            *_, last = solve(velocity, torch.empty(1, 8, 4 * size.latents, device=device), sigmas, "euler")
    assert (last.sample.device, last.sample.dtype, last.number) == (device, torch.float32, 2)
    assert copies.seen == []


# The whole.


def test_a_picture_in_tiles_is_drawn(models: Models, load: Load) -> None:
    pictures = []
    for tiled in (False, True):
        parts, request = parts_of(models, load(FluxExecution(tiled_decode=tiled))), Request("a view", "the view")
        prompt = embed(parts, request, SMALL, torch.float32)
        pictures.append(draw(parts, request, prompt, SMALL, torch.Generator().manual_seed(1)))
    assert (pictures[0] == pictures[1]).mean() > 0.99, "one tile is the whole here, up to the order of its sums"


def test_pictures_of_other_numbers_are_told_apart_and_those_of_other_places_are_not() -> None:
    plain = FluxExecution()
    same = [STREAMED, FluxExecution(compiled=True), FluxExecution(attention="math"), FluxExecution(first_block_cache=0)]
    assert {execution.results for execution in same} == {plain.results}
    others = [
        FluxExecution(products="scaled"),
        FluxExecution(products="scaled", activation_scale="row"),
        FluxExecution(first_block_cache=0.1),
        FluxExecution(tiled_decode=True),
    ]
    assert len({execution.results for execution in [plain, *others]}) == 5


@pytest.mark.parametrize(
    "wrong", [{"resident_blocks": -1}, {"products": "int8"}, {"first_block_cache": -0.1}, {"attention": "sage"}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FluxExecution(**wrong)
