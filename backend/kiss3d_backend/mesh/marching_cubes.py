"""Marching cubes (Lewiner et al., "Efficient implementation of marching cubes' cases", 2003), by scikit-image."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes


def zero_surface(
    values: NDArray[np.float32], *, degenerate: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The surface where a field (X, Y, Z) on a grid is zero: vertices (V, 3) in cells, and triangles (T, 3).

    Which way round the triangles go has changed between releases of the library. A node at zero gives triangles
    without an area, which go unless ``degenerate``; looking for them takes time. Raises ValueError for a field without
    a zero.
    """
    with warnings.catch_warnings():
        # scikit-image up to 0.26 reshapes its own arrays in place, which NumPy 2.5 deprecates.
        warnings.filterwarnings("ignore", "Setting the shape on a NumPy array", DeprecationWarning)
        vertices, triangles, _, _ = marching_cubes(values, 0.0, allow_degenerate=degenerate)
    return vertices, triangles
