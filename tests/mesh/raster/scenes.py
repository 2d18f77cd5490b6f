"""Meshes in clip space, and a rasteriser in float64 that shares nothing with those under test."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray


@attrs.frozen(eq=False)
class Scene:
    """Clip coordinates (N, V, 4) float32 and triangles (T, 3) int32."""

    clip: NDArray[np.float32]
    triangles: NDArray[np.int32]


def sphere(rings: int, segments: int, radius: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """A closed ball of latitudes and longitudes, counter-clockwise from outside."""
    theta = np.pi * np.arange(1, rings) / rings
    phi = 2 * np.pi * np.arange(segments) / segments
    ring = np.stack(
        [
            np.sin(theta)[:, None] * np.sin(phi),
            np.broadcast_to(np.cos(theta)[:, None], (rings - 1, segments)),
            np.sin(theta)[:, None] * np.cos(phi),
        ],
        axis=-1,
    ).reshape(-1, 3)
    positions = np.concatenate([[[0.0, 1.0, 0.0]], ring, [[0.0, -1.0, 0.0]]]) * radius
    row = 1 + np.arange(rings - 1)[:, None] * segments
    this, following = np.arange(segments), np.roll(np.arange(segments), -1)
    upper, lower = row[:-1], row[1:]
    last = len(positions) - 1
    parts = [
        np.stack([np.zeros(segments, dtype=int), 1 + this, 1 + following], axis=1),
        np.stack([upper + this, lower + this, lower + following], axis=-1).reshape(-1, 3),
        np.stack([upper + this, lower + following, upper + following], axis=-1).reshape(-1, 3),
        np.stack([np.full(segments, last), row[-1] + following, row[-1] + this], axis=1),
    ]
    return positions, np.concatenate(parts).astype(np.int32)


def look_from(
    positions: NDArray[np.float64], azimuths: tuple[float, ...], elevation: float = 5.0
) -> NDArray[np.float64]:
    """Clip coordinates (N, V, 4) as the cameras of a bundle see positions (V, 3): radius 4.5, 30 degrees."""
    views = []
    for azimuth in azimuths:
        a, e = np.radians(azimuth), np.radians(elevation)
        back = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        right = np.array([np.cos(a), 0.0, -np.sin(a)])
        seen = positions @ np.stack([right, np.cross(back, right), back]).T - [0, 0, 4.5]
        near, far, focal = 0.1, 100.0, 1 / np.tan(np.radians(15))
        z = (far + near) / (near - far) * seen[:, 2] + 2 * far * near / (near - far)
        views.append(np.stack([seen[:, 0] * focal, seen[:, 1] * focal, z, -seen[:, 2]], axis=1))
    return np.stack(views)


def ball(rings: int, segments: int, azimuths: tuple[float, ...] = (0.0, 90.0)) -> Scene:
    positions, triangles = sphere(rings, segments)
    return Scene(look_from(positions, azimuths).astype(np.float32), triangles)


def soup(seed: int, faces: int, *, behind: float = 0.0, views: int = 2, grid: bool = False) -> Scene:
    """Random triangles that overlap, some degenerate; a part of the vertices is behind the camera or close to w = 0.

    On a ``grid``, corners are on pixel centres, so that edges run through others.
    """
    random = np.random.default_rng(seed)
    vertices = max(3, faces)
    clip = random.uniform(-1.5, 1.5, (views, vertices, 4))
    clip[..., 2] = random.uniform(-1.1, 1.1, (views, vertices))
    clip[..., 3] = random.uniform(0.5, 2.0, (views, vertices))
    if grid:
        clip[..., :2] = np.round(clip[..., :2] * 4) / 4 + 1 / 16
        clip[..., 3] = 1.0
    else:
        clip[..., :3] *= clip[..., 3:]
    odd = random.random(vertices) < behind
    clip[:, odd, 3] = random.choice([-1.0, -1e-3, 0.0, 1e-30, 1e-6, -1e-9], (views, int(odd.sum())))
    triangles = random.integers(0, vertices, (faces, 3))
    triangles[::17, 2] = triangles[::17, 1]
    return Scene(clip.astype(np.float32), triangles.astype(np.int32))


@attrs.frozen(eq=False)
class Hits:
    """Every triangle at every pixel of one view: ``depth`` (T, H, W), inf where it is not hit; ``margin`` (T, H, W), by
    how much its least coordinate is inside (positive) or outside."""

    depth: NDArray[np.float64]
    margin: NDArray[np.float64]


def all_hits(clip: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int]) -> Hits:
    """Solves, for each triangle and pixel, for the coordinates whose point projects there: no edges, no boxes."""
    height, width = size
    x = (2 * np.arange(width) + 1) / width - 1
    y = 1 - (2 * np.arange(height) + 1) / height
    pixel = np.stack([*np.meshgrid(x, y), np.ones((height, width))])
    corners = clip[triangles].astype(np.float64)
    depth = np.full((len(triangles), height, width), np.inf)
    margin = np.full(depth.shape, -np.inf)
    for index, corner in enumerate(corners):
        matrix = corner[:, [0, 1, 3]].T
        if not np.isfinite(corner).all() or len(set(triangles[index])) < 3 or np.linalg.matrix_rank(matrix) < 3:
            continue
        # The shares over w: their sum is 1 / w, which is positive in front of the camera.
        over_w = np.einsum("ij,jhw->ihw", np.linalg.inv(matrix), pixel)
        inverse_w = over_w.sum(axis=0)
        z = np.einsum("i,ihw->hw", corner[:, 2], over_w)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = over_w / np.abs(over_w).sum(axis=0)
        margin[index] = np.nan_to_num(share.min(axis=0), nan=-1.0)
        hit = (over_w >= 0).all(axis=0) & (inverse_w > 0) & (np.abs(z) <= 1)
        depth[index][hit] = z[hit]
        # Close to being cut by the near or the far plane is as undecided as close to an edge.
        margin[index] = np.where(np.abs(np.abs(z) - 1) < 1e-9, 0.0, margin[index])
    return Hits(depth, margin)


def undecided(hits: Hits, found: NDArray[np.int32], nearest: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels (H, W) at which both answers are right: a centre on an edge, or two triangles at one depth."""
    rows, columns = np.indices(found.shape)
    depths = [np.where(index < 0, np.inf, hits.depth[index, rows, columns]) for index in (found, nearest)]
    with np.errstate(invalid="ignore"):
        tie = np.abs(depths[0] - depths[1]) <= 4e-9
    on_edge = np.zeros(found.shape, dtype=bool)
    for index in (found, nearest):
        on_edge |= (index >= 0) & (np.abs(hits.margin[index, rows, columns]) < 1e-9)
    return tie | on_edge
