"""Rasterisers: ``rasterize`` on arrays, ``torch_api`` with gradients, ``pixels`` for previews.

Clip space is OpenGL's: x right, y up, w > 0 in front of the camera, visible where -w <= x, y, z <= w. The centre of
pixel (row i, column j) is at x / w = (2j + 1) / W - 1, y / w = 1 - (2i + 1) / H.
"""

from kiss3d_backend.mesh.raster.cpu import rasterize
from kiss3d_backend.mesh.raster.fragments import Fragments

__all__ = ["Fragments", "rasterize"]
