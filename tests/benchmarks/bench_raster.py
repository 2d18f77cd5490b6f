"""Milliseconds of each rasteriser, forward and backward, for balls of several sizes. Prints JSON.

Run ``python tests/benchmarks/bench_raster.py [--device cuda] [--faces 5000 50000 200000] [--back-ends numba torch]``.
Four views of 512 x 512; the least of some runs, after one that compiles. With ``--check`` it also compares each back
end with plain torch, on a stream of its own where there are streams, and ends with an error when they differ: that is
the test for a machine with a GPU. ``--faces 2000000`` is the largest mesh that must work.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.mesh.raster.scenes import ball, soup

from kiss3d_backend.mesh.edges import face_neighbours
from kiss3d_backend.mesh.raster.torch_api import BACK_ENDS, Rasterizer, choose

SIZE = (512, 512)
AZIMUTHS = (0.0, 90.0, 180.0, 270.0)
TOLERANCE = 1e-4


class Scene:
    """A mesh on a device, with a colour for each vertex."""

    def __init__(self, clip: torch.Tensor, triangles: torch.Tensor, device: torch.device) -> None:
        neighbours = torch.from_numpy(face_neighbours(triangles.numpy(), clip.shape[1]))
        self.clip = clip.to(device).requires_grad_()
        self.triangles, self.adjacency = triangles.to(device), neighbours.to(device)
        generator = torch.Generator().manual_seed(0)
        self.colours = torch.rand((clip.shape[1], 3), generator=generator).to(device).requires_grad_()

    @classmethod
    def of_faces(cls, faces: int, device: torch.device) -> Scene:
        side = max(3, round((faces / 2) ** 0.5))
        made = ball(side, side, AZIMUTHS)
        return cls(torch.from_numpy(made.clip), torch.from_numpy(made.triangles), device)


def milliseconds(function: Callable[[], object], device: torch.device, seconds: float = 1.0) -> float:
    """The least time of one call, from at least two of them."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < 2 or (time.perf_counter() < ends and len(times) < 30):
        started = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return round(min(times) * 1000, 2)


def measured(rasterizer: Rasterizer, scene: Scene, device: torch.device) -> dict[str, float]:
    clip, triangles = scene.clip, scene.triangles
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    image = rasterizer.interpolate(scene.colours, fragments, clip, triangles)
    fixed = image.detach().requires_grad_()
    blended = rasterizer.antialias(fixed, fragments, clip, triangles, scene.adjacency)
    weights = torch.rand_like(image)

    def backward(value: torch.Tensor, *inputs: torch.Tensor) -> Callable[[], object]:
        return lambda: torch.autograd.grad(value, inputs, weights, retain_graph=True)

    parts: dict[str, Callable[[], object]] = {
        "rasterize": lambda: rasterizer.rasterize(clip, triangles, SIZE),
        "interpolate": lambda: rasterizer.interpolate(scene.colours, fragments, clip, triangles),
        "interpolate_backward": backward(image, scene.colours, clip),
        "antialias": lambda: rasterizer.antialias(fixed, fragments, clip, triangles, scene.adjacency),
        "antialias_backward": backward(blended, fixed, clip),
    }
    return {name: milliseconds(function, device) for name, function in parts.items()}


def results(rasterizer: Rasterizer, scene: Scene, size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    fragments = rasterizer.rasterize(scene.clip, scene.triangles, size)
    image = rasterizer.interpolate(scene.colours, fragments, scene.clip, scene.triangles)
    out = rasterizer.antialias(image, fragments, scene.clip, scene.triangles, scene.adjacency)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device).reshape(out.shape)
    gradients = torch.autograd.grad(out, (scene.colours, scene.clip), weights)
    return (fragments.triangle, fragments.barycentric, fragments.depth, out.detach(), *gradients)


def difference(rasterizer: Rasterizer, oracle: Rasterizer, device: torch.device) -> float:
    """The largest difference from plain torch over random meshes, relative to the largest value; inf when a pixel shows
    another triangle."""
    worst = 0.0
    for seed in range(8):
        made = soup(seed, 400, behind=0.1 * (seed % 2)) if seed < 6 else ball(60, 90)
        scene = Scene(torch.from_numpy(made.clip), torch.from_numpy(made.triangles), device)
        # A slow start on the stream shows whether the kernels wait for what was put there before them.
        stream = torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()
        with stream:
            if device.type == "cuda":
                torch.cuda._sleep(20_000_000)
            scene.clip = (scene.clip.detach() * 1.0).requires_grad_()
            ours = [value.cpu() for value in results(rasterizer, scene, (64, 80))]
        theirs = [value.cpu() for value in results(oracle, scene, (64, 80))]
        if not torch.equal(ours[0], theirs[0]):
            return float("inf")
        for one, other in zip(ours[1:], theirs[1:], strict=True):
            worst = max(worst, float((one - other).abs().max() / other.abs().max().clamp(min=1e-6)))
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--faces", type=int, nargs="+", default=[5_000, 50_000, 200_000])
    parser.add_argument("--back-ends", nargs="+", choices=list(BACK_ENDS), default=["numba", "warp", "torch"])
    parser.add_argument("--check", action="store_true", help="compare each back end with plain torch")
    options = parser.parse_args()
    device = torch.device(options.device)
    document: dict[str, object] = {"device": str(device), "cores": os.cpu_count(), "torch": torch.__version__}
    if device.type == "cuda":
        document["name"] = torch.cuda.get_device_name(device)
    worst = 0.0
    for name in options.back_ends:
        started = time.perf_counter()
        rasterizer = choose(device, name)
        entry: dict[str, object] = {"seconds_to_start": round(time.perf_counter() - started, 2)}
        if rasterizer.choice.back_end != name:
            entry["left_out"] = rasterizer.choice.reason
        else:
            entry |= {
                str(faces): measured(rasterizer, Scene.of_faces(faces, device), device) for faces in options.faces
            }
            if options.check:
                entry["difference"] = difference(rasterizer, choose(device, "torch"), device)
                worst = max(worst, float(entry["difference"]))  # pyright: ignore[reportArgumentType]
        document[name] = entry
    print(json.dumps(document, indent=2))
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
