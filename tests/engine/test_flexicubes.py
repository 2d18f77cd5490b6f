"""FlexiCubes: the same mesh as its definition gives by hand, and sound surfaces of solids that are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.engine import flexicubes_by_hand as by_hand
from torch import Tensor

from kiss3d_backend.mesh.flexicubes import surface as surface_module
from kiss3d_backend.mesh.flexicubes.cells import find_surface_cells
from kiss3d_backend.mesh.flexicubes.grid import cell_corners, grid_positions
from kiss3d_backend.mesh.flexicubes.surface import Surface, flexicubes
from kiss3d_backend.mesh.flexicubes.tables import CORNERS, NEIGHBOUR_TO_ASK
from kiss3d_backend.mesh.flexicubes.weights import cell_weights

AMBIGUOUS = np.flatnonzero(NEIGHBOUR_TO_ASK.any(axis=1)).tolist()


def torus(points: Tensor) -> Tensor:
    x, y, z = points.unbind(dim=1)
    return torch.hypot(torch.hypot(x, y) - 0.6, z) - 0.25


def signed_volume(surface: Surface) -> float:
    a, b, c = surface.vertices.double()[surface.faces].unbind(dim=1)
    return float((a * torch.linalg.cross(b, c, dim=1)).sum() / 6)


def directed_edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """One number for each edge of each face, and the numbers of the same edges the other way round; sorted."""
    ends = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = int(faces.max()) + 1
    return tuple(torch.sort(start * count + end).values for start, end in (ends.T, ends.T.flip(0)))


def is_closed(faces: Tensor) -> bool:
    """Every edge is used as often in one direction as in the other."""
    there, back = directed_edges(faces)
    return torch.equal(there, back)


def has_manifold_edges(faces: Tensor) -> bool:
    """Every edge has two faces, which agree on the side."""
    there, back = directed_edges(faces)
    return torch.equal(there, back) and bool((there.diff() > 0).all())


def has_manifold_vertices(faces: Tensor) -> bool:
    """The triangles at every vertex are one fan."""
    following: dict[int, dict[int, int]] = {}
    for a, b, c in faces.tolist():
        for at, start, end in ((a, b, c), (b, c, a), (c, a, b)):
            following.setdefault(at, {})[start] = end
    for ring in following.values():
        first = here = next(iter(ring))
        length = 0
        while length <= len(ring):
            here = ring[here]
            length += 1
            if here == first:
                break
        if length != len(ring):
            return False
    return True


def euler_number(surface: Surface) -> int:
    return len(torch.unique(surface.faces)) - 3 * len(surface.faces) // 2 + len(surface.faces)


@pytest.mark.parametrize("seed", range(3))
def test_vertices_and_faces_are_those_of_the_definition(seed: int) -> None:
    """Noise has every configuration; in this one many ambiguous cells meet."""
    resolution, random = 7, torch.Generator().manual_seed(seed)
    positions = grid_positions(resolution, 2.1).double()
    positions += (torch.rand(positions.shape, generator=random) - 0.5) / (4 * resolution)
    values = torch.randn(len(positions), generator=random, dtype=torch.float64) - 0.4
    weights = 2 * torch.randn(resolution**3, 21, generator=random, dtype=torch.float64)
    raw = find_surface_cells(values, resolution)
    negative = (values < 0)[raw.corners].long() @ (1 << torch.arange(8))
    assert (negative != raw.configurations).sum() >= 2, "ambiguous cells meet"
    made = flexicubes(positions, values, resolution, weights)
    vertices, faces, _ = by_hand.surface(positions.numpy(), values.numpy(), resolution, weights.numpy())
    np.testing.assert_allclose(made.vertices.numpy(), vertices, atol=1e-12)
    np.testing.assert_array_equal(made.faces.numpy(), faces)
    single = flexicubes(positions.float(), values.float(), resolution, weights.float())
    np.testing.assert_array_equal(single.faces.numpy(), faces)
    np.testing.assert_allclose(single.vertices.numpy(), vertices, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("others", [1.0, -1.0])
def test_every_configuration_gives_a_closed_manifold_surface(others: float) -> None:
    """One cell of each configuration in a sea of the other sign, each in a block of 4 x 4 x 4 cells of its own."""
    blocks, block = 7, 4
    resolution = blocks * block
    values = torch.full((resolution + 1,) * 3, others)
    for configuration in range(256):
        at = block * np.array(np.unravel_index(configuration, (blocks,) * 3)) + 1
        for corner, place in enumerate(CORNERS):
            values[tuple(at + place)] = -1.0 if configuration >> corner & 1 else 1.0
    grid = grid_positions(resolution, resolution)
    made = flexicubes(grid, values.ravel(), resolution)
    assert has_manifold_edges(made.faces)
    assert has_manifold_vertices(made.faces)
    a, b, c = made.vertices[made.faces].unbind(dim=1)
    x, y, z = ((a + b + c) / 3 + resolution / 2).floor().long().div(block, rounding_mode="floor").unbind(dim=1)
    block_of = (x * blocks + y) * blocks + z
    centre = torch.stack([x, y, z], dim=1) * block + block / 2 - resolution / 2
    signed = ((a - centre) * torch.linalg.cross(b - centre, c - centre, dim=1)).sum(dim=1)
    volumes = torch.zeros(blocks**3).index_add(0, block_of, signed)
    empty = 0 if others > 0 else 255
    assert torch.nonzero(volumes[:256] * others <= 0).ravel().tolist() == [empty], "faces turn towards positive values"


def meeting(one: int, other: int) -> Tensor | None:
    """A field in which two ambiguous cells have their alternating face in common, or None if their signs differ."""
    step = NEIGHBOUR_TO_ASK[one]
    if (NEIGHBOUR_TO_ASK[other] != -step).any():
        return None
    side, middle = 8, np.array([3, 3, 3])
    values = np.full((side, side, side), np.nan)
    for configuration, cell in ((one, middle), (other, middle + step)):
        for corner, place in enumerate(CORNERS):
            at = tuple(cell + place)
            sign = -1.0 if configuration >> corner & 1 else 1.0
            if values[at] == -sign:
                return None
            values[at] = sign
    return torch.from_numpy(np.nan_to_num(values, nan=1.0)).float().ravel()


def test_two_ambiguous_cells_that_meet_are_inverted_and_stay_manifold(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [field for one in AMBIGUOUS for other in AMBIGUOUS if (field := meeting(one, other)) is not None]
    assert len(fields) > 36
    positions = grid_positions(7)
    for values in fields:
        made = flexicubes(positions, values, 7)
        assert has_manifold_edges(made.faces)
        assert has_manifold_vertices(made.faces)
    monkeypatch.setattr("kiss3d_backend.mesh.flexicubes.cells.NEIGHBOUR_TO_ASK", np.zeros_like(NEIGHBOUR_TO_ASK))
    assert not any(has_manifold_edges(flexicubes(positions, values, 7).faces) for values in fields)


def test_noise_gives_closed_surfaces_with_manifold_edges() -> None:
    """Whatever the signs are, as long as the border of the grid has one."""
    resolution = 12
    positions = grid_positions(resolution)
    values = torch.randn((resolution + 1,) * 3, generator=torch.Generator().manual_seed(5))
    inside = values[1:-1, 1:-1, 1:-1].clone()
    values[:] = 1.0
    values[1:-1, 1:-1, 1:-1] = inside
    made = flexicubes(positions, values.ravel(), resolution)
    assert len(made.faces) > 3000
    assert has_manifold_edges(made.faces)


def test_a_sphere() -> None:
    positions = grid_positions(32, 2.1)
    made = flexicubes(positions, positions.norm(dim=1) - 0.8, 32)
    assert has_manifold_edges(made.faces)
    assert has_manifold_vertices(made.faces)
    assert euler_number(made) == 2
    radius = made.vertices.norm(dim=1)
    assert (radius - 0.8).abs().max() < 0.002
    assert signed_volume(made) == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=0.01)
    a, b, c = made.vertices[made.faces].unbind(dim=1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a, dim=1), dim=1)
    outwards = torch.nn.functional.normalize(a + b + c, dim=1)
    assert (normals * outwards).sum(dim=1).min() > 0.97


def test_a_torus() -> None:
    positions = grid_positions(40, 2.1)
    made = flexicubes(positions, torus(positions), 40)
    assert has_manifold_edges(made.faces)
    assert has_manifold_vertices(made.faces)
    assert euler_number(made) == 0
    assert torus(made.vertices).abs().max() < 0.004
    assert signed_volume(made) == pytest.approx(2 * np.pi**2 * 0.6 * 0.25**2, rel=0.02)


@pytest.mark.parametrize(
    ("field", "pieces"),
    [
        # Two sheets of one cell: crests of two bodies that touch the same cell from opposite corners or edges.
        (lambda p: torch.minimum((p - 0.245).norm(dim=1), (p + 0.245).norm(dim=1)) - 0.4, 2),
        (
            lambda p: (
                torch.minimum(
                    torch.hypot(p[:, 0] - 0.34, p[:, 1] - 0.34), torch.hypot(p[:, 0] + 0.34, p[:, 1] + 0.34)
                ).maximum(p[:, 2].abs() + 0.05)
                - 0.45
            ),
            2,
        ),
        # The gap between two plates, thinner than a cell on one side of the grid's lines.
        (lambda p: (0.06 - (p[:, 0] - 0.03).abs()).maximum(p.abs().amax(dim=1) - 0.6), 2),
    ],
)
def test_two_sheets_stay_apart(field: Callable[[Tensor], Tensor], pieces: int) -> None:
    positions = grid_positions(15, 2.1)
    made = flexicubes(positions, field(positions), 15)
    assert has_manifold_edges(made.faces)
    assert has_manifold_vertices(made.faces)
    assert euler_number(made) == 2 * pieces


def test_a_surface_is_open_where_it_meets_the_border_of_the_grid() -> None:
    positions = grid_positions(8)
    made = flexicubes(positions, positions[:, 0] - 0.03, 8)
    assert not is_closed(made.faces)
    assert len(made.vertices) == 64
    assert len(made.faces) == 2 * 49
    torch.testing.assert_close(made.vertices[:, 0], torch.full((64,), 0.03))


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_a_field_of_one_sign_has_no_surface(value: float) -> None:
    made = flexicubes(grid_positions(4), torch.full((125,), value), 4)
    assert made.vertices.shape == (0, 3)
    assert made.faces.shape == (0, 3)


def test_zero_counts_as_positive_and_faces_still_agree() -> None:
    positions = grid_positions(8)
    values = positions.abs().sum(dim=1) - 0.25
    assert (values == 0).sum() > 10
    made = flexicubes(positions, values, 8)
    assert has_manifold_edges(made.faces)
    assert signed_volume(made) > 0


def test_cells_in_pieces_give_the_same_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = grid_positions(16, 2.1)
    values = torus(positions)
    weights = torch.randn(16**3, 21, generator=torch.Generator().manual_seed(1))
    whole = flexicubes(positions, values, 16, weights)
    monkeypatch.setattr(surface_module, "_CELLS_AT_ONCE", 100)
    pieces = flexicubes(positions, values, 16, weights)
    assert torch.equal(pieces.vertices, whole.vertices)
    assert torch.equal(pieces.faces, whole.faces)


def test_vertices_have_gradients() -> None:
    random = torch.Generator().manual_seed(2)
    positions = grid_positions(3).double().requires_grad_()
    values = torch.randn(64, generator=random, dtype=torch.float64)
    values = (values + 0.2 * values.sign()).requires_grad_()
    weights = torch.randn(27, 21, generator=random, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, v, w: flexicubes(p, v, 3, w).vertices, (positions, values, weights), fast_mode=True
    )


def test_weights_are_bounded_as_published() -> None:
    raw = torch.tensor([[-50.0] * 21, [0.0] * 21, [50.0] * 21])
    weights = cell_weights(raw)
    torch.testing.assert_close(weights.beta[:, 3], torch.tensor([0.5, 1.0, 1.5]))
    torch.testing.assert_close(weights.alpha[:, 7], torch.tensor([0.5, 1.0, 1.5]))
    torch.testing.assert_close(weights.gamma, torch.tensor([0.25, 0.5, 0.75]))


def test_the_grid_is_lexicographic_and_scaled() -> None:
    grid = grid_positions(128, 2.1)
    assert grid.shape == (129**3, 3)
    order = np.lexsort(grid[::997].numpy().T[::-1])
    np.testing.assert_array_equal(order, np.arange(len(order)))
    torch.testing.assert_close(grid[[0, -1]], torch.tensor([[-1.05] * 3, [1.05] * 3]))
    exact = (torch.cartesian_prod(*[torch.arange(129)] * 3) / 128 - 0.5) * 2.1
    assert 0 < (grid - exact).abs().max() < 1.1e-5, "five decimals"
    corners = grid_positions(3)[cell_corners(torch.tensor([0, 1, 26]), 3)]
    torch.testing.assert_close(corners[0], torch.tensor(CORNERS) / 3 - 0.5, atol=1e-5, rtol=0)
    torch.testing.assert_close(corners[1] - corners[0], torch.tensor([0, 0, 1 / 3]).expand(8, 3), atol=2e-5, rtol=0)
    torch.testing.assert_close(corners[2, -1], torch.tensor([0.5, 0.5, 0.5]))
