"""The process that unwraps: ``python -m kiss3d_backend.mesh.unwrap``, a request on stdin, the reply on stdout."""

from __future__ import annotations

import os
import sys

import numpy as np

from kiss3d_backend.mesh.unwrap.wire import Reply, Request


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


if __name__ == "__main__":
    main()
