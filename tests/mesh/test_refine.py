"""Refinement: nearer to the truth, closed, told in time, and clear about what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs
import numpy as np
import pytest
import trimesh

torch = pytest.importorskip("torch")

from tests.mesh.shapes import assert_closed  # noqa: E402
from tests.mesh.solids import smoothed_and_noised, solid  # noqa: E402

from kiss3d_backend.mesh.camera import bundle_cameras  # noqa: E402
from kiss3d_backend.mesh.normals import vertex_normals as array_normals  # noqa: E402
from kiss3d_backend.mesh.raster import rasterize  # noqa: E402
from kiss3d_backend.mesh.raster.choose import choose  # noqa: E402
from kiss3d_backend.mesh.refine.kernels import surface_area  # noqa: E402
from kiss3d_backend.mesh.refine.neighbours import CompiledNeighbours, Neighbours, TorchNeighbours  # noqa: E402
from kiss3d_backend.mesh.refine.refine import Progress, refine  # noqa: E402
from kiss3d_backend.mesh.refine.settings import DRAFT, PRESETS, RefineSettings, Stage  # noqa: E402
from kiss3d_backend.mesh.refine.surface import take, vertex_normals  # noqa: E402
from kiss3d_backend.mesh.refine.views import Views  # noqa: E402
from kiss3d_backend.mesh.refine.window import cut  # noqa: E402
from kiss3d_backend.mesh.types import Mesh  # noqa: E402
from kiss3d_protocol.errors import BundleInvalid, JobCancelled, MeshEmpty, ViewEmpty  # noqa: E402

SMALL = attrs.evolve(
    DRAFT,
    fine=attrs.evolve(DRAFT.fine, steps=20, longest_edge=0.06, shortest_edge=0.03),
    rough=attrs.evolve(DRAFT.rough, steps=20, shortest_edge=0.06),
    most_faces=5000,
    mesh_every=4,
)


def _ball(radii: tuple[float, float, float], subdivisions: int = 3) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    return Mesh((ball.vertices * radii).astype(np.float32), ball.faces.astype(np.int32))


def _rendered(mesh: Mesh, size: int = 128) -> Views:
    cameras = bundle_cameras()
    clip = np.stack([camera.clip(mesh.positions) for camera in cameras]).astype(np.float32)
    fragments = rasterize(clip, mesh.triangles, (size, size))
    normals = array_normals(mesh.positions, mesh.triangles)[mesh.triangles[fragments.triangle]]
    return Views(np.einsum("nhwk,nhwkc->nhwc", fragments.barycentric, normals), fragments.covered, cameras)


def _from_ellipsoid(mesh: Mesh, radii: tuple[float, float, float]) -> float:
    """The mean distance from an ellipsoid, to first order."""
    scaled = mesh.positions / np.float32(radii)
    length = np.linalg.norm(scaled, axis=1)
    slope = np.linalg.norm(scaled / np.float32(radii), axis=1)
    return float(np.abs(length * (length - 1) / slope).mean())


RADII = (0.5, 0.35, 0.4)
TRUTH = _ball(RADII, 4)
VIEWS = _rendered(TRUTH)
START = _ball((0.4, 0.4, 0.4))


def test_comes_near_the_truth_and_stays_closed() -> None:
    shown: list[tuple[Mesh, Progress]] = []
    steps: list[Progress] = []
    result = refine(
        START, VIEWS, SMALL, choose("cpu"), on_mesh=lambda mesh, at: shown.append((mesh, at)), on_step=steps.append
    )
    assert_closed(result.positions, result.triangles)
    assert _from_ellipsoid(result, RADII) < 0.25 * _from_ellipsoid(START, RADII)
    assert [at.step for _, at in shown] == [4, 8, 12, 16]
    assert [at.step for at in steps] == list(range(1, 21))
    for mesh, _ in shown:
        assert_closed(mesh.positions, mesh.triangles)
    errors = [_from_ellipsoid(mesh, RADII) for mesh, _ in shown]
    assert errors[-1] < errors[0] < _from_ellipsoid(START, RADII)
    agree = (_rendered(result).masks & VIEWS.masks).sum((1, 2)) / (_rendered(result).masks | VIEWS.masks).sum((1, 2))
    assert (agree > 0.97).all()


def test_explicit_targets_come_near_the_truth_too() -> None:
    settings = attrs.evolve(SMALL, fine=attrs.evolve(SMALL.fine, explicit_targets=True))
    result = refine(START, VIEWS, settings, choose("cpu"))
    assert_closed(result.positions, result.triangles)
    assert _from_ellipsoid(result, RADII) < 0.4 * _from_ellipsoid(START, RADII)


@pytest.mark.parametrize("name", ["chair", "torus knot"])
def test_the_solids_that_are_measured_face_outwards(name: str) -> None:
    mesh = solid(name, 40)
    for each in (mesh, smoothed_and_noised(mesh, edge=0.08, rounds=2)):
        assert trimesh.Trimesh(each.positions, each.triangles, process=False).volume > 0


def test_from_a_ball_runs_both_stages() -> None:
    steps: list[Progress] = []
    result = refine(START, VIEWS, SMALL, choose("cpu"), start="hull", on_step=steps.append)
    assert steps[-1] == Progress(40, 40)
    assert_closed(result.positions, result.triangles)
    assert _from_ellipsoid(result, RADII) < 0.4 * _from_ellipsoid(START, RADII)


def test_something_tiny_is_not_lost_between_long_edges() -> None:
    """The rough stage's edges are longer than the whole of it."""
    radii = (0.03, 0.025, 0.03)
    result = refine(_ball((0.03,) * 3), _rendered(_ball(radii), 512), DRAFT, choose("cpu"), start="hull")
    assert_closed(result.positions, result.triangles)
    np.testing.assert_allclose(np.ptp(result.positions, axis=0), 2 * np.array(radii), rtol=0.1)


