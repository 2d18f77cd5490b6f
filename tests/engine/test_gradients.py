"""Gradients of every back end against central differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.mesh.raster.scenes import Scene, ball, look_from, soup, sphere

torch = pytest.importorskip("torch")

from kiss3d_backend.mesh.edges import face_neighbours  # noqa: E402
from kiss3d_backend.mesh.raster.torch_api import Rasterizer, TorchFragments  # noqa: E402

SIZE = (20, 26)
SCENES = {"ball": ball(7, 9), "fine ball": ball(30, 40, (20.0,)), "soup": soup(4, 30)}


def tensors(scene: Scene) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    neighbours = face_neighbours(scene.triangles, scene.clip.shape[1])
    return torch.from_numpy(scene.clip), torch.from_numpy(scene.triangles), torch.from_numpy(neighbours)


def interpolated(attributes: np.ndarray, clip: np.ndarray, triangles: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Interpolation by its definition: the point of the triangle's plane that projects to the pixel's centre."""
    _, height, width = found.shape
    image = np.zeros((*found.shape, attributes.shape[-1]))
    for view, row, column in np.argwhere(found >= 0):
        corners = triangles[found[view, row, column]]
        pixel = [(2 * column + 1) / width - 1, 1 - (2 * row + 1) / height, 1]
        over_w = np.linalg.solve(clip[view][corners][:, [0, 1, 3]].T, pixel)
        values = attributes[corners] if attributes.ndim == 2 else attributes[view][corners]
        image[view, row, column] = over_w @ values / over_w.sum()
    return image


def differences(function: Callable[[np.ndarray], float], at: np.ndarray, picked: np.ndarray) -> np.ndarray:
    """Central differences of a function at the flat indices ``picked``."""
    result = []
    for index in picked:
        step = 1e-6 * max(1.0, abs(at.flat[index]))
        high, low = at.copy(), at.copy()
        high.flat[index] += step
        low.flat[index] -= step
        result.append((function(high) - function(low)) / (2 * step))
    return np.array(result)


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("per_view", [False, True])
def test_interpolation(rasterizer: Rasterizer, name: str, per_view: bool) -> None:
    scene = SCENES[name]
    clip, triangles, _ = tensors(scene)
    random = np.random.default_rng(0)
    shape = (len(clip), clip.shape[1], 3) if per_view else (clip.shape[1], 3)
    attributes = torch.from_numpy(random.normal(size=shape).astype(np.float32)).requires_grad_()
    clip.requires_grad_()
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    image = rasterizer.interpolate(attributes, fragments, clip, triangles)
    weights = random.normal(size=image.shape)

    precise = attributes.detach().double().numpy(), clip.detach().double().numpy()
    found = fragments.triangle.numpy()
    np.testing.assert_allclose(
        image.detach().numpy(), interpolated(*precise, scene.triangles, found), atol=2e-5 * np.abs(precise[0]).max()
    )
    (image * torch.from_numpy(weights.astype(np.float32))).sum().backward()

    def loss(attributes: np.ndarray, clip: np.ndarray) -> float:
        return float((interpolated(attributes, clip, scene.triangles, found) * weights).sum())

    assert attributes.grad is not None
    assert clip.grad is not None
    picked = busiest(attributes.grad, 6)
    expected = differences(lambda values: loss(values, precise[1]), precise[0], picked)
    assert_close(attributes.grad.numpy().flat[picked], expected)
    picked = busiest(clip.grad, 12)
    expected = differences(lambda values: loss(precise[0], values), precise[1], picked)
    assert_close(clip.grad.numpy().flat[picked], expected, 1e-3)
    assert (clip.grad[..., 2] == 0).all()


