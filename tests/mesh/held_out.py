"""Procedural solids that no setting was tuned on: furniture, props, characters, and what is hard to see."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray
from tests.mesh.painted import painted
from tests.mesh.solids import Field, meshed

from kiss3d_backend.mesh.types import Mesh

Points = NDArray[np.float32]


def _box(points: Points, centre: tuple[float, ...], half: tuple[float, ...], rounding: float = 0.0) -> Points:
    beyond = np.abs(points - np.float32(centre)) - np.float32(half) + np.float32(rounding)
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0) - rounding


def _capsule(
    points: Points, begin: tuple[float, ...], end: tuple[float, ...], radius: float, tip: float = -1
) -> Points:
    """A rod whose radius goes from ``radius`` to ``tip``."""
    a, along = np.float32(begin), np.float32(end) - np.float32(begin)
    share = np.clip((points - a) @ along / (along @ along), 0, 1)
    thick = radius + share * ((radius if tip < 0 else tip) - radius)
    return np.linalg.norm(points - a - share[:, None] * along, axis=1) - thick


def _cylinder(points: Points, centre: tuple[float, ...], radius: float, half: float, axis: int = 1) -> Points:
    place = points - np.float32(centre)
    across = np.hypot(*(place[:, other] for other in range(3) if other != axis)) - radius
    beyond = np.stack([across, np.abs(place[:, axis]) - half], axis=1)
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)


def _ellipsoid(points: Points, centre: tuple[float, ...], radii: tuple[float, ...]) -> Points:
    scaled = (points - np.float32(centre)) / np.float32(radii)
    length = np.linalg.norm(scaled, axis=1)
    return length * (length - 1) / np.maximum(np.linalg.norm(scaled / np.float32(radii), axis=1), 1e-6)


def _turned(points: Points, about_y: float = 0.0, about_x: float = 0.0) -> Points:
    """The points in the frame of something that is turned by so many degrees."""
    y, x = np.radians(about_y), np.radians(about_x)
    around_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    return (points @ (around_y @ around_x)).astype(np.float32)


def _any(*parts: Points) -> Points:
    return np.min(parts, axis=0)


def _table(points: Points) -> Points:
    legs = [
        _capsule(points, (x, -0.3, z), (0.92 * x, 0.2, 0.92 * z), 0.014, 0.02)
        for x in (-0.42, 0.42)
        for z in (-0.25, 0.25)
    ]
    return _any(_box(points, (0, 0.22, 0), (0.5, 0.02, 0.32)), *legs)


def _lamp(points: Points) -> Points:
    x, y, z = points.T
    shade = np.abs(np.hypot(x, z) - (0.24 - 0.35 * (y - 0.3))) * 0.9 - 0.014
    shade = np.maximum(shade, np.abs(y - 0.32) - 0.14)
    return _any(
        _cylinder(points, (0, -0.47, 0), 0.19, 0.03),
        _cylinder(points, (0, -0.05, 0), 0.02, 0.4),
        _ellipsoid(points, (0, -0.25, 0), (0.08, 0.14, 0.08)),
        _cylinder(points, (0, 0.33, 0), 0.25, 0.012),
        shade,
    )


def _bottle(points: Points) -> Points:
    x, y, z = points.T
    height = np.clip((y - 0.1) / 0.22, 0, 1)
    radius = 0.17 - 0.115 * height**2 * (3 - 2 * height)
    return _any(
        np.maximum(0.8 * (np.hypot(x, z) - radius), np.abs(y + 0.02) - 0.46),
        _cylinder(points, (0, 0.46, 0), 0.07, 0.04),
    )


def _humanoid(points: Points) -> Points:
    parts = [
        _ellipsoid(points, (0, 0.4, 0.01), (0.075, 0.1, 0.085)),
        _capsule(points, (0, 0.28, 0), (0, 0.36, 0), 0.035),
    ]
    parts += [
        _ellipsoid(points, (0, 0.15, 0), (0.12, 0.17, 0.075)),
        _ellipsoid(points, (0, -0.02, 0), (0.11, 0.08, 0.08)),
    ]
    parts += [_ellipsoid(points, (0, 0.39, 0.1), (0.016, 0.022, 0.025))]
    for side in (-1, 1):
        parts += [_capsule(points, (0.11 * side, 0.25, 0), (0.26 * side, 0.08, 0.02), 0.04, 0.032)]
        parts += [_capsule(points, (0.26 * side, 0.08, 0.02), (0.36 * side, -0.08, 0.1), 0.032, 0.024)]
        parts += [_ellipsoid(points, (0.375 * side, -0.11, 0.115), (0.03, 0.045, 0.025))]
        parts += [_capsule(points, (0.06 * side, -0.05, 0), (0.1 * side, -0.26, 0.02), 0.06, 0.045)]
        parts += [_capsule(points, (0.1 * side, -0.26, 0.02), (0.11 * side, -0.45, -0.01), 0.042, 0.03)]
        parts += [_ellipsoid(points, (0.115 * side, -0.475, 0.04), (0.04, 0.025, 0.08))]
    sharpness = 60.0
    return (-np.log(np.exp(-sharpness * np.stack(parts)).sum(axis=0) + 1e-30) / sharpness).astype(np.float32)


def _sword(points: Points) -> Points:
    turned = _turned(points, about_y=20.0)
    x, y, z = turned.T
    width = 0.055 * np.clip((0.5 - y) / 0.12, 0, 1) ** 0.7
    blade = np.maximum(np.maximum(np.abs(x) * 0.35 + np.abs(z) - 0.35 * width, -0.2 - y), y - 0.5) * 0.9
    return _any(
        blade,
        _box(turned, (0, -0.2, 0), (0.15, 0.018, 0.03), 0.01),
        _capsule(turned, (0, -0.2, 0), (0, -0.42, 0), 0.022),
        _ellipsoid(turned, (0, -0.455, 0), (0.045, 0.045, 0.045)),
    )


def _tree(points: Points) -> Points:
    parts = [_capsule(points, (0, -0.42, 0), (0, 0.1, 0), 0.06, 0.04)]
    tips = [
        ((0, -0.1, 0), (-0.3, 0.15, 0.1)),
        ((0, 0.0, 0), (0.28, 0.2, -0.12)),
        ((0, 0.1, 0), (0.08, 0.4, 0.2)),
        ((0, 0.1, 0), (-0.1, 0.42, -0.2)),
        ((-0.15, 0.025, 0.05), (-0.25, 0.3, -0.1)),
        ((0.14, 0.1, -0.06), (0.3, 0.08, 0.15)),
    ]
    for begin, end in tips:
        parts += [_capsule(points, begin, end, 0.035, 0.018), _ellipsoid(points, end, (0.07, 0.06, 0.07))]
    return _any(*parts)


def _house(points: Points) -> Points:
    x, y, z = points.T
    roof = np.maximum(np.maximum(0.75 * (y - 0.1) + 0.66 * np.abs(x) - 0.26, 0.1 - y), np.abs(z) - 0.36)
    eaves = _any(
        np.maximum(_box(points, (0, -0.18, 0), (0.3, 0.3, 0.3)), -_box(points, (0, -0.32, 0.3), (0.07, 0.16, 0.05))),
        roof,
    )
    windows = [_box(points, (side * 0.18, -0.1, 0.3), (0.06, 0.06, 0.03)) for side in (-1, 1)]
    return _any(np.maximum(eaves, -_any(*windows)), _box(points, (0.2, 0.3, -0.15), (0.045, 0.17, 0.045)))


def _car(points: Points) -> Points:
    _, y, z = points.T
    body = _box(points, (0, -0.03, 0), (0.2, 0.09, 0.48), 0.04)
    cabin = np.maximum(
        _box(points, (0, 0.1, -0.05), (0.17, 0.12, 0.27), 0.03), 0.8 * (np.abs(z + 0.05) + 0.6 * (y - 0.2) - 0.24)
    )
    wheels = [
        _cylinder(points, (0.18 * side, -0.12, place), 0.1, 0.045, axis=0) for side in (-1, 1) for place in (-0.28, 0.3)
    ]
    return _any(body, cabin, *wheels)


def _key(points: Points) -> Points:
    turned = _turned(points, about_y=25.0, about_x=-15.0)
    bow = np.maximum(
        _cylinder(turned, (0, 0.3, 0), 0.16, 0.03, axis=2), -_cylinder(turned, (0, 0.33, 0), 0.08, 0.1, axis=2)
    )
    teeth = [_box(turned, (0.07, place, 0), (0.05, 0.03, 0.025)) for place in (-0.4, -0.28)]
    return _any(bow, _cylinder(turned, (0, -0.15, 0), 0.035, 0.32), *teeth)


def _trio(points: Points) -> Points:
    return _any(
        _ellipsoid(points, (-0.3, 0.2, 0.1), (0.16, 0.16, 0.16)),
        _box(points, (0.28, -0.1, 0.15), (0.14, 0.2, 0.12)),
        _capsule(points, (-0.15, -0.35, -0.25), (0.2, -0.3, -0.35), 0.09),
    )


def _thin_plate(points: Points) -> Points:
    return _box(_turned(points, about_y=30.0, about_x=25.0), (0, 0, 0), (0.5, 0.35, 0.012))


def _spindly_chair(points: Points) -> Points:
    """Legs and slats of 4 pixels, which a smoothed start reduces to threads."""
    thin = 0.0095
    legs = [_box(points, (x, -0.28, z), (thin, 0.22, thin)) for x in (-0.2, 0.2) for z in (-0.2, 0.2)]
    posts = [_box(points, (x, 0.22, -0.2), (thin, 0.27, thin)) for x in (-0.2, 0.2)]
    slats = [_box(points, (0, y, -0.2), (0.2, thin, 0.7 * thin)) for y in (0.1, 0.25, 0.4)]
    return _any(_box(points, (0, -0.05, 0), (0.22, 0.015, 0.22)), *legs, *posts, *slats)


def _ball(points: Points) -> Points:
    return _ellipsoid(points, (0, 0, 0), (0.5, 0.5, 0.5))


def _statue(points: Points) -> Points:
    parts = [
        _ellipsoid(points, (0, 0.25, 0), (0.2, 0.25, 0.22)),
        _ellipsoid(points, (0, 0.22, 0.2), (0.04, 0.05, 0.06)),
        _cylinder(points, (0, 0.0, 0), 0.1, 0.1),
        _ellipsoid(points, (0, -0.25, 0), (0.36, 0.2, 0.18)),
    ]
    sharpness = 50.0
    soft = (-np.log(np.exp(-sharpness * np.stack(parts)).sum(axis=0) + 1e-30) / sharpness).astype(np.float32)
    return _any(np.maximum(soft, -0.42 - points[:, 1]), _box(points, (0, -0.46, 0), (0.3, 0.05, 0.22)))


@attrs.frozen
class HeldOut:
    """``fine``: cells of the grid along a side. ``scale``, ``shift``: of the unit box, in the bundle's world."""

    field: Field
    fine: int = 144
    scale: float = 1.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


HELD_OUT: dict[str, HeldOut] = {
    "table": HeldOut(_table, 192),
    "lamp": HeldOut(_lamp),
    "bottle": HeldOut(_bottle),
    "humanoid": HeldOut(_humanoid),
    "sword": HeldOut(_sword, 192),
    "tree": HeldOut(_tree),
    "house": HeldOut(_house),
    "car": HeldOut(_car),
    "key": HeldOut(_key),
    "trio": HeldOut(_trio),
    "thin plate": HeldOut(_thin_plate, 192),
    "statue": HeldOut(_statue),
    "tiny ball": HeldOut(_ball, 96, scale=0.06, shift=(0.2, -0.1, 0.1)),
    "spindly chair": HeldOut(_spindly_chair, 256),
    "at the border": HeldOut(_statue, scale=2.1, shift=(0.35, 0.2, 0.0)),
}


def held_out(name: str) -> Mesh:
    """The painted surface of ``HELD_OUT[name]``, closed, where the bundle's cameras see it."""
    it = HELD_OUT[name]
    mesh = painted(meshed(it.field, it.fine))
    return attrs.evolve(mesh, positions=(mesh.positions * it.scale + it.shift).astype(np.float32))
