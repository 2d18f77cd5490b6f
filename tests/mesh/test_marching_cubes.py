"""Marching cubes, and the one warning of its library that is let pass."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import skimage.measure

from kiss3d_backend.mesh import marching_cubes
from kiss3d_backend.mesh.edges import is_closed


def ball(cells: int = 24, radius: float = 8.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    axis = np.arange(cells) - (cells - 1) / 2
    return (radius - np.sqrt(sum(each**2 for each in np.meshgrid(axis, axis, axis, indexing="ij")))).astype(np.float32)


def test_a_ball_is_a_closed_sphere_in_cells() -> None:
    vertices, triangles = marching_cubes.zero_surface(ball())
    assert is_closed(triangles, len(vertices))
    assert np.linalg.norm(vertices - 11.5, axis=1) == pytest.approx(8.0, abs=0.03)


@pytest.mark.parametrize(
    ("message", "passes"), [("Setting the shape on a NumPy array has been deprecated", True), ("Another matter", False)]
)
def test_what_new_numpy_says_of_the_library_is_let_pass_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, message: str, passes: bool
) -> None:
    def warning(*arguments: Any, **options: Any) -> Any:
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return skimage.measure.marching_cubes(*arguments, **options)

    monkeypatch.setattr(marching_cubes, "marching_cubes", warning)
    if passes:
        marching_cubes.zero_surface(ball(8, 2.0))
    else:
        with pytest.raises(DeprecationWarning, match=message):
            marching_cubes.zero_surface(ball(8, 2.0))
