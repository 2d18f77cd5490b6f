"""The process that unwraps: ``python -m kiss3d_backend.mesh.unwrap``, a request on stdin, the reply on stdout."""

from __future__ import annotations

import os
import sys

import numpy as np

from kiss3d_backend.mesh.unwrap.patches import cut
from kiss3d_backend.mesh.unwrap.wire import Reply, Request

_FACES_OF_CHART = 600
"""Of a mesh of even triangles, the most in an island. What xatlas takes for an island grows faster than its triangles:
without a limit the islands of 60k faces take 25 s of a core, with it 4 s, and are stretched less; seams get 1.5 times
as long."""

_PACKED = 1024
"""Islands are laid out on a grid of this side: a finer one takes 4 times as long and leaves as much space empty."""

_MOST_TEXELS = 4
"""A side of a cell of that grid, so that the gaps between islands stay near those asked for."""


def main() -> None:
    # What a library prints must not end up between our bytes.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reply = _unwrap(Request.unpack(sys.stdin.buffer.read()))
    with answer:
        answer.write(reply.pack())


def _unwrap(request: Request) -> Reply:
    import xatlas

    patches = cut(request.positions, request.triangles)
    atlas = xatlas.Atlas()
    corners = []
    for faces in patches:
        used, numbered = np.unique(request.triangles[faces], return_inverse=True)
        corners.append(numbered.reshape(-1, 3))
        # A mesh of its own for each: xatlas finds the islands of one mesh on one core.
        atlas.add_mesh(request.positions[used], corners[-1].astype(np.uint32))
    charts, pack = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_chart_area = _area(request) * _FACES_OF_CHART / len(request.triangles)
    texels = min(max(request.resolution // _PACKED, 1), _MOST_TEXELS)
    pack.resolution, pack.padding, pack.bilinear = request.resolution // texels, -(-request.padding // texels), True
    atlas.generate(charts, pack)
    if atlas.atlas_count > 1:
        raise RuntimeError(f"xatlas made {atlas.atlas_count} textures instead of one")
    triangles = np.empty_like(request.triangles)
    uvs, count = [], 0
    for number, (faces, wanted) in enumerate(zip(patches, corners, strict=True)):
        mapping, flat, places = atlas[number]
        if not np.array_equal(mapping[flat], wanted):
            raise RuntimeError("xatlas changed the order of the triangles")
        triangles[faces] = flat + count
        uvs.append(places)
        count += len(places)
    # xatlas divides by the sides of its own, not quite square atlas.
    sides = np.array([atlas.width, atlas.height], dtype=np.float64)
    square = np.concatenate(uvs) * (sides / max(float(sides.max()), 1.0))
    return Reply(np.clip(square, 0.0, 1.0).astype(np.float32), triangles, int(atlas.chart_count))


def _area(request: Request) -> float:
    a, b, c = (request.positions[request.triangles[:, corner]].astype(np.float64) for corner in range(3))
    return 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())


if __name__ == "__main__":
    main()
