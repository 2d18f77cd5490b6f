"""Silhouettes and measures that several tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SIDE = 256
_y, _x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
_radius = np.hypot(_x - SIDE / 2, _y - SIDE / 2)
_angle = np.arctan2(_y - SIDE / 2, _x - SIDE / 2)


def disc(radius: float = 100.0) -> np.ndarray:
    return np.clip(radius - _radius + 0.5, 0, 1).astype(np.float32)


def ring(outer: float = 100.0, inner: float = 60.0) -> np.ndarray:
    return np.minimum(disc(outer), 1 - disc(inner))


def letter_b() -> np.ndarray:
    letter = np.zeros((SIDE, SIDE), dtype=np.float32)
    letter[30:226, 60:180] = 1
    letter[60:110, 95:150] = 0
    letter[145:195, 95:150] = 0
    return letter


SHAPES: dict[str, Callable[[], np.ndarray]] = {
    "disc": disc,
    "dot": lambda: disc(2.0),
    "one pixel": lambda: (disc(100.0) * 0 + ((np.arange(SIDE) == 9) * (np.arange(SIDE)[:, None] == 9))).astype(
        np.float32
    ),
    "torus": ring,
    "thin torus": lambda: ring(100.0, 98.5),
    "star": lambda: (_radius < 60 + 55 * np.cos(5 * _angle)).astype(np.float32),
    "needle star": lambda: (_radius < 8 + 110 * np.cos(7 * _angle) ** 21).astype(np.float32),
    "diagonal hair": lambda: ((np.abs(_x - _y) < 1.0) & (_radius < 110)).astype(np.float32),
    "vertical line": lambda: (np.abs(_x - 100.5) < 0.6).astype(np.float32),
    "letter B": letter_b,
    "everything": lambda: np.ones((SIDE, SIDE), dtype=np.float32),
    "touching two borders": lambda: (_x + _y < 200).astype(np.float32),
    "noise": lambda: (np.random.default_rng(0).random((SIDE, SIDE)) > 0.4).astype(np.float32),
    "soft noise": lambda: np.random.default_rng(1).random((SIDE, SIDE)).astype(np.float32),
    "sparse noise": lambda: (np.random.default_rng(2).random((SIDE, SIDE)) > 0.97).astype(np.float32),
    "chequers": lambda: (((_x // 9) + (_y // 9)) % 2).astype(np.float32),
    "hairy disc": lambda: np.maximum(disc(60.0), ((_radius < 110) & (np.sin(40 * _angle) > 0.97)).astype(np.float32)),
    "two discs": lambda: np.maximum(np.roll(disc(50.0), 60, axis=1), np.roll(disc(30.0), -60, axis=1)),
    "dumb-bell": lambda: np.maximum(
        np.maximum(np.roll(disc(40.0), 70, axis=1), np.roll(disc(40.0), -70, axis=1)),
        ((np.abs(_y - 128) < 1) & (np.abs(_x - 128) < 70)).astype(np.float32),
    ),
}


def assert_closed(positions: np.ndarray, triangles: np.ndarray) -> None:
    """Two triangles at every edge, which run along it in opposite directions; every vertex is used, and finite."""
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    forwards = edges[:, 0] * len(positions) + edges[:, 1]
    backwards = edges[:, 1] * len(positions) + edges[:, 0]
    assert len(np.unique(forwards)) == len(forwards)
    np.testing.assert_array_equal(np.sort(forwards), np.sort(backwards))
    assert np.isfinite(positions).all()
    assert len(np.unique(triangles)) == len(positions)


def components(vertices: int, triangles: np.ndarray) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array(
        (np.ones(2 * len(triangles)), (triangles[:, [0, 1]].ravel("F"), triangles[:, [1, 2]].ravel("F"))),
        shape=(vertices, vertices),
    )
    return int(connected_components(links, directed=False)[0])


def volume(positions: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (positions[triangles[:, corner]].astype(np.float64) for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def euler(positions: np.ndarray, triangles: np.ndarray) -> int:
    return len(positions) - len(triangles) // 2
