"""The LRM's surface: FlexiCubes of the whole grid's predictions, and one even where the field has one sign."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.fakes.tiny.lrm import BALL_RADIUS, TINY, tiny_lrm
from torch import Tensor

from kiss3d_backend.mesh.edges import is_closed
from kiss3d_backend.mesh.flexicubes.grid import cell_corners, grid_positions
from kiss3d_backend.mesh.flexicubes.surface import flexicubes
from kiss3d_backend.networks.lrm.field import TriplaneField
from kiss3d_backend.networks.lrm.geometry import extract_mesh, vertex_colours, with_a_surface
from kiss3d_backend.networks.lrm.model import Lrm

SIDE = 11
"""Vertices along an edge of a grid of 10 cells."""
MIDDLE = ((6 * SIDE) + 6) * SIDE + 6
"""The vertex one above the middle on each axis."""


@pytest.fixture(scope="module")
def model() -> Lrm:
    made = Lrm(TINY)
    made.load_state_dict(tiny_lrm(2))
    return made.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def noise() -> Tensor:
    """Planes whose surface goes everywhere."""
    return 2 * torch.randn(3, TINY.channels, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_surface_is_that_of_all_predictions_at_once(model: Lrm, noise: Tensor) -> None:
    """Only what the surface needs is asked for; here everything is."""
    resolution = 14
    field = TriplaneField(model, noise)
    grid = grid_positions(resolution, 2.1)
    weights = field.weights(grid, cell_corners(torch.arange(resolution**3), resolution))
    positions = grid + torch.tanh(field.deformations(grid)) / (4 * resolution)
    expected = flexicubes(positions, field.values(grid), resolution, weights)
    found = extract_mesh(field, resolution)
    assert len(found.vertices) > 500
    torch.testing.assert_close(found.vertices, expected.vertices, rtol=1e-4, atol=1e-5)
    # The field is positive inside, and FlexiCubes turns faces towards positive values.
    assert torch.equal(found.faces, expected.faces[:, [2, 1, 0]])


def border(values: Tensor) -> Tensor:
    cube = values.reshape(SIDE, SIDE, SIDE)
    mask = torch.ones_like(cube, dtype=torch.bool)
    mask[2:-2, 2:-2, 2:-2] = False
    return mask.ravel()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("greatest", [0.5, 7.0])
def test_a_field_of_one_sign_gets_a_surface(sign: float, greatest: float) -> None:
    random = torch.Generator().manual_seed(3)
    values = sign * (torch.rand(SIDE**3, generator=random) * 0.1 + greatest - 0.1)
    rescued = with_a_surface(values, 10)
    least, most = values.min(), values.max()
    changed = border(values)
    assert (rescued[changed] < 0).all()
    assert rescued[MIDDLE] > 0
    if greatest < 1:
        torch.testing.assert_close(rescued[changed], (-1 - most).expand(int(changed.sum())))
        torch.testing.assert_close(rescued[MIDDLE], 1 - least)
    changed[MIDDLE] = True
    assert torch.equal(rescued[~changed], values[~changed])
    made = flexicubes(grid_positions(10), -rescued, 10)
    assert is_closed(made.faces.numpy().astype(np.int32), len(made.vertices))


def test_only_values_inside_count_and_zeros_are_no_sign() -> None:
    values = torch.full((SIDE, SIDE, SIDE), 0.5)
    values[0, 0, 0] = -0.25
    assert not torch.equal(with_a_surface(values.ravel(), 10), values.ravel()), "the outermost layer does not count"
    values[5, 5, 5] = 0.0
    assert not torch.equal(with_a_surface(values.ravel(), 10), values.ravel())
    values[5, 5, 5] = -0.1
    assert torch.equal(with_a_surface(values.ravel(), 10), values.ravel())


def test_the_tiny_model_says_ball(model: Lrm) -> None:
    views = torch.rand(1, 4, 3, 128, 128, generator=torch.Generator().manual_seed(4))
    cameras = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(5))
    steps: list[None] = []
    planes = model.forward_planes(views, cameras, lambda: steps.append(None))
    assert len(steps) == model.steps(4, views.shape[-1])
    field = TriplaneField(model, planes)
    made = extract_mesh(field, 24)
    assert is_closed(made.faces.numpy().astype(np.int32), len(made.vertices))
    radius = made.vertices.norm(dim=1)
    assert 0.7 * BALL_RADIUS < radius.min() < radius.max() < 1.2 * BALL_RADIUS
    a, b, c = made.vertices[made.faces].unbind(dim=1)
    volume = (a * torch.linalg.cross(b, c, dim=1)).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * float(radius.mean()) ** 3, rel=0.1), "faces look outwards"
    colours = vertex_colours(field, made.vertices)
    torch.testing.assert_close(colours[:, :3] / 255.0, field.colours(made.vertices).clamp(0, 1), atol=0.003, rtol=0)
    assert (colours[:, 3] == 255).all()
    assert colours.float().std(dim=0)[:3].max() > 2, "not all of one colour"
    other = model.forward_planes(views.flip(-1), cameras)
    assert not torch.allclose(planes, other, atol=1e-5), "the views matter"
    assert not torch.allclose(planes, model.forward_planes(views, cameras.flip(1)), atol=1e-5), "so do the cameras"
    turned = model.forward_planes(views.flip(1), cameras.flip(1))
    torch.testing.assert_close(planes, turned, rtol=1e-4, atol=1e-5)  # The order of the pairs does not matter.


def test_a_grid_that_is_too_small_is_refused(model: Lrm, noise: Tensor) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        extract_mesh(TriplaneField(model, noise), 7)
