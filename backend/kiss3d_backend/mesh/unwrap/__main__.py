"""The process that unwraps: ``python -m kiss3d_backend.mesh.unwrap``, a request on stdin, the reply on stdout."""

from __future__ import annotations

import os
import sys

import numpy as np

from kiss3d_backend.mesh.unwrap.wire import Reply, Request

_FACES_OF_CHART = 600
"""Of a mesh of even triangles, the most in an island. What xatlas takes for an island grows faster than its triangles:
without a limit the islands of 60k faces take 25 s of a core, with it 4 s, and are stretched less; seams get 1.5 times
as long."""


def main() -> None:
    # What a library prints must not end up between our bytes.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reply = _unwrap(Request.unpack(sys.stdin.buffer.read()))
    with answer:
        answer.write(reply.pack())


def _unwrap(request: Request) -> Reply:
    import xatlas

    atlas = xatlas.Atlas()
    atlas.add_mesh(request.positions, request.triangles.astype(np.uint32))
    charts, pack = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_chart_area = _area(request) * _FACES_OF_CHART / len(request.triangles)
    pack.resolution, pack.padding, pack.bilinear = request.resolution, request.padding, True
    atlas.generate(charts, pack)
    if atlas.atlas_count > 1:
        raise RuntimeError(f"xatlas made {atlas.atlas_count} textures instead of one")
    mapping, triangles, uvs = atlas[0]
    if not np.array_equal(mapping[triangles], request.triangles):
        raise RuntimeError("xatlas changed the order of the triangles")
    # xatlas divides by the sides of its own, not quite square atlas.
    sides = np.array([atlas.width, atlas.height], dtype=np.float64)
    square = uvs * (sides / max(float(sides.max()), 1.0))
    return Reply(np.clip(square, 0.0, 1.0).astype(np.float32), triangles.astype(np.int32), int(atlas.chart_count))


def _area(request: Request) -> float:
    a, b, c = (request.positions[request.triangles[:, corner]].astype(np.float64) for corner in range(3))
    return 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())


if __name__ == "__main__":
    main()
