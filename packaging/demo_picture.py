"""Makes the shipped picture: a toy rocket of implicit functions, drawn with the project's own renderer.

Run ``python packaging/demo_picture.py [OUTPUT]``; the output is docs/images/demo-picture.png unless another is named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import marching_cubes

from kiss3d_backend.mesh.render import render_cutouts
from kiss3d_backend.mesh.types import Mesh

SIDE = 1024
STEP = 0.005
WINDOW_HEIGHT = 0.13

Points = NDArray[np.float64]
Distance = NDArray[np.float64]

CREAM = (245, 238, 222)
RED = (214, 58, 46)
BLUE = (58, 142, 201)
YELLOW = (247, 190, 60)
GREY = (120, 128, 140)
DARK = (66, 72, 84)


def _radius(y: Distance) -> Distance:
    height = np.clip((y + 0.72) / 1.62, 0.0, 1.0)
    return 0.40 * np.sin(np.pi * np.clip(0.18 + 0.82 * height, 0.0, 1.0)) ** 0.72 + 1e-3


def body(p: Points) -> Distance:
    """A spindle, blunt at its foot and pointed at its tip."""
    radius = _radius(p[..., 1])
    around = np.hypot(p[..., 0], p[..., 2])
    return np.maximum(np.maximum((around - radius) * 0.8, -0.72 - p[..., 1]), p[..., 1] - 0.9)


def tip(p: Points) -> Distance:
    """The upper part of the body, a little proud of it."""
    return np.maximum(body(p) - 0.012, 0.42 - p[..., 1])


def ball(p: Points) -> Distance:
    return np.linalg.norm(p - np.array([0.0, 0.93, 0.0]), axis=-1) - 0.055


def belt(p: Points) -> Distance:
    return np.maximum(body(p) - 0.02, np.abs(p[..., 1] + 0.38) - 0.05)


def nozzle(p: Points) -> Distance:
    radius = 0.20 + 0.35 * (-0.70 - p[..., 1])
    return np.maximum(np.hypot(p[..., 0], p[..., 2]) - radius, np.abs(p[..., 1] + 0.77) - 0.085)


def fin(angle: float) -> Callable[[Points], Distance]:
    """A swept fin, thick enough to hold."""
    along = np.array([np.sin(angle), 0.0, np.cos(angle)])
    across = np.array([np.cos(angle), 0.0, -np.sin(angle)])

    def distance(p: Points) -> Distance:
        out, side, up = p @ along, p @ across, p[..., 1]
        disc = np.hypot(out - 0.22, up + 0.62) - 0.42
        cut = 0.27 - np.hypot(out - 0.27, up + 1.04)
        return np.maximum(np.maximum(np.maximum(disc, cut), 0.1 - out), np.abs(side) - 0.055)

    return distance


def ring(p: Points) -> Distance:
    """The frame of the window, on the front of the body."""
    around = np.hypot(p[..., 0], p[..., 1] - WINDOW_HEIGHT) - 0.15
    return np.hypot(around, _before_body(p)) - 0.042


def pane(p: Points) -> Distance:
    around = np.hypot(p[..., 0], p[..., 1] - WINDOW_HEIGHT)
    return (np.hypot(around, _before_body(p) / 0.3) - 0.155) * 0.3


def _before_body(p: Points) -> Distance:
    """How far a point lies in front of the body's surface at x = 0 and its own height."""
    return p[..., 2] - _radius(p[..., 1])


def rivet(x: float, y: float, z: float) -> Callable[[Points], Distance]:
    return lambda p: np.linalg.norm(p - np.array([x, y, z]), axis=-1) - 0.024


def parts() -> list[tuple[Callable[[Points], Distance], tuple[int, int, int]]]:
    """Distance and colour of each part of the toy."""
    rivets = [
        (rivet(0.41 * np.sin(angle), -0.38, 0.41 * np.cos(angle)), YELLOW)
        for angle in np.radians([-60, -30, 0, 30, 60])
    ]
    return [
        (body, CREAM),
        (tip, RED),
        (ball, YELLOW),
        (belt, BLUE),
        (nozzle, DARK),
        *((fin(np.radians(angle)), RED) for angle in (60.0, 180.0, 300.0)),
        (ring, GREY),
        (pane, BLUE),
        *rivets,
    ]


def toy() -> Mesh:
    """The toy as one mesh with a colour at each vertex."""
    axes = [np.arange(-0.75, 0.75, STEP), np.arange(-0.95, 1.05, STEP), np.arange(-0.75, 0.75, STEP)]
    shape = tuple(len(axis) for axis in axes)
    whole = np.full(shape, np.inf, dtype=np.float32)
    for start in range(0, shape[0], 32):
        points = np.stack(np.meshgrid(axes[0][start : start + 32], axes[1], axes[2], indexing="ij"), axis=-1)
        for distance, _ in parts():
            slab = whole[start : start + 32]
            np.minimum(slab, distance(points), out=slab)
    vertices, faces, _, _ = marching_cubes(whole, 0.0)
    positions = np.array([axis[0] for axis in axes]) + vertices * STEP
    # Colours meet within about a cell, or their border would show the grid.
    away = np.stack([distance(positions) for distance, _ in parts()], axis=1)
    share = np.exp(-2.0 * (away - away.min(axis=1, keepdims=True)) / STEP)
    palette = np.array([colour for _, colour in parts()], dtype=np.float64)
    mixed = (share / share.sum(axis=1, keepdims=True)) @ palette
    colours = np.concatenate([mixed, np.full((len(positions), 1), 255.0)], axis=1).astype(np.uint8)
    return Mesh(positions.astype(np.float32), _outwards(positions, faces), colours=colours)


def _outwards(positions: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.int32]:
    a, b, c = (positions[faces[:, corner]] for corner in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return np.ascontiguousarray(faces if volume > 0 else faces[:, ::-1]).astype(np.int32)


def draw(mesh: Mesh) -> Image.Image:
    """The toy from the front on white."""
    view = Image.fromarray(render_cutouts(mesh, SIDE, [0.0], elevation=4.0)[0])
    page = Image.new("RGBA", view.size, "white")
    page.alpha_composite(view)
    return page.convert("RGB")


def main() -> None:
    default = Path(__file__).resolve().parent.parent / "docs" / "images" / "demo-picture.png"
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(toy()).save(output, optimize=True)
    print(f"{output}: {output.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
