"""A ball of flat facets, as the published bundle of one shows it."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.mesh.types import Mesh

PUBLISHED_SEMI_AXES = (0.9895, 0.9965, 0.9895)
"""Measured from the published bundle; its ball is of "radius about 1"."""


def faceted_ball(segments: int = 64, rings: int = 32, semi_axes: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Mesh:
    """Meridians and parallels at equal angles; a meridian at the front."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[1:-1, None]
    longitude = np.arange(segments) / segments * 2 * np.pi
    parallels = np.stack(
        [
            np.sin(longitude) * np.cos(latitude),
            np.broadcast_to(np.sin(latitude), (rings - 1, segments)),
            np.cos(longitude) * np.cos(latitude),
        ],
        axis=-1,
    )
    positions = np.concatenate([[[0, -1, 0]], parallels.reshape(-1, 3), [[0, 1, 0]]]) * semi_axes
    number = 1 + np.arange((rings - 1) * segments).reshape(rings - 1, segments)
    following = np.roll(number, -1, axis=1)
    a, b, c, d = number[:-1], following[:-1], following[1:], number[1:]
    south, north = np.zeros(segments, dtype=int), np.full(segments, len(positions) - 1)
    triangles = [
        np.stack([south, following[0], number[0]], axis=-1),
        np.stack([a, b, c], axis=-1).reshape(-1, 3),
        np.stack([a, c, d], axis=-1).reshape(-1, 3),
        np.stack([north, number[-1], following[-1]], axis=-1),
    ]
    return Mesh(positions.astype(np.float32), np.concatenate(triangles).astype(np.int32))
