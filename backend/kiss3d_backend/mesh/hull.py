"""The visual hull: the largest body whose silhouettes lie in the masks of all views (Laurentini, 1994).

Each matte becomes the signed distance to its outline, accurate to a fraction of a pixel. The body is where the least of
these distances, scaled to the depth of the point, is positive; its surface is taken with marching cubes from a grid
that is fitted to the object, finer along an axis where the object is thin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.spatial import KDTree
from skimage.measure import find_contours
from skimage.morphology import skeletonize

from kiss3d_backend.mesh.bundle.layout import view_name
from kiss3d_backend.mesh.bundle.masks import INSIDE
from kiss3d_backend.mesh.camera import Camera, bundle_cameras
from kiss3d_backend.mesh.marching_cubes import zero_surface
from kiss3d_backend.mesh.regions import connected_regions, region_sizes
from kiss3d_backend.mesh.types import Mesh
from kiss3d_protocol.errors import ViewEmpty, ViewsDisagree

DEFAULT_RESOLUTION = 128
"""Cells along the longest side of the object."""

_REGION = 0.38
_BEYOND_BORDER = 48
_FINE_BAND = 3.0
_THINNEST = 0.75
_THIN_AXIS_SHARE = 0.625
_SMALLEST_CELL_PIXELS = 0.25
_FEWEST_NODES = 12
_MARGIN = 4
_BLOCK = 8
_NEAREST_TO_NODE = 0.03
_SLACK_PIXELS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
_STEEPEST = 1.25


def visual_hull(
    mattes: NDArray[np.floating],
    cameras: Sequence[Camera] | None = None,
    resolution: int = DEFAULT_RESOLUTION,
    *,
    check: Callable[[], None] = lambda: None,
) -> Mesh:
    """The hull of an object, a closed manifold mesh of one or more parts.

    ``mattes``: (N, S, S) in [0, 1], the covered share of each pixel (a boolean mask does too). ``cameras``: N; by
    default those of a bundle. ``resolution``: cells along the longest side. Parts that are too thin for the grid are
    widened to a cell and a half. An object that is cut off by the border of a picture goes on for a little beyond it.
    Views that have no common body are widened, up to 16 pixels, until they have one. ``check``: called between steps;
    what it raises comes out of here.

    Raises :class:`ViewEmpty` for an empty mask and :class:`ViewsDisagree` when no widening helps; both name the view.
    """
    cameras = bundle_cameras() if cameras is None else cameras
    for index, matte in enumerate(mattes):
        if not np.isfinite(matte).all() or not (matte >= INSIDE).any():
            raise ViewEmpty(f"There is no object in {view_name(index)}.")
    fields: list[_View] = []
    for camera, matte in zip(cameras, mattes, strict=True):
        check()
        fields.append(_View(camera, _outline_distance(np.asarray(matte, np.float32))))
    for slack in _SLACK_PIXELS:
        check()
        box = _bounds(fields, slack)
        if box is None:
            continue
        spacing = _spacing(box, resolution, max(view.pixels_per_unit for view in fields))
        widened: list[_View] = []
        for view in fields:
            check()
            widened.append(view.widened(spacing))
        mesh = _surface(widened, box, spacing, slack, check)
        if mesh is not None:
            return mesh
    raise ViewsDisagree(
        f"The four views show no common object: {view_name(_least_fitting(fields))} contradicts the others."
    )


@attrs.frozen(eq=False)
class _View:
    """``distance``: pixels to the outline, positive inside, on the tile with :data:`_BEYOND_BORDER` around it."""

    camera: Camera
    distance: NDArray[np.float32]

    @property
    def size(self) -> int:
        return self.distance.shape[0] - 2 * _BEYOND_BORDER

    @property
    def pixels_per_unit(self) -> float:
        """At the origin."""
        return self.size / 2 / self.camera.tangent / self.camera.radius

    def signed_distance(self, points: NDArray[np.float64], slack: float) -> NDArray[np.float64]:
        """World distance (P,) of points (P, 3) to the cone of the silhouette, widened by ``slack`` pixels."""
        at = self.camera.pixels(points, self.size)[:, ::-1].T + _BEYOND_BORDER
        kept = np.clip(at, 0, self.distance.shape[0] - 1)
        sampled = ndi.map_coordinates(self.distance, kept, np.float64, order=1, mode="nearest")
        pixels = sampled - np.hypot(*(at - kept)) + slack
        backwards = self.camera.axes[2]
        depth = points[:, 0] * backwards[0] + points[:, 1] * backwards[1] + points[:, 2] * backwards[2]
        away = self.camera.radius - depth
        return pixels * (away / self.camera.radius / self.pixels_per_unit)

    def widened(self, spacing: NDArray[np.float64]) -> _View:
        """With parts narrower than :data:`_THINNEST` cells on either side of their middle widened to that."""
        across, along = (np.abs(self.camera.axes[:2]) @ spacing) * self.pixels_per_unit
        cells = (1.0 / along, 1.0 / across)
        inside = self.distance > 0
        core = np.asarray(ndi.distance_transform_edt(inside, cells)) > _THINNEST
        if core.any():
            to_core = np.asarray(ndi.distance_transform_edt(~core, cells))
            thin = inside & (to_core > _THINNEST + 1.0)
        else:
            thin = inside
        if not thin.any():
            return self
        middle = skeletonize(thin)
        stroke = _THINNEST - np.asarray(ndi.distance_transform_edt(~middle, cells))
        return attrs.evolve(self, distance=np.maximum(self.distance, stroke * min(across, along)).astype(np.float32))


def _outline_distance(matte: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(matte, _BEYOND_BORDER, mode="edge")
    inside = padded >= INSIDE
    framed = np.pad(inside, 1)
    distance = np.asarray(ndi.distance_transform_edt(framed))[1:-1, 1:-1]
    distance = np.where(inside, distance - 0.5, 0.5 - np.asarray(ndi.distance_transform_edt(~inside)))
    # The transform only knows whole pixels; next to the outline the matte says where exactly it runs.
    outlines = find_contours(np.pad(padded, 1), INSIDE)
    points = np.concatenate([_densely(outline - 1.0) for outline in outlines])
    rows, columns = np.nonzero(np.abs(distance) < _FINE_BAND)
    exact, _ = KDTree(points).query(np.stack([rows, columns], axis=1), distance_upper_bound=2 * _FINE_BAND)
    exact = np.minimum(exact, 2 * _FINE_BAND)
    distance[rows, columns] = np.where(inside[rows, columns], exact, -exact)
    return distance.astype(np.float32)


def _densely(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """A polyline (P, 2) with points at most half a pixel or so apart; its own are at most 1.5 apart."""
    middles = (outline[1:] + outline[:-1]) / 2
    quarters = np.concatenate([(outline[:-1] + middles) / 2, (outline[1:] + middles) / 2])
    return np.concatenate([outline, middles, quarters])


def _least(views: Sequence[_View], points: NDArray[np.float64], slack: float) -> NDArray[np.float64]:
    value = views[0].signed_distance(points, slack)
    for view in views[1:]:
        value = np.minimum(value, view.signed_distance(points, slack))
    return value


def _bounds(views: Sequence[_View], slack: float) -> NDArray[np.float64] | None:
    """A box (2, 3) around the hull, by zooming in on the cells that it may pass through; None for an empty hull."""
    half = _REGION * min(view.camera.radius for view in views)
    box = np.array([[-half] * 3, [half] * 3])
    for _ in range(5):
        size = box[1] - box[0]
        # About 14,000 cells that are as near to cubes as may be.
        steps = np.maximum(np.rint(size / np.cbrt(size.prod()) * 24), 4).astype(int)
        cell = size / steps
        axes = [box[0, axis] + (np.arange(steps[axis]) + 0.5) * cell[axis] for axis in range(3)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        kept = points[_least(views, points, slack) > -_STEEPEST * np.linalg.norm(cell) / 2]
        if len(kept) == 0:
            return None
        box = np.stack([kept.min(axis=0) - cell / 2, kept.max(axis=0) + cell / 2])
    return box


def _spacing(box: NDArray[np.float64], resolution: int, pixels_per_unit: float) -> NDArray[np.float64]:
    """The size (3,) of a grid cell: no finer than the pixels can tell."""
    size = box[1] - box[0]
    return np.maximum(
        np.minimum(size.max() / resolution, size / (_THIN_AXIS_SHARE * resolution)),
        _SMALLEST_CELL_PIXELS / pixels_per_unit,
    )


def _surface(
    views: Sequence[_View],
    box: NDArray[np.float64],
    spacing: NDArray[np.float64],
    slack: float,
    check: Callable[[], None],
) -> Mesh | None:
    """The surface on a grid around the box, or None when no node is inside."""
    counts = np.ceil((box[1] - box[0]) / spacing).astype(int) + 1 + 2 * _MARGIN
    counts = -(-counts // _BLOCK) * _BLOCK
    origin = (box[0] + box[1]) / 2 - spacing * (counts - 1) / 2
    value = _sampled(views, origin, spacing, counts, slack, check)
    smallest = float(spacing.min())
    for axis in range(3):
        border = np.moveaxis(value, axis, 0)
        border[[0, -1]] = np.minimum(border[[0, -1]], -smallest)
    if not (value > 0).any():
        return None
    check()
    value = _without_specks(value, smallest)
    check()
    value = _away_from_zero(_well_composed(value, smallest), _NEAREST_TO_NODE * smallest)
    check()
    corners, faces = zero_surface(value)
    positions = (origin + corners.astype(np.float64) * spacing).astype(np.float32)
    a, b, c = (positions[faces[:, corner]].astype(np.float64) for corner in range(3))
    if np.einsum("ij,ij->", a, np.cross(b, c)) < 0:
        faces = faces[:, ::-1]
    return Mesh(positions, np.ascontiguousarray(faces, dtype=np.int32))


def _sampled(
    views: Sequence[_View],
    origin: NDArray[np.float64],
    spacing: NDArray[np.float64],
    counts: NDArray[np.int64],
    slack: float,
    check: Callable[[], None],
) -> NDArray[np.float32]:
    """The field at the nodes; exact only in blocks that the surface may pass through."""
    blocks = counts // _BLOCK
    index = np.stack(np.meshgrid(*(np.arange(count) for count in blocks), indexing="ij"), axis=-1).reshape(-1, 3)
    centres = origin + (index * _BLOCK + (_BLOCK - 1) / 2) * spacing
    middle = _least(views, centres, slack)
    field = np.empty((len(index), _BLOCK, _BLOCK, _BLOCK), dtype=np.float32)
    field[:] = middle[:, None, None, None]
    # One node more than the block's own half, because cells reach into the next block.
    near = np.flatnonzero(np.abs(middle) < _STEEPEST * np.linalg.norm(spacing) * (_BLOCK + 1) / 2)
    inner = np.stack(np.meshgrid(*(np.arange(_BLOCK),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for begin in range(0, len(near), 512):
        check()
        chosen = near[begin : begin + 512]
        nodes = (index[chosen, None] * _BLOCK + inner).reshape(-1, 3)
        field[chosen] = _least(views, origin + nodes * spacing, slack).reshape(-1, _BLOCK, _BLOCK, _BLOCK)
    shaped = field.reshape(*blocks, _BLOCK, _BLOCK, _BLOCK)
    return np.ascontiguousarray(shaped.transpose(0, 3, 1, 4, 2, 5).reshape(counts))


def _without_specks(value: NDArray[np.float32], cell: float) -> NDArray[np.float32]:
    """Without parts and cavities of a few nodes, which come where a rim or a face runs between nodes.

    The largest part stays, whatever its size.
    """
    for sign in (1, -1):
        labels, count = connected_regions(sign * value > 0)
        nodes = region_sizes(labels, count)
        nodes[0] = 0
        speck = nodes < min(_FEWEST_NODES, nodes.max())
        speck[0] = False
        if speck.any():
            value = np.where(speck[labels], np.float32(-sign * 0.1 * cell), value)
    return value


def _well_composed(value: NDArray[np.float32], cell: float) -> NDArray[np.float32]:
    """Fills nodes until no cell is ambiguous (Latecki, 1997): marching cubes then gives a manifold, always.

    Ambiguous are a face whose inside is only one diagonal, and a cell whose inside or outside is only two opposite
    corners. Every step fills a node, so there is an end.
    """
    while True:
        filled = _ambiguous(value)
        if len(filled) == 0:
            return value
        value.ravel()[filled] = 0.1 * cell


def _ambiguous(value: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each ambiguous face and cell the flat index of an outside node to fill, the one with the largest value."""
    inside = value > 0
    number = np.arange(value.size).reshape(value.shape)
    flat = value.ravel()
    found = []

    def choose(*candidates: NDArray[np.int64]) -> None:
        nodes = np.stack(candidates)
        best = np.argmax(np.where(flat[nodes] > 0, -np.inf, flat[nodes]), axis=0)
        found.append(nodes[best, np.arange(nodes.shape[1])])

    for one, other in ((0, 1), (0, 2), (1, 2)):
        corner = {(i, j): _shifted({one: i, other: j}, (one, other)) for i in (0, 1) for j in (0, 1)}
        a, b, c, d = (inside[corner[key]] for key in ((0, 0), (0, 1), (1, 0), (1, 1)))
        bad = (a == d) & (b == c) & (a != b)
        if bad.any():
            choose(*(number[corner[key]][bad] for key in corner))
    offsets = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    corners = {offset: _shifted(dict(enumerate(offset)), (0, 1, 2)) for offset in offsets}
    total = sum(inside[corners[offset]].astype(np.int8) for offset in offsets)
    for offset in offsets[:4]:
        opposite = (1 - offset[0], 1 - offset[1], 1 - offset[2])
        a, b = inside[corners[offset]], inside[corners[opposite]]
        bad = ((total == 2) & a & b) | ((total == 6) & ~a & ~b)
        if bad.any():
            choose(*(number[corners[key]][bad] for key in offsets))
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _shifted(steps: dict[int, int], axes: tuple[int, ...]) -> tuple[slice, ...]:
    """All nodes that have a neighbour one step up along ``axes``, moved by ``steps``."""
    parts = [slice(None)] * 3
    for axis in axes:
        parts[axis] = slice(1, None) if steps[axis] else slice(None, -1)
    return tuple(parts)


def _away_from_zero(value: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """A surface through a node would make triangles of no area."""
    away = np.where(value > 0, np.float32(least), np.float32(-least))
    return np.where(np.abs(value) < least, away, value)


def _least_fitting(views: Sequence[_View]) -> int:
    """The view that is farthest from the body that the others have in common."""
    half = _REGION * min(view.camera.radius for view in views) * 0.8
    axis = np.linspace(-half, half, 40)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    values = np.stack([view.signed_distance(points, 0.0) for view in views])
    return max(range(len(views)), key=lambda view: float(np.delete(values, view, axis=0).min(axis=0).max()))
