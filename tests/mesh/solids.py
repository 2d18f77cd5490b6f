"""Procedural solids in the unit box, smooth and sharp, thick and thin, with and without handles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kiss3d_backend.mesh.edges import is_closed
from kiss3d_backend.mesh.marching_cubes import zero_surface
from kiss3d_backend.mesh.remesh.remesh import WorkingMesh, remesh
from kiss3d_backend.mesh.types import Mesh

Field = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Distance to a surface, roughly, negative inside: (N, 3) -> (N,)."""


def _box(points: NDArray[np.float32], centre: tuple[float, ...], half: tuple[float, ...]) -> NDArray[np.float32]:
    beyond = np.abs(points - np.float32(centre)) - np.float32(half)
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)


def _chair(points: NDArray[np.float32]) -> NDArray[np.float32]:
    parts = [_box(points, (0, -0.05, 0), (0.25, 0.03, 0.25)), _box(points, (0, 0.22, -0.22), (0.25, 0.27, 0.03))]
    parts += [_box(points, (x, -0.28, z), (0.035, 0.22, 0.035)) for x in (-0.2, 0.2) for z in (-0.2, 0.2)]
    return np.min(parts, axis=0)


def _mug(points: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y, z = points.T
    across = np.hypot(x + 0.1, z)
    outer = np.maximum(across - 0.3, np.abs(y) - 0.36)
    inner = np.maximum(across - 0.26, np.abs(y - 0.06) - 0.38)
    handle = np.hypot(np.hypot(x - 0.22, y) - 0.18, z) - 0.035
    return np.maximum(np.minimum(outer, handle), -inner)


def _gear(points: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y, z = points.T
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    rim = 0.42 + 0.07 * np.clip(2.5 * np.cos(12 * angle), -1, 1)
    return np.maximum(np.maximum(0.7 * (radius - rim), np.abs(z) - 0.1), 0.12 - radius)


def _character(points: NDArray[np.float32]) -> NDArray[np.float32]:
    def ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.float32]:
        scaled = (points - np.float32(centre)) / np.float32(radii)
        length = np.linalg.norm(scaled, axis=1)
        return length * (length - 1) / np.maximum(np.linalg.norm(scaled / np.float32(radii), axis=1), 1e-6)

    parts = [ellipsoid((0, 0, 0), (0.16, 0.22, 0.12)), ellipsoid((0, 0.34, 0.01), (0.13, 0.15, 0.14))]
    parts += [ellipsoid((0, 0.33, 0.15), (0.03, 0.03, 0.04))]
    for side in (-1, 1):
        parts += [
            ellipsoid((0.22 * side, 0.06, 0.0), (0.15, 0.05, 0.05)),
            ellipsoid((0.36 * side, 0.08, 0), (0.06,) * 3),
        ]
        parts += [
            ellipsoid((0.09 * side, -0.3, 0), (0.07, 0.2, 0.07)),
            ellipsoid((0.1 * side, -0.46, 0.05), (0.07, 0.04, 0.11)),
        ]
    sharpness = 40.0
    return (-np.log(np.exp(-sharpness * np.stack(parts)).sum(axis=0) + 1e-30) / sharpness).astype(np.float32)


def _plate(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return _box(points, (0, 0, 0), (0.5, 0.35, 0.02))


def _torus_knot(points: NDArray[np.float32]) -> NDArray[np.float32]:
    t = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    radius = 0.28 + 0.12 * np.cos(3 * t)
    curve = np.stack([radius * np.cos(2 * t), radius * np.sin(2 * t), 0.15 * np.sin(3 * t)], axis=1)
    return cKDTree(curve).query(points, workers=2)[0].astype(np.float32) - 0.06


SOLIDS: dict[str, Field] = {
    "chair": _chair,
    "mug": _mug,
    "gear": _gear,
    "character": _character,
    "plate": _plate,
    "torus knot": _torus_knot,
}


def solid(name: str, cells: int = 144) -> Mesh:
    """The surface of ``SOLIDS[name]``, closed, in the unit box."""
    return meshed(SOLIDS[name], cells)


def meshed(field: Field, cells: int) -> Mesh:
    """The surface of a field, closed, fitted to the unit box."""
    axis = np.linspace(-0.53, 0.53, cells + 1, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    # No sample on the surface itself: two crossings at one point would make triangles without an area.
    values = field(grid).reshape((cells + 1,) * 3).astype(np.float32) + 1e-5
    vertices, faces = zero_surface(values, degenerate=False)
    vertices = vertices / cells * (axis[-1] - axis[0]) + axis[0]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - (low + high) / 2) / (high - low).max()
    # Which way round marching cubes winds them has changed between releases; an inside-out mesh looks right in a
    # silhouette and is wrong in everything else.
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    if np.einsum("ij,ij->", a, np.cross(b, c)) < 0:
        faces = faces[:, ::-1]
    mesh = Mesh(vertices.astype(np.float32), np.ascontiguousarray(faces, dtype=np.int32))
    assert is_closed(mesh.triangles, len(mesh.positions))
    return mesh


def smoothed_and_noised(
    mesh: Mesh, *, edge: float = 0.03, rounds: int = 25, noise: float = 0.004, seed: int = 0
) -> Mesh:
    """A coarse mesh of the same thing: edges of ``edge``, smoothed and thrown about."""
    working = remesh(WorkingMesh.of(mesh.positions, mesh.triangles, edge), rounds=8)
    start, end = working.triangles.ravel(), working.triangles[:, [1, 2, 0]].ravel()
    count = np.bincount(start, minlength=len(working.vertices))[:, None]
    positions = working.vertices.astype(np.float64)
    for _ in range(rounds):
        total = np.stack([np.bincount(start, positions[end, axis], len(positions)) for axis in range(3)], axis=1)
        positions += 0.5 * (total / np.maximum(count, 1) - positions)
    positions += noise * np.random.default_rng(seed).standard_normal(positions.shape)
    return Mesh(np.clip(positions, -0.5, 0.5).astype(np.float32), working.triangles)
