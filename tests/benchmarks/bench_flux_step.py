"""Seconds of one evaluation of FLUX's transformer in every way to run it, with random weights. Prints JSON.

Run ``python tests/benchmarks/bench_flux_step.py [--cap-gib 11.5]`` on a machine with CUDA, or with ``--device cpu
--width tiny`` for a look at the script itself. No files and no network: weights are made on the device, 8192 tokens of
a bundle of 2048 x 1024 and 512 of text. Resident ways run first and uncapped; the streamed ones under the cap, which
counts what torch reserves, with as many blocks resident as fit beside the working memory that a first run shows.

``fraction``: the time that all products would take at the measured rate of large square ones in their precision
(attention's in bfloat16), as a share of the time taken. ``kernels``: milliseconds of the longest ones. Encoding and
decoding a picture, whole and in tiles, come with the streamed transformer held, as in the second job. Exit code 1 when
a target is missed: streamed within 1.15 of resident, a fraction of .6 for each precision at its best, and never more
reserved than the cap.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "backend"), str(ROOT / "protocol")]

from tests.fakes.tiny.flux import Size, transformer_shapes  # noqa: E402

from kiss3d_backend.networks.flux.attention import attention_by  # noqa: E402
from kiss3d_backend.networks.flux.autoencoder import (  # noqa: E402
    SCALING,
    SHIFT,
    decode_latents,
    encode_picture,
    pixels_per_latent,
)
from kiss3d_backend.networks.flux.denoiser import Conditions, Denoiser, block_list  # noqa: E402
from kiss3d_backend.networks.flux.execution import FluxExecution, most_resident_blocks  # noqa: E402
from kiss3d_backend.networks.flux.latents import places  # noqa: E402
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings  # noqa: E402
from kiss3d_backend.networks.flux.residency import parameter_bytes  # noqa: E402
from kiss3d_backend.networks.flux.scaled_products import float8_product, quantised  # noqa: E402
from kiss3d_backend.networks.flux.stored_layers import (  # noqa: E402
    LowRank,
    StoredLinear,
    store_linears,
    widened_product,
)
from kiss3d_backend.networks.flux.transformer import TransformerShape  # noqa: E402

GIB = 2**30
FP8, BF16 = torch.float8_e4m3fn, torch.bfloat16
SPARE = GIB // 4
"""For what the allocator reserves and does not use."""

STREAMED_LIMIT, FRACTION = 1.15, 0.6


@attrs.frozen
class Scale:
    """What is run. ``rows``, ``columns``: of latents."""

    size: Size
    rows: int
    columns: int
    text: int
    matrix: int
    evaluations: int


SCALES = {
    "published": Scale(Size.published(), 128, 256, 512, 8192, 6),
    "tiny": Scale(Size(width=128, double=3, single=6), 16, 32, 32, 256, 2),
}


def settle(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(work: Callable[[], object], times: int, device: torch.device, warm: int = 1) -> float:
    for _ in range(warm):
        work()
    start = settle(device)
    for _ in range(times):
        work()
    return (settle(device) - start) / times


def reset_peak(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def reserved_gib(device: torch.device) -> float | None:
    return round(torch.cuda.max_memory_reserved(device) / GIB, 3) if device.type == "cuda" else None


def matrix_rates(side: int, device: torch.device) -> dict[str, float]:
    """FLOP/s of square products."""
    wide = [torch.randn(side, side, device=device, dtype=BF16) for _ in range(2)]
    narrow, scale = quantised(wide[0], "tensor")
    weight = wide[1].to(FP8)
    works = {
        "bf16": lambda: wide[0] @ wide[1].T,
        "fp8": lambda: float8_product(narrow, scale, weight, None, BF16),
    }
    return {name: 2 * side**3 / seconds(work, 20, device, 3) for name, work in works.items()}


def attention_seconds(scale: Scale, device: torch.device) -> dict[str, float | str]:
    """Of one block's attention, by each of torch's kernels that runs here."""
    tokens = scale.rows * scale.columns // 4 + scale.text
    shape = (1, tokens, scale.size.width // scale.size.head, scale.size.head)
    parts = [torch.randn(shape, device=device, dtype=BF16).transpose(1, 2) for _ in range(3)]
    found: dict[str, float | str] = {}
    for name in ("default", "cudnn", "flash", "efficient"):
        try:
            with attention_by(name):  # type: ignore[arg-type]
                found[name] = seconds(lambda: functional.scaled_dot_product_attention(*parts), 10, device, 2)
        except RuntimeError as error:
            found[name] = str(error)[:200]
    return found


def copy_rate(device: torch.device) -> float | None:
    """Bytes a second from pinned memory."""
    if device.type != "cuda":
        return None
    host = torch.empty(GIB // 4, dtype=torch.uint8, pin_memory=True)
    there = torch.empty_like(host, device=device)
    return host.numel() / seconds(lambda: there.copy_(host, non_blocking=True), 5, device)


def random_value(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if len(shape) < 2:
        return (0.1 * torch.randn(shape, device=device, dtype=BF16) + (dtype == BF16)).to(dtype)
    fan = shape[1:].numel()
    return (torch.randn(shape, device=device, dtype=BF16) / fan**0.5).to(dtype)


def random_model(scale: Scale, device: torch.device, held: torch.device) -> Any:
    """Made on ``device`` tensor by tensor, and put on ``held``."""
    model = TransformerShape.of(transformer_shapes(scale.size), "random").build()
    store_linears(model)
    for owner in model.modules():
        dtype = FP8 if isinstance(owner, StoredLinear) else BF16
        for leaf, value in owner._parameters.items():
            if value is not None:
                made = random_value(value.shape, dtype, device).to(held)
                owner._parameters[leaf] = torch.nn.Parameter(made, requires_grad=False)
    return model.eval()


def add_loras(denoiser: Denoiser, rank: int) -> None:
    for block in block_list(denoiser.model):
        for layer in block.modules():
            if isinstance(layer, StoredLinear):
                down = random_value(torch.Size((rank, layer.in_features)), BF16, denoiser.device)
                up = random_value(torch.Size((layer.out_features, rank)), BF16, denoiser.device)
                layer.adapters["one"] = LowRank(down, up, 1.0)


def products(model: Any, scale: Scale) -> tuple[float, float]:
    """FLOP of one evaluation in the layers of blocks, and in attention."""
    picture, text = scale.rows * scale.columns // 4, scale.text
    linear = 0.0
    for kind, blocks in (("double", model.transformer_blocks), ("single", model.single_transformer_blocks)):
        for block in blocks:
            for name, layer in block.named_modules():
                if isinstance(layer, StoredLinear):
                    of_text = "add_" in name or "context" in name
                    tokens = picture + text if kind == "single" else text if of_text else picture
                    linear += 2.0 * layer.weight.numel() * (1 if "norm" in name else tokens)
    attention = 4.0 * (picture + text) ** 2 * scale.size.width * len(block_list(model))
    return linear, attention


class Bench:
    """One denoiser's inputs, and the measurement of a way to run it."""

    def __init__(self, scale: Scale, device: torch.device, rates: dict[str, float]) -> None:
        self.scale, self.device, self.rates = scale, device, rates
        size = scale.size
        tokens = scale.rows * scale.columns // 4
        self.sample = torch.randn(1, tokens, 4 * size.latents, device=device, dtype=BF16)
        self.time = torch.tensor([0.7], device=device, dtype=BF16)
        self.prompt = PromptEmbeddings(
            torch.randn(1, scale.text, size.text, device=device, dtype=BF16),
            torch.randn(1, size.pooled, device=device, dtype=BF16),
        )

    def conditions(self, denoiser: Denoiser) -> Conditions:
        guidance = torch.full((1,), 3.5, device=self.device)
        return denoiser.conditions(self.prompt, places(self.scale.rows, self.scale.columns), guidance)

    @torch.inference_mode()
    def measure(self, denoiser: Denoiser, kernels: bool) -> dict[str, Any]:
        reset_peak(self.device)
        started = settle(self.device)
        with denoiser.run():
            conditions = self.conditions(denoiser)

            def evaluate() -> torch.Tensor:
                return denoiser.evaluate(self.sample, self.time, conditions)

            result = evaluate()
            first = settle(self.device) - started
            taken = seconds(evaluate, self.scale.evaluations, self.device)
            found = longest_kernels(evaluate, self.device) if kernels else None
        linear, attention = products(denoiser.model, self.scale)
        rate = self.rates["fp8" if denoiser.execution.products == "scaled" else "bf16"]
        ideal = linear / rate + attention / self.rates["bf16"]
        return {
            "seconds": round(taken, 5),
            "first_seconds": round(first, 3),
            "tflops": round((linear + attention) / taken / 1e12, 2),
            "fraction": round(ideal / taken, 3),
            "reserved_gib": reserved_gib(self.device),
            "finite": bool(result.isfinite().all()),
            **({} if found is None else {"kernels": found}),
        }


