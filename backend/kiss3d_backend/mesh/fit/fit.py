"""Vertices moved along their normals until normals and outlines are those of the views, as one least-squares problem.

Gradient descent takes a mesh near the views, but mends what is wrong over a large region slowly (a plate that is bent
by two pixels has normals that are off by one degree), and decimation throws thin limbs off again. Both are linear in
small moves along the vertex normals: an edge should be at right angles to the normal that the views show there (Nehab
et al., "Efficiently combining positions and normals for precise 3D geometry", 2005), and a point that makes the outline
should lie on the view's outline. Everything is in pixels.
"""

from __future__ import annotations

from functools import partial

import attrs
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from numpy.typing import NDArray
from scipy.spatial import KDTree

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.bundle.masks import INSIDE
from kiss3d_backend.mesh.camera import Camera, bundle_cameras
from kiss3d_backend.mesh.edges import find_edges
from kiss3d_backend.mesh.fit.outlines import Outline, drawn_outline, nearest, trace
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import silhouette_ious

_ROUNDS = 4
_DAMPING = 0.3
"""The part of a solution that is gone: which point makes the outline changes on the way."""

_OUTLINE = 12.0
"""The weight of a pixel of outline that is off by a pixel, beside a pixel whose normal is off by one radian."""

_SEEN, _UNSEEN = 0.01, 0.05
"""Weights of a difference of a pixel between the moves of an edge's ends, where views show the edge and where not."""

_STAY = 1e-4
_LONGEST = 2.0
_BORROWED = 0.1
"""The weight of its neighbours' normals in a triangle's, for triangles smaller than a pixel."""

_ALIKE = 0.5
"""The cosine above which a drawn normal and a view's are taken for those of one surface."""


def fit_to_views(
    mesh: Mesh,
    normals: NDArray[np.float32],
    mattes: NDArray[np.float32],
    *,
    check: Check = lambda: None,
) -> Mesh:
    """``mesh``, closed and in the bundle's world, with its vertices moved by up to a few pixels.

    ``normals``: (4, S, S, 3), in the world, unit or zero; ``mattes``: (4, S, S). Of the meshes on the way, the first
    one included, the one whose least IoU with the views' masks is the best. ``check`` is called between the steps; what
    it raises comes out of here.
    """
    cameras, size = bundle_cameras(), mattes.shape[1]
    masks = mattes >= INSIDE
    wanted = [trace(matte) for matte in mattes]
    trees = [outline.tree() for outline in wanted]
    best, best_iou = mesh, float(silhouette_ious(mesh.positions, mesh.triangles, masks).min())
    edges = find_edges(mesh.triangles, len(mesh.positions)).ends
    for _ in range(_ROUNDS):
        check()
        surface = _Surface.of(mesh, _pixel(size))
        (system, known), *others = at_once(
            check,
            [
                partial(_of_normals, surface, normals, mattes, cameras),
                *(partial(_of_outline, surface, *view, size) for view in zip(cameras, wanted, trees, strict=True)),
            ],
        )
        for other in others:
            system.join(other)
        shown = np.minimum(known[edges[:, 0]], known[edges[:, 1]])
        even = np.sqrt(_SEEN + (_UNSEEN - _SEEN) * np.clip(1.0 - 2.0 * shown, 0.0, 1.0))
        system.add(edges, np.stack([even, -even], axis=1), np.zeros(len(edges)))
        step = np.clip(system.solved(), -_LONGEST, _LONGEST) * (_DAMPING * surface.pixel)
        mesh = attrs.evolve(mesh, positions=(mesh.positions + step[:, None] * surface.normals).astype(np.float32))
        check()
        iou = float(silhouette_ious(mesh.positions, mesh.triangles, masks).min())
        if iou > best_iou:
            best, best_iou = mesh, iou
    return best


def _pixel(size: int) -> float:
    """What a pixel of a bundle's view is wide in the world, at the origin."""
    camera = bundle_cameras()[0]
    return 2.0 * camera.radius * camera.tangent / size


@attrs.frozen(eq=False)
class _Surface:
    """``pixel``: its width in the world. ``normals``: (V, 3) of the vertices."""

    mesh: Mesh
    normals: NDArray[np.float64]
    pixel: float

    @classmethod
    def of(cls, mesh: Mesh, pixel: float) -> _Surface:
        return cls(mesh, vertex_normals(mesh.positions, mesh.triangles).astype(np.float64), pixel)

    def in_picture(self, camera: Camera, size: int) -> NDArray[np.float64]:
        """(V, 2): how far, in pixels of a picture, each vertex goes for a pixel along its normal."""
        step = 0.01 * self.pixel
        there = camera.pixels(self.mesh.positions + step * self.normals, size)
        return (there - camera.pixels(self.mesh.positions, size)) * (self.pixel / step)


