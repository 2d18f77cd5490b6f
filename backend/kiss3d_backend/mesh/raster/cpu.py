"""The rasteriser on arrays: compiled by Numba, parallel over views and bands of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.raster.fragments import Fragments
from kiss3d_backend.mesh.raster.threads import usable_cores


def rasterize(clip: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int]) -> Fragments:
    """The nearest triangle at each pixel centre of N views of one mesh.

    ``clip``: (N, V, 4) float32, clip coordinates. ``triangles``: (T, 3) int32, of either orientation; both sides are
    drawn. ``size``: (H, W) in pixels.

    Triangles are drawn in homogeneous coordinates (Olano and Greer, "Triangle scan conversion using 2D homogeneous
    coordinates", 1997), so that those with a part behind the camera need no clipping; those without an area, behind
    the camera or with a coordinate that is not finite are left out. Coverage and depth are computed in float64. A pixel
    centre on an edge belongs to both triangles; of two at the same depth the smaller index wins. The result does not
    depend on the number of threads.

    Raises ValueError for wrong shapes and for an index outside the vertices.
    """
    # Numba takes half a second to import, and previews never need it.
    from kiss3d_backend.mesh.raster import kernels

    check(clip.shape, triangles.shape, size)
    clip = np.ascontiguousarray(clip, dtype=np.float32)
    triangles = np.ascontiguousarray(triangles, dtype=np.int32)
    views, vertices = clip.shape[:2]
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= vertices):
        raise ValueError(f"triangles refer to vertices outside 0 to {vertices - 1}")
    height, width = size
    triangle = np.empty((views, height, width), dtype=np.int32)
    barycentric = np.empty((views, height, width, 3), dtype=np.float32)
    depth = np.empty((views, height, width), dtype=np.float32)
    cores = usable_cores()
    bands = max(1, min(height, -(-2 * cores // max(views, 1))))
    with kernels.threads(cores):
        screen = np.empty((views, vertices, 2), dtype=np.float32)
        keys = np.empty((views, height, width), dtype=np.int64)
        kernels.project(clip, height, width, screen)
        kernels.draw(clip, triangles, screen, keys, bands)
        kernels.resolve(clip, triangles, keys, triangle, barycentric, depth)
    return Fragments(triangle, barycentric, depth)


def check(clip: tuple[int, ...], triangles: tuple[int, ...], size: tuple[int, int]) -> None:
    """Raises ValueError unless the shapes are (N, V, 4) and (T, 3) and the size is at least a pixel."""
    if len(clip) != 3 or clip[2] != 4:
        raise ValueError(f"clip coordinates have the shape {clip}, not (N, V, 4)")
    if len(triangles) != 2 or triangles[1] != 3:
        raise ValueError(f"triangles have the shape {triangles}, not (T, 3)")
    if min(size) < 1:
        raise ValueError(f"a picture of {size[0]} x {size[1]} pixels has none")