def longest_kernels(work: Callable[[], object], device: torch.device, count: int = 14) -> dict[str, float] | None:
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as record:
        work()
        settle(device)
    events = sorted(record.key_averages(), key=lambda event: -event.self_device_time_total)[:count]
    return {f"{event.key[:90]} x{event.count}": round(event.self_device_time_total / 1e3, 2) for event in events}


def as_written(model: Any) -> None:
    """Takes the compiler and scaled products off again."""
    torch._dynamo.reset()
    for block in block_list(model):
        block._compiled_call_impl = None
        for layer in block.modules():
            if isinstance(layer, StoredLinear):
                layer.product = widened_product


def autoencoder(scale: Scale, device: torch.device) -> Any:
    """With random weights."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = scale.size.levels
    kinds: dict[str, Any] = {
        "block_out_channels": levels,
        "down_block_types": ("DownEncoderBlock2D",) * len(levels),
        "up_block_types": ("UpDecoderBlock2D",) * len(levels),
    }
    with torch.device(device):
        model = AutoencoderKL(
            **kinds,
            layers_per_block=scale.size.residuals,
            latent_channels=scale.size.latents,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=SHIFT,
            scaling_factor=SCALING,
        )
    # Not diffusers' own, which warns about nothing.
    return torch.nn.Module.to(model, BF16 if device.type == "cuda" else torch.float32).eval()


def picture_work(model: Any, scale: Scale, device: torch.device, way: str, tiled: bool) -> dict[str, Any]:
    """Encoding or decoding a whole picture, whatever else is held."""
    latents = torch.randn(1, scale.size.latents, scale.rows, scale.columns, device=device)
    side = pixels_per_latent(model)
    picture = np.random.default_rng(1).integers(0, 256, (scale.rows * side, scale.columns * side, 3), dtype=np.uint8)
    reset_peak(device)
    with torch.inference_mode():
        taken = seconds(
            partial(decode_latents, model, latents, tiled=tiled)
            if way == "decode"
            else partial(encode_picture, model, picture, latents, tiled=tiled),
            1,
            device,
        )
    return {"seconds": round(taken, 4), "reserved_gib": reserved_gib(device)}


def guarded(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What one way gives, or why it does not run: the others are worth having all the same."""
    try:
        return work()
    except Exception as error:
        gc.collect()
        return {"error": f"{type(error).__name__}: {str(error)[:600]}"}


