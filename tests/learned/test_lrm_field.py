"""Triplane samples and the perceptrons that read them, beside the definition in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.fakes.tiny.lrm import TINY, tiny_lrm
from tests.learned import lrm_by_hand as by_hand
from torch import Tensor

from kiss3d_backend.mesh.flexicubes.grid import cell_corners, grid_positions
from kiss3d_backend.networks.lrm.decoder import sample_planes
from kiss3d_backend.networks.lrm.field import TriplaneField
from kiss3d_backend.networks.lrm.model import Lrm


@pytest.fixture(scope="module")
def model() -> Lrm:
    made = Lrm(TINY)
    made.load_state_dict(tiny_lrm(3))
    return made.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def planes() -> Tensor:
    return torch.randn(1, 3, TINY.channels, 10, 10, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def points() -> Tensor:
    """Some outside of the box of side 2, which the grid's border reaches."""
    return (torch.rand(60, 3, generator=torch.Generator().manual_seed(5)) - 0.5) * 2.3


def test_samples_are_bilinear_with_zeros_outside(planes: Tensor, points: Tensor) -> None:
    np.testing.assert_allclose(sample_planes(planes[0], points), by_hand.samples(planes[0], points), atol=2e-6)


def test_the_field_at_points_is_what_the_definition_says(model: Lrm, planes: Tensor, points: Tensor) -> None:
    state, features = model.state_dict(), by_hand.samples(planes[0], points)
    field = TriplaneField(model, planes)
    np.testing.assert_allclose(field.values(points), by_hand.read(state, "net_sdf", features)[:, 0], atol=1e-5)
    np.testing.assert_allclose(field.deformations(points), by_hand.read(state, "net_deformation", features), atol=1e-5)
    np.testing.assert_allclose(field.colours(points), by_hand.colours(state, features), atol=1e-5)


def test_weights_come_from_the_corners_in_their_order(model: Lrm, planes: Tensor) -> None:
    grid = grid_positions(4, 2.1)
    corners = cell_corners(torch.tensor([0, 21, 63]), 4)
    features = by_hand.samples(planes[0], grid[corners].flatten(0, 1)).reshape(3, -1)
    found = TriplaneField(model, planes).weights(grid, corners)
    np.testing.assert_allclose(found, 0.1 * by_hand.read(model.state_dict(), "net_weight", features), atol=1e-6)


def test_little_memory_means_more_pieces_and_the_same_numbers(model: Lrm, planes: Tensor, points: Tensor) -> None:
    pieces: list[None] = []
    corners = torch.randint(0, len(points), (20, 8), generator=torch.Generator().manual_seed(6))
    whole = TriplaneField(model, planes)
    small = TriplaneField(model, planes[0], memory=2000, check=lambda: pieces.append(None))
    torch.testing.assert_close(small.values(points), whole.values(points))
    assert len(pieces) == 5, "144 bytes a point"
    torch.testing.assert_close(small.weights(points, corners), whole.weights(points, corners))
    assert len(pieces) == 5 + 20
    assert small.values(points[:0]).shape == (0,)
    assert small.weights(points, corners[:0]).shape == (0, 21)


def test_a_check_that_raises_ends_the_work(model: Lrm, planes: Tensor, points: Tensor) -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TriplaneField(model, planes, check=check).values(points)


def test_planes_of_half_precision_are_read_in_float32(model: Lrm, planes: Tensor, points: Tensor) -> None:
    rounded = planes.bfloat16()
    assert torch.equal(
        TriplaneField(model, rounded).values(points), TriplaneField(model, rounded.float()).values(points)
    )
