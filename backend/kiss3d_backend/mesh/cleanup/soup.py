"""The arrays that the steps of the clean-up hand to each other."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray


@attrs.frozen(eq=False)
class Soup:
    """``positions``: (V, 3) float32; ``triangles``: (T, 3) int32. Nothing else is promised."""

    positions: NDArray[np.float32]
    triangles: NDArray[np.int32]

    def keep(self, faces: NDArray[np.bool_] | NDArray[np.int64]) -> Soup:
        """Only these faces; all vertices stay."""
        return Soup(self.positions, self.triangles[faces])

    def compact(self) -> Soup:
        """Without vertices that no face uses."""
        used, index = np.unique(self.triangles.ravel(), return_inverse=True)
        return Soup(self.positions[used], index.reshape(-1, 3).astype(np.int32))

    def facing(self) -> NDArray[np.float64]:
        """(T, 3): each face's normal, as long as twice its area."""
        corners = self.positions[self.triangles].astype(np.float64)
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