def run(options: argparse.Namespace) -> dict[str, Any]:
    scale, device = SCALES[options.width], torch.device(options.device)
    cuda = device.type == "cuda"
    if cuda and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    compiled = (False,) if options.no_compile else (False, True)
    rates = matrix_rates(scale.matrix, device)
    attention = attention_seconds(scale, device)
    timed = {name: value for name, value in attention.items() if isinstance(value, float)}
    back_end = min(timed, key=lambda name: timed[name]) if options.attention == "fastest" else options.attention
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "torch": torch.__version__,
        "width": options.width,
        "matrix_tflops": {name: round(rate / 1e12, 2) for name, rate in rates.items()},
        "copy_gb_s": None if (rate := copy_rate(device)) is None else round(rate / 1e9, 1),
        "attention_seconds": attention,
        "attention": back_end,
        "lora_rank": options.lora_rank,
    }
    bench = Bench(scale, device, rates)

    def ways(model: Any, name: str, base: FluxExecution, kinds: tuple[str, ...], compiled: tuple[bool, ...]) -> None:
        for kind in kinds:
            for compile_it in compiled:
                way = f"{name}_{kind}" + ("_compiled" if compile_it else "")
                if options.only and not any(part in way for part in options.only):
                    continue
                as_written(model)
                result[way] = guarded(partial(one_way, model, bench, execution_of(base, kind), compile_it, options))
                print(f"{way}: {result[way].get('seconds', result[way].get('error'))}", file=sys.stderr, flush=True)

    base = FluxExecution(attention=back_end)
    model = random_model(scale, device, device)
    sizes = [parameter_bytes(block) for block in block_list(model)]
    rest = parameter_bytes(model) - sum(sizes)
    held = torch.cuda.memory_allocated(device) if cuda else 0
    result["transformer_gib"] = round((sum(sizes) + rest) / GIB, 3)
    ways(model, "resident", base, ("upcast", "scaled", "scaled_row"), compiled)
    peaks = [found["reserved_gib"] for found in result.values() if isinstance(found, dict) and "reserved_gib" in found]
    working = max((int(peak * GIB) for peak in peaks if peak is not None), default=held) - held
    result["working_gib"] = round(working / GIB, 3)
    del model
    reset_peak(device)

    cap = int(options.cap_gib * GIB)
    if cuda:
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap / total), device)
    resident = most_resident_blocks(sizes, cap - working - rest - SPARE if cuda else sum(sizes) * 2 // 3)
    result["cap_gib"], result["resident_blocks"] = options.cap_gib, resident
    if resident is None:
        result["streamed"] = {"error": "The slots alone do not fit under the cap."}
        return result
    for name, count, choices in (("streamed", resident, compiled), ("all_streamed", 0, compiled[:1])):
        model = random_model(scale, device, torch.device("cpu"))
        ways(model, name, attrs.evolve(base, streamed=True, resident_blocks=count), ("upcast", "scaled"), choices)
        if name == "streamed":
            as_written(model)
            denoiser = Denoiser(model, attrs.evolve(base, streamed=True, resident_blocks=count), device)
            pictures = autoencoder(scale, device)
            for way in ("encode", "decode"):
                for tiled in (True, False):
                    work = partial(picture_work, pictures, scale, device, way, tiled)
                    result[f"{way}_tiled" if tiled else way] = guarded(work)
            del denoiser, pictures
        del model
        reset_peak(device)
    return result


def execution_of(base: FluxExecution, kind: str) -> FluxExecution:
    return attrs.evolve(
        base,
        products="upcast" if kind == "upcast" else "scaled",
        activation_scale="row" if kind == "scaled_row" else "tensor",
    )


def one_way(
    model: Any, bench: Bench, execution: FluxExecution, compile_it: bool, options: argparse.Namespace
) -> dict[str, Any]:
    gc.collect()
    denoiser = Denoiser(model, execution, bench.device)
    if options.lora_rank:
        add_loras(denoiser, options.lora_rank)
    if compile_it:
        denoiser.compile()
    return bench.measure(denoiser, kernels=not execution.streamed)


def missed(result: dict[str, Any]) -> list[str]:
    """The targets that were not met, in words; only what was measured counts."""
    ways = {name: way for name, way in result.items() if isinstance(way, dict) and "seconds" in way}
    found = [f"{name}: not finite" for name, way in ways.items() if not way.get("finite", True)]
    for kind in ("upcast", "scaled"):
        resident = {name: way["fraction"] for name, way in ways.items() if name.startswith(f"resident_{kind}")}
        if resident and max(resident.values()) < FRACTION:
            found.append(f"resident_{kind}: a fraction of {max(resident.values())} at best")
    for name, way in ways.items():
        capped = name.startswith(("streamed", "all_streamed", "encode_tiled", "decode_tiled"))
        if capped and (way["reserved_gib"] or 0.0) > result["cap_gib"]:
            found.append(f"{name}: {way['reserved_gib']} GiB reserved")
        if name.startswith("streamed") and (there := ways.get(name.replace("streamed", "resident"))):
            ratio = way["seconds"] / there["seconds"]
            if ratio > STREAMED_LIMIT:
                found.append(f"{name}: {ratio:.2f} of resident")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--width", choices=list(SCALES), default="published")
    parser.add_argument("--cap-gib", type=float, default=11.5)
    parser.add_argument("--attention", default="fastest", help="or default, cudnn, flash, efficient")
    parser.add_argument("--lora-rank", type=int, default=0, help="of a LoRA beside every layer of the blocks")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--only", nargs="*", help="parts of names of ways, such as resident_scaled")
    parser.add_argument("--out", type=Path, help="the JSON also goes there")
    options = parser.parse_args()
    result = run(options)
    result["missed"] = missed(result) if options.width == "published" else []
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 1 if result["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
