"""Refinement of procedural shapes: how near it comes, how long it takes. Prints a table, then JSON.

Run ``python tests/benchmarks/bench_refine.py [--only NAME ...] [--device cuda] [--back-end NAME] [--profile]
[--preset NAME] [--write-baseline]``. Processor seconds are those of all threads of this process together; set
OMP_WAIT_POLICY=passive, or threads that wait count too. The last lines compare with the plain torch back end: a few
steps at the full number of faces, of the first shape, by both. ``--profile`` prints where the processor seconds of the
first shape go.
Each shape is rendered to normals and masks of 4 x 512 x 512, smoothed and noised, and refined. Chamfer is the mean of
both mean distances from 100 000 points on one surface to the other; normal consistency the mean of both mean cosines
there; IoU the least of the four views. ``refine-baseline.json`` has the figures to compare with.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from pathlib import Path

import attrs
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.surface_distance import compared  # noqa: E402
from tests.mesh.solids import SOLIDS, smoothed_and_noised, solid  # noqa: E402

from kiss3d_backend.mesh.camera import bundle_cameras  # noqa: E402
from kiss3d_backend.mesh.edges import is_closed  # noqa: E402
from kiss3d_backend.mesh.normals import vertex_normals  # noqa: E402
from kiss3d_backend.mesh.raster import rasterize  # noqa: E402
from kiss3d_backend.mesh.raster.choose import choose  # noqa: E402
from kiss3d_backend.mesh.raster.torch_api import Rasterizer  # noqa: E402
from kiss3d_backend.mesh.refine.refine import refine  # noqa: E402
from kiss3d_backend.mesh.refine.settings import PRESETS, RefineSettings  # noqa: E402
from kiss3d_backend.mesh.refine.views import Views  # noqa: E402
from kiss3d_backend.mesh.types import Mesh  # noqa: E402

BASELINE = Path(__file__).with_name("refine-baseline.json")
SIZE = 512
FEW_STEPS = 3


def rendered(mesh: Mesh, size: int = SIZE) -> Views:
    """World normals and masks of the four views of a bundle."""
    cameras = bundle_cameras()
    clip = np.stack([camera.clip(mesh.positions) for camera in cameras]).astype(np.float32)
    fragments = rasterize(clip, mesh.triangles, (size, size))
    normals = vertex_normals(mesh.positions, mesh.triangles)
    picture = np.einsum("nhwk,nhwkc->nhwc", fragments.barycentric, normals[mesh.triangles[fragments.triangle]])
    picture /= np.maximum(np.linalg.norm(picture, axis=-1, keepdims=True), 1e-6)
    return Views(picture.astype(np.float32), fragments.covered, cameras)


def least_iou(mesh: Mesh, views: Views) -> float:
    masks = rendered(mesh).masks
    return min(float((a & b).sum() / (a | b).sum()) for a, b in zip(masks, views.masks, strict=True))  # pyright: ignore[reportOperatorIssue]


def peak_memory_mib() -> int | None:
    """Of this process, with all that the benchmark itself holds; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def timed(mesh: Mesh, views: Views, settings: RefineSettings, rasterizer: Rasterizer) -> tuple[Mesh, float, float]:
    """The refined mesh, seconds by the clock, and seconds of processor."""
    began, began_processor = time.monotonic(), time.process_time()
    result = refine(mesh, views, settings, rasterizer)
    return result, time.monotonic() - began, time.process_time() - began_processor


