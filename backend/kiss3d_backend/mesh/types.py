"""The arrays that every mesh function takes and gives back."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray


@attrs.frozen(eq=False)
class Texture:
    """A picture that is wrapped around a mesh.

    ``pixels``: (H, W, 3) uint8, sRGB, row 0 at the top. UV (0, 0) is its bottom left corner.
    """

    pixels: NDArray[np.uint8]


@attrs.frozen(eq=False)
class Mesh:
    """A triangle mesh; right-handed, y up, the object's front towards +z.

    ``positions``: (V, 3) float32. The topology is welded: one vertex for each point of the surface.
    ``triangles``: (T, 3) int32, indices into ``positions``, counter-clockwise as seen from outside.
    ``uvs``: (N, 2) float32 in [0, 1], or None.
    ``uv_triangles``: (T, 3) int32, indices into ``uvs`` (as in OBJ), or None: then ``uvs`` is per vertex (N = V).
    ``colours``: (V, 4) uint8, sRGB and alpha, or None.
    ``texture``: what ``uvs`` refer to, or None.
    ``normal_map``: normals in tangent space, by the same ``uvs``, or None; its pixels are not colours but (n + 1) / 2
    in linear light: x where u grows, y where v grows, z outwards.
    """

    positions: NDArray[np.float32]
    triangles: NDArray[np.int32]
    uvs: NDArray[np.float32] | None = None
    uv_triangles: NDArray[np.int32] | None = None
    colours: NDArray[np.uint8] | None = None
    texture: Texture | None = None
    normal_map: Texture | None = None
