"""What the first-block cache leaves out and what that changes, by its threshold. Prints JSON and a table.

Run ``python tests/benchmarks/bench_first_block_cache.py`` on a machine with CUDA, or with ``--device cpu --width tiny``
for a look at it. One drawing of so many ``--steps`` from noise, as the quality preset does without its ControlNet, with
random weights: without the cache, and with each of ``--thresholds``. ``error``: of the final latents, ||x - x0|| /
||x0||, x0 without the cache.

Random networks of time change wildly from step to step, trained ones slowly: what the blocks are told of the time is
made ``--time`` times as strong. How much is left out at a threshold follows from that and says nothing of published
weights; how large the error is beside what was left out says more, and is no promise either.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "backend"), str(ROOT / "protocol")]

from tests.benchmarks.bench_flux_step import BF16, SCALES, Bench, Scale, random_model, settle  # noqa: E402
from tests.fakes.tiny.flux import Size  # noqa: E402

from kiss3d_backend.networks.flux.denoiser import Denoiser  # noqa: E402
from kiss3d_backend.networks.flux.execution import FluxExecution  # noqa: E402
from kiss3d_backend.networks.flux.first_block_cache import FirstBlockCache  # noqa: E402
from kiss3d_backend.networks.flux.latents import places  # noqa: E402
from kiss3d_backend.networks.flux.schedule import flux_sigmas, resolution_shift  # noqa: E402
from kiss3d_backend.networks.flux.solver import evaluation_sigmas, solve  # noqa: E402
from kiss3d_backend.networks.flux.velocity import FluxVelocity  # noqa: E402

GUIDANCE = 3.5
THRESHOLDS = (0.03, 0.06, 0.1, 0.2, 0.4)
WIDTHS = {
    "published": SCALES["published"],
    "tiny": Scale(Size(width=128, double=3, single=6), rows=8, columns=16, text=16, matrix=64, evaluations=2),
}


class Drawing:
    """One prompt and one noise, drawn again with any threshold."""

    def __init__(self, scale: Scale, device: torch.device, steps: int, products: str, time_share: float) -> None:
        torch.manual_seed(0)
        model = random_model(scale, device, device)
        embedding = model.time_text_embed.timestep_embedder.linear_2
        for value in (embedding.weight, embedding.bias):
            value.data = (value.float() * time_share).to(value.dtype)
        self._denoiser = Denoiser(model, FluxExecution(products=products), device)  # type: ignore[arg-type]
        self._bench = Bench(scale, device, {})
        self._scale, self._device = scale, device
        tokens = scale.rows * scale.columns // 4
        self._sigmas = flux_sigmas(steps, resolution_shift(tokens))

    @torch.inference_mode()
    def latents(self, threshold: float | None) -> tuple[torch.Tensor, int, float]:
        """Final latents, evaluations that were left out, seconds."""
        cache = None if threshold is None else FirstBlockCache(threshold)
        began = settle(self._device)
        with self._denoiser.run():
            velocity = FluxVelocity(
                self._denoiser,
                self._bench.prompt,
                places(self._scale.rows, self._scale.columns),
                evaluation_sigmas(self._sigmas, "euler"),
                GUIDANCE,
                cache=cache,
            )
            sample = self._bench.sample.float()
            for step in solve(velocity, sample, self._sigmas, "euler"):
                sample = step.sample
        return sample, 0 if cache is None else cache.skipped, settle(self._device) - began


def measure(options: argparse.Namespace) -> dict[str, Any]:
    device = torch.device(options.device)
    float8 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)
    drawing = Drawing(WIDTHS[options.width], device, options.steps, "scaled" if float8 else "upcast", options.time)
    drawing.latents(None)
    plain, _, seconds = drawing.latents(None)
    lines: list[dict[str, Any]] = []
    for threshold in options.thresholds:
        found, skipped, taken = drawing.latents(threshold)
        lines.append(
            {
                "threshold": threshold,
                "left_out": skipped,
                "error": round(float((found - plain).norm() / plain.norm()), 4),
                "seconds": round(taken, 3),
            }
        )
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "torch": torch.__version__,
        "width": options.width,
        "dtype": str(BF16),
        "steps": options.steps,
        "time": options.time,
        "seconds": round(seconds, 3),
        "thresholds": lines,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--width", choices=list(WIDTHS), default="published")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--time", type=float, default=0.1, help="how strong the blocks' knowledge of the time is")
    parser.add_argument("--thresholds", type=float, nargs="+", default=THRESHOLDS)
    parser.add_argument("--out", type=Path, help="the JSON also goes there")
    options = parser.parse_args()
    began = time.monotonic()
    result = measure(options)
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    print(text)
    print(f"{'threshold':>9} {'left out':>8} {'error':>7} {'seconds':>8}", file=sys.stderr)
    print(f"{'none':>9} {0:8} {0:7.4f} {result['seconds']:8.2f}", file=sys.stderr)
    for line in result["thresholds"]:
        told = f"{line['threshold']:9.2f} {line['left_out']:8} {line['error']:7.4f} {line['seconds']:8.2f}"
        print(told, file=sys.stderr)
    print(f"{time.monotonic() - began:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