def against_torch(name: str, preset: str, device: str, back_end: str | None) -> dict[str, object]:
    """A step of the chosen back end beside one of plain torch, on a mesh of the full number of faces."""
    views, settings = rendered(solid(name)), PRESETS[preset]
    full = refine(smoothed_and_noised(solid(name)), views, settings, choose(device, back_end))
    # Edges stay as long as they are, so that every step has as many faces.
    fine = attrs.evolve(settings.fine, steps=FEW_STEPS, longest_edge=settings.fine.shortest_edge)
    rows: dict[str, tuple[float, float]] = {}
    for other in (back_end, "torch"):
        rasterizer = choose(device, other)
        _, *seconds = timed(full, views, attrs.evolve(settings, fine=fine), rasterizer)
        rows[rasterizer.choice.back_end] = (seconds[0] / FEW_STEPS, seconds[1] / FEW_STEPS)
    ours = next(iter(rows))
    here, torch = rows[ours], rows["torch"]
    return {
        "shape": name,
        "faces": len(full.triangles),
        "back_end": ours,
        "seconds_of_step": round(here[0], 3),
        "seconds_of_step_torch": round(torch[0], 3),
        "times_faster": round(torch[0] / here[0], 1),
        "times_faster_processor": round(torch[1] / here[1], 1),
    }


def profiled(name: str, preset: str, device: str, back_end: str | None) -> None:
    """Prints the functions that take the most processor time of one refinement."""
    views, start = rendered(solid(name)), smoothed_and_noised(solid(name))
    profile = cProfile.Profile(time.process_time)
    profile.runcall(refine, start, views, PRESETS[preset], choose(device, back_end))
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def run(name: str, preset: str, device: str, back_end: str | None) -> dict[str, object]:
    truth = solid(name)
    views = rendered(truth)
    start = smoothed_and_noised(truth)
    rasterizer = choose(device, back_end)
    result, seconds, processor_seconds = timed(start, views, PRESETS[preset], rasterizer)
    before, before_normals = compared(start, truth)
    after, after_normals = compared(result, truth)
    return {
        "chamfer_before": round(before, 5),
        "chamfer_after": round(after, 5),
        "ratio": round(after / before, 3),
        "normals_before": round(before_normals, 4),
        "normals_after": round(after_normals, 4),
        "iou_before": round(least_iou(start, views), 4),
        "iou_after": round(least_iou(result, views), 4),
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds, 2),
        "faces": len(result.triangles),
        "closed": is_closed(result.triangles, len(result.positions)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=sorted(SOLIDS), default=list(SOLIDS))
    parser.add_argument("--preset", choices=sorted(PRESETS), default="fast")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--back-end", default=None, help="numba, warp, torch, ...")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--write-baseline", action="store_true")
    options = parser.parse_args()
    # Compiling (first run) and reading what was compiled (later runs) is not what is measured.
    refine(
        smoothed_and_noised(solid("plate", 32)),
        rendered(solid("plate", 32)),
        PRESETS["draft"],
        choose(options.device, options.back_end),
    )
    results = {}
    print(
        f"{'shape':12} {'Chamfer':>17} {'ratio':>6} {'normals':>13} {'IoU':>13} "
        f"{'s':>6} {'cpu s':>6} {'faces':>7} closed"
    )
    for name in options.only:
        row = results[name] = run(name, options.preset, options.device, options.back_end)
        print(
            f"{name:12} {row['chamfer_before']:.5f} > {row['chamfer_after']:.5f} {row['ratio']:6.3f} "
            f"{row['normals_before']:.3f} > {row['normals_after']:.3f} "
            f"{row['iou_before']:.3f} > {row['iou_after']:.3f} "
            f"{row['seconds']:6.2f} {row['processor_seconds']:6.2f} {row['faces']:7} {row['closed']}",
            flush=True,
        )
    medians = {
        key: statistics.median(row[key] for row in results.values())
        for key in ("ratio", "normals_after", "seconds", "processor_seconds")
    }
    peak = peak_memory_mib()
    if options.profile:
        profiled(options.only[0], options.preset, options.device, options.back_end)
    summary = {
        "shapes": results,
        "median": medians,
        "least_iou": min(r["iou_after"] for r in results.values()),
        "peak_mib": peak,
        "against_torch": against_torch(options.only[0], options.preset, options.device, options.back_end),
    }
    print(json.dumps(summary, indent=2))
    if options.write_baseline:
        BASELINE.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
