"""Masks grow and shrink by squares, and the picture's border is no outline."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from kiss3d_backend.mesh.bundle.masks import grown, shrunk


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("pixels", [1, 2, 5])
def test_growing_and_shrinking_are_scipys(share: float, pixels: int) -> None:
    whole = np.random.default_rng(3).random((67, 91)) < share
    for mask in (whole, whole[::2]):
        square = np.ones((3, 3))
        assert np.array_equal(grown(mask, pixels), ndi.binary_dilation(mask, square, pixels))
        assert np.array_equal(shrunk(mask, pixels), ndi.binary_erosion(mask, square, pixels, border_value=1))
        assert grown(mask, pixels).dtype == bool
