"""Resampling, colour spreading and membranes."""

from __future__ import annotations

import numpy as np
import pytest

from kiss3d_backend.mesh.bleed import spread_colours
from kiss3d_backend.mesh.poisson import fill_between, solve_inside
from kiss3d_backend.mesh.resample import Kernel, centres, resample


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
@pytest.mark.parametrize("count", [17, 50, 160])
def test_resampling_keeps_ramps(kernel: Kernel, count: int) -> None:
    ramp = np.broadcast_to(np.arange(50, dtype=np.float32), (40, 50))
    across = centres(count, 50)
    values = resample(ramp, centres(30, 40), across, kernel)
    middle = (across > 6) & (across < 43)
    np.testing.assert_allclose(values[:, middle], np.broadcast_to(across[middle], (30, middle.sum())), atol=0.08)


def test_resampling_at_the_pixels_changes_nothing() -> None:
    image = np.random.default_rng(0).random((9, 12, 3)).astype(np.float32)
    np.testing.assert_allclose(resample(image, np.arange(9.0), np.arange(12.0)), image, atol=1e-6)


def test_reducing_does_not_alias() -> None:
    stripes = np.tile(np.array([0.0, 1.0], dtype=np.float32), (64, 64))
    reduced = resample(stripes, centres(20, 64), centres(40, 128))
    assert np.abs(reduced[2:-2, 2:-2] - 0.5).max() < 0.02


@pytest.mark.parametrize("shape", [(64, 64), (37, 51), (1, 9)])
def test_spread_colours_come_from_the_trusted_only(shape: tuple[int, int]) -> None:
    colours = np.full((*shape, 3), (0.0, 1.0, 0.0), dtype=np.float32)
    trust = np.zeros(shape, dtype=np.float32)
    trust[: shape[0] // 2 + 1, : shape[1] // 3] = 1
    colours[trust > 0] = (1.0, 0.25, 0.5)
    np.testing.assert_allclose(
        spread_colours(colours, trust), np.broadcast_to((1.0, 0.25, 0.5), colours.shape), atol=1e-4
    )


def test_poisson_is_exact_for_a_disc_between_the_nodes() -> None:
    y, x = np.mgrid[0:40, 0:40]
    squared = (x - 19.3) ** 2 + (y - 20.1) ** 2
    level = (12.4 - np.sqrt(squared)).astype(np.float32)
    solution = solve_inside(level, 4.0)
    expected = np.where(level > 0, 12.4**2 - squared, 0.0)
    assert np.abs(solution - expected).max() < 0.01 * 12.4**2


def test_a_membrane_lies_between_its_rims() -> None:
    values = np.zeros((5, 21, 1), dtype=np.float32)
    values[:, 20] = 1.0
    known = np.zeros((5, 21), dtype=bool)
    known[:, [0, 20]] = True
    filled = fill_between(values, known, ~known, 3.0)[..., 0]
    np.testing.assert_allclose(filled, np.broadcast_to(np.arange(21) / 20, (5, 21)), atol=1e-5)


def test_a_membrane_out_of_reach_keeps_its_values() -> None:
    values = np.full((4, 4, 2), 0.3, dtype=np.float32)
    unknown = np.ones((4, 4), dtype=bool)
    np.testing.assert_allclose(fill_between(values, ~unknown, unknown, 2.0), values, atol=1e-5)
