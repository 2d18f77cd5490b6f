"""Seconds of the full-size LRM with random weights, part by part, and the longest wait for a cancel. Prints JSON.

``cpu_seconds`` are those of all threads together, which other programs on the machine do not lengthen. The longest step
lies between two looks for a cancel; by the processor, over ``--threads``, it is about what a quiet machine takes.

Run ``python tests/benchmarks/bench_lrm.py [--threads 2] [--device cpu] [--dtype float32] [--resolution 128]``. The
learned tokens are set so that the surface is about a ball of radius .6, as in the tests' tiny model. ``--layers 1``: of
both transformers, for the longest step alone, which is the same in every layer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes.tiny.lrm import tiny_lrm

from kiss3d_backend.mesh.camera import from_lrm_frame, lrm_camera_vectors
from kiss3d_backend.mesh.cleanup.clean import clean
from kiss3d_backend.mesh.flexicubes.cells import find_surface_cells
from kiss3d_backend.mesh.flexicubes.grid import grid_positions
from kiss3d_backend.mesh.flexicubes.surface import extract_surface
from kiss3d_backend.mesh.flexicubes.weights import cell_weights
from kiss3d_backend.networks.lrm.field import TriplaneField
from kiss3d_backend.networks.lrm.geometry import GRID_SCALE, bounded, vertex_colours, with_a_surface
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.lrm.shape import LrmShape


class Clock:
    """``lap``: seconds between one call and the next. ``step``: notes the longest time between two calls, by the clock
    and by the processor."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.longest_step = self.longest_cpu_step = 0.0
        self.longest_place = 0
        self._steps = 0
        self.most_resident = 0
        self._device = device
        self._lap = self._step = time.perf_counter()
        self._cpu = self._cpu_step = time.process_time()

    def lap(self, name: str) -> None:
        self.step()
        self.seconds[name] = round(self._step - self._lap, 3)
        self._lap = self._step
        cpu = time.process_time()
        self.cpu_seconds[name] = round(cpu - self._cpu, 3)
        self._cpu = cpu

    def step(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now, cpu = time.perf_counter(), time.process_time()
        self._steps += 1
        self.longest_step = max(self.longest_step, now - self._step)
        if cpu - self._cpu_step > self.longest_cpu_step:
            self.longest_cpu_step, self.longest_place = cpu - self._cpu_step, self._steps
        self._cpu_step = cpu
        self.most_resident = max(self.most_resident, psutil.Process().memory_info().rss)
        self._step = now


def full_size(device: torch.device, dtype: torch.dtype, layers: int | None) -> Lrm:
    shape = LrmShape() if layers is None else LrmShape(image_layers=layers, layers=layers)
    with torch.device("meta"):
        model = Lrm(shape)
    model.load_state_dict(tiny_lrm(shape=shape), assign=True)
    model.requires_grad_(False).eval().to(device)
    model.encoder.to(dtype)
    model.transformer.to(dtype)
    return model


def measure(model: Lrm, device: torch.device, resolution: int) -> dict[str, object]:
    views = torch.rand(1, 4, 3, 512, 512, device=device)
    cameras = torch.from_numpy(lrm_camera_vectors())[None].to(device)
    grid = grid_positions(resolution, GRID_SCALE, device)
    clock = Clock(device)
    tokens = model.encoder(views.flatten(0, 1), cameras.flatten(0, 1), clock.step)
    clock.lap("encoder")
    planes = model.transformer(tokens.flatten(0, 1)[None], clock.step)
    clock.lap("transformer")
    field = TriplaneField(model, planes, check=clock.step)
    values = with_a_surface(field.values(grid), resolution)
    clock.lap("field")
    cells = find_surface_cells(values, resolution)
    clock.lap("flexicubes_cells")
    weights = cell_weights(field.weights(grid, cells.corners))
    clock.lap("weights")
    used = torch.unique(cells.corners)
    positions = grid.clone()
    positions[used] += bounded(field.deformations(grid[used]), resolution)
    clock.lap("deformations")
    surface = extract_surface(positions, values, cells, weights)
    clock.lap("flexicubes_surface")
    longest = {
        "seconds": round(clock.longest_step, 3),
        "cpu_seconds": round(clock.longest_cpu_step, 3),
        "number": clock.longest_place,
        "of_them_in_the_transformers": model.steps(4, 512),
    }
    cleaned = clean(
        from_lrm_frame(surface.vertices.cpu().numpy()), surface.faces.flip(1).cpu().numpy().astype(np.int32)
    )
    clock.lap("clean_up")
    vertex_colours(field, surface.vertices)
    clock.lap("colours")
    return {
        "surface_cells": len(cells.cells),
        "faces": len(surface.faces),
        "closed": cleaned.closed,
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "seconds_in_all": round(sum(clock.seconds.values()), 2),
        "longest_step_without_clean_up": longest,
        "most_resident_mb_at_a_step": clock.most_resident // 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--layers", type=int)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device, dtype = torch.device(chosen.device), getattr(torch, chosen.dtype)
    model = full_size(device, dtype, chosen.layers)
    before = psutil.Process().memory_info().rss
    with torch.inference_mode():
        result = measure(model, device, chosen.resolution)
    result |= {
        "threads": chosen.threads,
        "device": str(device),
        "dtype": chosen.dtype,
        "resident_mb_before": before // 2**20,
    }
    if device.type == "cuda":
        result["peak_device_mb"] = torch.cuda.max_memory_allocated(device) // 2**20
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