class _System:
    """Rows of a least-squares problem with one unknown for each vertex."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._matrix = sp.csc_array((count, count))
        self._right = np.zeros(count)

    def add(self, vertices: NDArray[np.int32], factors: NDArray[np.float64], right: NDArray[np.float64]) -> None:
        """``right`` (R,) = the sum of ``factors`` (R, K) times the unknowns of ``vertices`` (R, K)."""
        rows = np.repeat(np.arange(len(right)), vertices.shape[1])
        matrix = sp.csr_array((factors.ravel(), (rows, vertices.ravel())), shape=(len(right), self._count))
        self._matrix = self._matrix + (matrix.T @ matrix).tocsc()
        self._right += matrix.T @ right

    def join(self, other: _System) -> None:
        """Adds the rows of another one."""
        self._matrix = self._matrix + other._matrix
        self._right += other._right

    def solved(self) -> NDArray[np.float64]:
        """(V,), drawn to zero a little."""
        matrix = (self._matrix + _STAY * sp.eye_array(self._count)).tocsc()
        factors = spla.splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        return factors.solve(self._right)


def _of_outline(surface: _Surface, camera: Camera, outline: Outline, tree: KDTree, size: int, _: Check) -> _System:
    """Each piece of the mesh's outline in a picture of ``size`` x ``size`` pixels, drawn to ``outline``."""
    mesh = surface.mesh
    system = _System(len(mesh.positions))
    drawn = drawn_outline(mesh.positions, mesh.triangles, camera, size)
    ours, theirs = nearest(drawn.outline, tree)
    corners = mesh.triangles[drawn.triangle[ours]]
    across = outline.normals[theirs]
    off = np.einsum("ij,ij->i", across, outline.points[theirs] - drawn.outline.points[ours])
    weight = np.sqrt(_OUTLINE * drawn.outline.lengths[ours])
    moved = np.einsum("ij,ikj->ik", across, surface.in_picture(camera, size)[corners])
    system.add(corners, weight[:, None] * drawn.barycentric[ours] * moved, weight * off)
    return system


def _of_normals(
    surface: _Surface,
    normals: NDArray[np.float32],
    mattes: NDArray[np.float32],
    cameras: tuple[Camera, ...],
    _: Check,
) -> tuple[_System, NDArray[np.float64]]:
    """Each side of each triangle that a view shows; and how many pixels show each vertex's triangles, (V,)."""
    triangles, positions = surface.mesh.triangles, surface.mesh.positions.astype(np.float64)
    count = len(positions)
    system = _System(count)
    clip = np.stack([camera.clip(positions) for camera in cameras]).astype(np.float32)
    fragments = rasterize(clip, triangles, (mattes.shape[1], mattes.shape[2]))
    shown = (fragments.triangle >= 0) & (mattes >= INSIDE)
    triangle, wanted = fragments.triangle[shown], normals[shown].astype(np.float64)
    shares = fragments.barycentric[shown]
    drawn = np.einsum("ij,ijk->ik", shares, surface.normals[triangles[triangle]])
    alike = np.einsum("ij,ij->i", drawn, wanted) > _ALIKE * np.linalg.norm(drawn, axis=1)
    triangle, wanted, shares = triangle[alike], wanted[alike], shares[alike]
    corners = triangles[triangle].ravel()
    targets = np.empty((len(triangles), 3))
    for axis in range(3):
        of_vertices = np.bincount(corners, (shares * wanted[:, axis : axis + 1]).ravel(), count)
        of_triangles = np.bincount(triangle, wanted[:, axis], len(triangles))
        targets[:, axis] = of_triangles + _BORROWED * of_vertices[triangles].mean(axis=1)
    pixels = np.linalg.norm(targets, axis=1)
    known = np.flatnonzero(pixels > 1e-3)
    direction = targets[known] / pixels[known, None]
    for corner in range(3):
        ends = triangles[known][:, [corner, (corner + 1) % 3]]
        side = (positions[ends[:, 1]] - positions[ends[:, 0]]) / surface.pixel
        weight = np.sqrt(pixels[known] / 3) / np.maximum(np.linalg.norm(side, axis=1), 0.1)
        along = np.einsum("ij,ikj->ik", direction, surface.normals[ends]) * (weight[:, None] * (-1.0, 1.0))
        system.add(ends, along, -weight * np.einsum("ij,ij->i", direction, side))
    return system, np.bincount(triangles.ravel(), np.repeat(pixels, 3), count) / 3