def test_what_fills_the_pictures_is_not_pulled_into_the_box() -> None:
    radii = (1.05, 1.1, 1.05)
    result = refine(_ball((1.12,) * 3), _rendered(_ball(radii, 4)), SMALL, choose("cpu"))
    np.testing.assert_allclose(np.ptp(result.positions, axis=0), 2 * np.array(radii), rtol=0.02)


def test_the_number_of_faces_is_kept_to() -> None:
    settings = attrs.evolve(SMALL, most_faces=2000, fine=attrs.evolve(SMALL.fine, shortest_edge=0.005, steps=12))
    result = refine(START, VIEWS, settings, choose("cpu"))
    assert 1600 < len(result.triangles) <= 2500


@pytest.mark.parametrize("view", range(4))
def test_a_wrong_view_is_named(view: int) -> None:
    masks, normals = VIEWS.masks.copy(), VIEWS.normals.copy()
    masks[view] = False
    with pytest.raises(ViewEmpty, match=f"View {view + 1}"):
        refine(START, attrs.evolve(VIEWS, masks=masks), SMALL, choose("cpu"))
    normals[view, 64, 64, 1] = np.nan
    with pytest.raises(BundleInvalid, match=f"View {view + 1}"):
        refine(START, attrs.evolve(VIEWS, normals=normals), SMALL, choose("cpu"))
    graded = VIEWS.masks.astype(np.float32)
    graded[view, 3, 3] = np.nan
    with pytest.raises(BundleInvalid, match=f"View {view + 1}"):
        refine(START, attrs.evolve(VIEWS, masks=graded), SMALL, choose("cpu"))


def test_wrong_shapes_and_meshes_are_named() -> None:
    with pytest.raises(BundleInvalid, match="4 square views"):
        refine(START, attrs.evolve(VIEWS, masks=VIEWS.masks[:3]), SMALL, choose("cpu"))
    with pytest.raises(MeshEmpty):
        refine(Mesh(START.positions, START.triangles[:0]), VIEWS, SMALL, choose("cpu"))
    with pytest.raises(MeshEmpty):
        refine(Mesh(START.positions * np.float32(np.nan), START.triangles), VIEWS, SMALL, choose("cpu"))