def busiest(grad: torch.Tensor, count: int) -> np.ndarray:
    """Half of the indices have the largest gradients, the others are spread over all."""
    order = np.argsort(-np.abs(grad.numpy().ravel()), kind="stable")
    return np.unique(np.concatenate([order[: count // 2], np.linspace(0, grad.numel() - 1, count // 2).astype(int)]))


@pytest.mark.parametrize("name", SCENES)
def test_antialiasing(rasterizer: Rasterizer, oracle: Rasterizer, name: str) -> None:
    clip, triangles, adjacency = tensors(SCENES[name])
    random = np.random.default_rng(1)
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    image = torch.from_numpy(random.random((*fragments.triangle.shape, 3)).astype(np.float32)).requires_grad_()
    clip.requires_grad_()
    out = rasterizer.antialias(image, fragments, clip, triangles, adjacency)
    weights = torch.from_numpy(random.normal(size=out.shape))
    (out * weights.float()).sum().backward()

    def blended(image: torch.Tensor, clip: torch.Tensor) -> torch.Tensor:
        return oracle.antialias(image, fragments, clip, triangles, adjacency)

    precise = image.detach().double(), clip.detach().double()
    expected_out = blended(*precise)
    assert (expected_out - precise[0]).abs().max() > 0.05
    np.testing.assert_allclose(out.detach().numpy(), expected_out.numpy(), atol=1e-5)
    assert image.grad is not None
    assert clip.grad is not None
    picked = busiest(image.grad, 8)
    expected = differences(
        lambda values: float((blended(torch.from_numpy(values), precise[1]) * weights).sum()),
        precise[0].numpy(),
        picked,
    )
    assert_close(image.grad.numpy().flat[picked], expected)
    picked = busiest(clip.grad, 16)
    expected = differences(
        lambda values: float((blended(precise[0], torch.from_numpy(values)) * weights).sum()),
        precise[1].numpy(),
        picked,
    )
    assert_close(clip.grad.numpy().flat[picked], expected, 1e-3)


def test_antialiased_edges_cover_what_they_should(rasterizer: Rasterizer) -> None:
    """A rectangle, two triangles: its blended mask adds up to its area, and its gradient to its border."""
    left, right, low, high = -0.6173, 0.4339, -0.5021, 0.7117
    corners = [[left, low, 0, 1], [right, low, 0, 1], [right, high, 0, 1], [left, high, 0, 1]]
    clip = torch.tensor([corners], dtype=torch.float32, requires_grad=True)
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    adjacency = torch.from_numpy(face_neighbours(triangles.numpy(), 4))
    height, width = 40, 64
    fragments = rasterizer.rasterize(clip, triangles, (height, width))
    mask = fragments.covered[..., None].float()
    area = rasterizer.antialias(mask, fragments, clip, triangles, adjacency).sum()
    unit = width * height / 4
    # Corners are blended once in each direction, so they may miss up to a pixel each.
    assert abs(float(area.detach()) - (right - left) * (high - low) * unit) < 2
    area.backward()
    assert clip.grad is not None
    assert float(clip.grad[0, 1:3, 0].sum()) == pytest.approx((high - low) * unit, rel=0.05)
    assert float(clip.grad[0, [0, 3], 0].sum()) == pytest.approx(-(high - low) * unit, rel=0.05)
    assert float(clip.grad[0, 2:, 1].sum()) == pytest.approx((right - left) * unit, rel=0.05)


def test_a_picture_without_a_gradient_is_blended_the_same(rasterizer: Rasterizer) -> None:
    """A back end may then pass over neighbours that are alike; the others' silhouettes must not change."""
    clip, triangles, adjacency = tensors(SCENES["soup"])
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    mask = fragments.covered[..., None].float()
    assert (mask == 1).any()
    results = []
    for wants in (False, True):
        at = clip.clone().requires_grad_()
        out = rasterizer.antialias(mask.clone().requires_grad_(wants), fragments, at, triangles, adjacency)
        (out * torch.linspace(0, 1, out.numel()).reshape(out.shape)).sum().backward()
        assert at.grad is not None
        results.append((out.detach(), at.grad))
    assert (results[0][0] != mask).any()
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize(("rings", "segments"), [(12, 16), (80, 120)])
def test_silhouettes_feel_the_scale_of_a_ball(rasterizer: Rasterizer, rings: int, segments: int) -> None:
    """Also when the triangles at its limb are far smaller than a pixel."""
    positions, triangles = sphere(rings, segments)
    neighbours = torch.from_numpy(face_neighbours(triangles, len(positions)))
    index = torch.from_numpy(triangles)

    def area(scale: float) -> tuple[float, float]:
        """Pixels inside, and their derivative by the scale."""
        clip = torch.from_numpy(look_from(positions * scale, (0.0, 90.0)).astype(np.float32)).requires_grad_()
        fragments = rasterizer.rasterize(clip, index, (96, 96))
        mask = rasterizer.interpolate(torch.ones(len(positions), 1), fragments, clip, index)
        total = rasterizer.antialias(mask, fragments, clip, index, neighbours).sum()
        total.backward()
        assert clip.grad is not None
        moved = (look_from(positions * (scale + 1e-4), (0.0, 90.0)) - look_from(positions * scale, (0.0, 90.0))) / 1e-4
        return float(total.detach()), float((clip.grad.double().numpy() * moved).sum())

    step = 0.05
    expected = (area(0.9 + step)[0] - area(0.9 - step)[0]) / (2 * step)
    mean = np.mean([area(scale)[1] for scale in (0.9 - step / 2, 0.9, 0.9 + step / 2)])
    assert mean == pytest.approx(expected, rel=0.03)


def test_a_surface_that_goes_on_is_left_alone(rasterizer: Rasterizer) -> None:
    """Inside the silhouette of a smooth ball nothing is blended, though neighbouring pixels show other triangles."""
    clip, triangles, adjacency = tensors(ball(40, 60, (0.0,)))
    fragments = rasterizer.rasterize(clip, triangles, (64, 64))
    image = torch.rand((1, 64, 64, 1), generator=torch.Generator().manual_seed(0))
    out = rasterizer.antialias(image, fragments, clip, triangles, adjacency)
    inside = torch.nn.functional.avg_pool2d(fragments.covered.float(), 5, 1, 2) == 1
    assert inside.sum() > 500
    assert torch.equal(out[inside], image[inside])
    assert not torch.equal(out, image)


def test_back_ends_agree_on_a_larger_scene(rasterizer: Rasterizer, oracle: Rasterizer) -> None:
    results = []
    for one in (rasterizer, oracle):
        clip, triangles, adjacency = tensors(ball(60, 90, (10.0, 100.0, 190.0)))
        clip.requires_grad_()
        fragments = one.rasterize(clip, triangles, (96, 96))
        colours = torch.rand((clip.shape[1], 3), generator=torch.Generator().manual_seed(2)).requires_grad_()
        image = one.interpolate(colours, fragments, clip, triangles)
        out = one.antialias(image, fragments, clip, triangles, adjacency)
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        results.append([out.detach(), colours.grad, clip.grad])
    for ours, theirs in zip(*results, strict=True):
        assert ours is not None
        assert theirs is not None
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("wants", ["attributes", "clip"])
def test_only_wanted_gradients_are_made(rasterizer: Rasterizer, wants: str) -> None:
    clip, triangles, adjacency = tensors(SCENES["ball"])
    attributes = torch.ones(clip.shape[1], 2)
    (attributes if wants == "attributes" else clip).requires_grad_()
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    image = rasterizer.interpolate(attributes, fragments, clip, triangles)
    rasterizer.antialias(image, fragments, clip, triangles, adjacency).sum().backward()
    assert (attributes.grad is None) != (clip.grad is None)


def test_nothing_to_draw_has_no_gradient(rasterizer: Rasterizer) -> None:
    clip = torch.zeros((2, 3, 4), requires_grad=True)
    triangles = torch.zeros((0, 3), dtype=torch.int32)
    attributes = torch.ones((3, 1), requires_grad=True)
    fragments = rasterizer.rasterize(clip, triangles, (4, 5))
    assert isinstance(fragments, TorchFragments)
    assert not fragments.covered.any()
    image = rasterizer.interpolate(attributes, fragments, clip, triangles)
    out = rasterizer.antialias(image, fragments, clip, triangles, triangles)
    assert out.shape == (2, 4, 5, 1)
    out.sum().backward()
    assert attributes.grad is None or not attributes.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions_come_back_as_they_went_in(rasterizer: Rasterizer, dtype: torch.dtype) -> None:
    clip, triangles, _ = tensors(SCENES["ball"])
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    attributes = torch.ones((clip.shape[1], 2), dtype=dtype, requires_grad=True)
    image = rasterizer.interpolate(attributes, fragments, clip, triangles)
    image.sum().backward()
    assert image.dtype == dtype
    assert attributes.grad is not None
    assert attributes.grad.dtype == dtype


def test_wrong_tensors_are_refused(rasterizer: Rasterizer) -> None:
    clip, triangles, adjacency = tensors(SCENES["ball"])
    fragments = rasterizer.rasterize(clip, triangles, SIZE)
    image = torch.zeros((2, *SIZE, 1))
    with pytest.raises(ValueError, match="int32"):
        rasterizer.rasterize(clip, triangles.long(), SIZE)
    with pytest.raises(ValueError, match="floats"):
        rasterizer.rasterize(clip.int(), triangles, SIZE)
    with pytest.raises(ValueError, match=r"not \(V, C\)"):
        rasterizer.interpolate(torch.zeros(5, 2), fragments, clip, triangles)
    with pytest.raises(ValueError, match="3 views for 2"):
        rasterizer.interpolate(torch.zeros(3, clip.shape[1], 2), fragments, clip, triangles)
    with pytest.raises(ValueError, match="fragments"):
        rasterizer.antialias(image[:, 1:], fragments, clip, triangles, adjacency)
    with pytest.raises(ValueError, match="adjacency"):
        rasterizer.antialias(image, fragments, clip, triangles, adjacency[1:])
