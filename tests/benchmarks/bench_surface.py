"""Seconds and fidelity of clean-up, decimation, unwrapping and baking for procedural solids. Prints JSON.

Run ``python tests/benchmarks/bench_surface.py [--faces 20000] [--side 2048] [--solids chair mug ...] [--sheet PNG]``.
Each solid is painted, rendered to its four views, decimated and baked from these views; PSNR compares the views
with the result's inside the silhouette. ``--sheet`` writes them as a picture: views, results, 4 x the difference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import attrs
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.mesh.painted import painted, psnr
from tests.mesh.solids import SOLIDS, solid

from kiss3d_backend.mesh.bake.colours import bake_colours
from kiss3d_backend.mesh.bake.normal_map import bake_normal_map
from kiss3d_backend.mesh.bake.texels import find_texels
from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.cleanup import clean
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.mesh.surface.view import bundle_views
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.unwrap import unwrap


class Clock:
    """Seconds between one call and the next: by the clock, and of processors, of all threads and processes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.processor_seconds: dict[str, float] = {}
        self._last = time.perf_counter(), sum(os.times()[:4])

    def lap(self, name: str) -> None:
        now = time.perf_counter(), sum(os.times()[:4])
        self.seconds[name], self.processor_seconds[name] = (
            round(after - before, 3) for after, before in zip(now, self._last, strict=True)
        )
        self._last = now


def measure(name: str, faces: int, side: int) -> tuple[dict[str, object], np.ndarray]:
    original = painted(solid(name, 200))
    wanted = render_bundle([original])
    masks = foreground(wanted.normals).mask
    clock = Clock()
    cleaned = clean(original.positions, original.triangles)
    clock.lap("clean_up")
    simple = simplify(cleaned.positions, cleaned.triangles, faces)
    clock.lap("decimate")
    unwrapped = unwrap(simple.positions, simple.triangles, texture_size=side)
    clock.lap("unwrap")
    mesh = Mesh(simple.positions, simple.triangles, unwrapped.uvs, unwrapped.uv_triangles)
    texels = find_texels(unwrapped.uvs, unwrapped.uv_triangles, side)
    clock.lap("texels")
    baked = bake_colours(mesh, bundle_views(wanted.colours, masks), side, texels=texels)
    clock.lap("bake_colours")
    bake_normal_map(mesh, cleaned.positions, cleaned.triangles, side, texels=texels)
    clock.lap("bake_normals")
    textured = render_bundle([attrs.evolve(mesh, texture=baked.texture)])
    coloured = render_bundle([Mesh(mesh.positions, mesh.triangles, colours=baked.surface.rgba())])
    textures = zip(textured.colours, wanted.colours, masks, strict=True)
    vertices = zip(coloured.colours, wanted.colours, masks, strict=True)
    result = {
        "faces": [len(original.triangles), len(simple.triangles)],
        "closed": cleaned.closed,
        "charts": unwrapped.charts,
        "covered_share": round(len(texels.pixel) / side**2, 3),
        "seen_share": round(baked.surface.seen_share, 3),
        "psnr_texture_db": [round(psnr(*views), 1) for views in textures],
        "psnr_vertices_db": [round(psnr(*views), 1) for views in vertices],
        "seconds": clock.seconds,
        "processor_seconds": clock.processor_seconds,
    }
    difference = 4 * np.abs(textured.colours.astype(int) - wanted.colours)
    rows = [wanted.colours, textured.colours, np.clip(difference, 0, 255).astype(np.uint8)]
    return result, np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=20000)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--solids", nargs="+", choices=list(SOLIDS), default=list(SOLIDS))
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    results, sheets = {}, []
    for name in options.solids:
        results[name], sheet = measure(name, options.faces, options.side)
        sheets.append(sheet)
    if options.sheet:
        Image.fromarray(np.concatenate(sheets)).save(options.sheet)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
