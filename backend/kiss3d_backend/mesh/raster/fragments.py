"""What a rasteriser sees, and how it orders what lies behind each other."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

DEPTH_STEPS = 2**30
"""Depth is compared in steps of 1 / DEPTH_STEPS; what falls in the same step is a tie."""

WALK = 32
"""Over how many triangles a silhouette is looked for. On balls whose pixels at the limb span up to 10, 20 and 40
triangles, 8 recover 90, 56 and 20 % of the gradient by the scale; 32 recover 99, 99 and 95 %."""


@attrs.frozen(eq=False)
class Fragments:
    """The nearest triangle at each pixel centre of N views.

    ``triangle``: (N, H, W) int32, -1 where nothing is.
    ``barycentric``: (N, H, W, 3) float32, perspective-correct coordinates of the pixel's centre in that triangle; they
    sum to 1, and are 0 where nothing is.
    ``depth``: (N, H, W) float32, z / w in [-1, 1]; 1 where nothing is.
    """

    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    depth: NDArray[np.float32]

    @property
    def covered(self) -> NDArray[np.bool_]:
        return self.triangle >= 0