def test_a_cancel_is_asked_for_often() -> None:
    """Between two questions there is never more than a part of a step."""
    asked: list[float] = []

    def check() -> None:
        asked.append(time.monotonic())
        if len(asked) == 9:
            raise JobCancelled("The job was cancelled.")

    steps: list[Progress] = []
    with pytest.raises(JobCancelled):
        refine(START, VIEWS, SMALL, choose("cpu"), on_step=steps.append, check_cancelled=check)
    assert len(asked) == 9
    assert len(steps) == 2


def test_windows_show_the_same_pixels() -> None:
    windows = cut(VIEWS, START.positions)
    side = windows.masks.shape[1]
    assert side < 128
    clip = TRUTH.positions @ windows.clip[:, :, :3].transpose(0, 2, 1) + windows.clip[:, None, :, 3]
    drawn = rasterize(np.ascontiguousarray(clip, np.float32), TRUTH.triangles, (side, side))
    assert (drawn.covered != (windows.masks > 0.5)).mean() < 1e-3
    assert windows.masks.sum() == VIEWS.masks.sum()


def test_normals_and_their_gradient() -> None:
    positions = torch.tensor(START.positions[:, :], dtype=torch.float64, requires_grad=True)
    triangles = torch.from_numpy(START.triangles).long()
    np.testing.assert_allclose(
        vertex_normals(positions, triangles).detach().numpy(),
        array_normals(START.positions, START.triangles),
        atol=1e-5,
    )
    few = torch.from_numpy(_ball(RADII, 0).positions).double().requires_grad_()
    corners = torch.from_numpy(_ball(RADII, 0).triangles).long()
    assert torch.autograd.gradcheck(lambda points: vertex_normals(points, corners), few)
    assert torch.autograd.gradcheck(lambda points: take(points, corners[:, 0]), few)


@pytest.mark.parametrize("kind", [CompiledNeighbours, TorchNeighbours])
def test_smoothing_solves_its_equation(kind: Callable[[torch.Tensor, int], Neighbours]) -> None:
    neighbours = kind(torch.from_numpy(START.triangles).long(), len(START.positions))
    values = torch.from_numpy(np.random.default_rng(0).random((len(START.positions), 3), dtype=np.float32))
    mesh = trimesh.Trimesh(START.positions, START.triangles, process=False)
    for vertex in (0, 100, len(values) - 1):
        mean = values[mesh.vertex_neighbors[vertex]].mean(dim=0)
        torch.testing.assert_close(neighbours.means(values)[vertex], mean)
    new = neighbours.smoothed(values, 3.0, 200)
    torch.testing.assert_close(4.0 * new - 3.0 * neighbours.means(new), values, atol=1e-5, rtol=0)
    same = torch.ones(len(values), 3)
    torch.testing.assert_close(neighbours.smoothed(same, 20.0, 5), same)


def test_the_area_of_a_surface() -> None:
    rows = np.concatenate([START.positions, np.full_like(START.positions, np.nan)], axis=1)
    assert surface_area(rows, START.triangles) == pytest.approx(
        trimesh.Trimesh(START.positions, START.triangles, process=False).area
    )


@pytest.mark.parametrize(
    "wrong",
    [{"steps": -1}, {"longest_edge": 0.0}, {"shortest_edge": 0.5}, {"learning_rate": 0.0}, {"laplacian": -0.1}],
)
def test_settings_refuse_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        attrs.evolve(Stage(steps=1, longest_edge=0.1, shortest_edge=0.1), **wrong)


def test_published_defaults_and_presets() -> None:
    defaults = RefineSettings()
    assert (defaults.rough.longest_edge, defaults.rough.shortest_edge, defaults.rough.expansion) == (0.1, 0.02, 0.1)
    assert defaults.fine.shortest_edge == 0.005
    assert (defaults.fine.ramp, defaults.fine.decay, defaults.view_weights) == (5, 0.99, (1.0, 0.9, 1.0, 0.9))
    assert list(PRESETS) == ["draft", "fast", "quality"]
    assert PRESETS["draft"].most_faces < PRESETS["fast"].most_faces < PRESETS["quality"].most_faces
