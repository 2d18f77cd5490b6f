"""Whether Blender draws a result as the backend draws its mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.ndimage as ndi
from attrs import frozen
from PIL import Image

from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.types import Mesh


@frozen
class Likeness:
    """``iou``: of the silhouettes. ``mean``, ``most``: differences of colours, of 255, on average and that 99 % of the
    pixels stay below, away from outlines, where both mix with white in their own way. ``mirrored_iou``,
    ``mirrored_mean``: the same of the picture turned around: what a mistake would look like."""

    iou: float
    mean: float
    most: float
    mirrored_iou: float
    mirrored_mean: float


def likeness(picture: Path, mesh: Mesh, azimuth: int) -> Likeness:
    """``picture``: what ``checks/drawn.py`` wrote. ``mesh``: in the backend's frame and the object's size, textured."""
    drawn_there = render_bundle([mesh]).colours[azimuth // 90]
    drawn = np.array(Image.open(picture), float)
    size = len(drawn)
    theirs = np.array(Image.fromarray(drawn_there).resize((size, size), Image.Resampling.BOX), float)
    ours = drawn[..., :3] * drawn[..., 3:] / 255 + 255 - drawn[..., 3:]
    inside, inside_there = drawn[..., 3] > 127, np.abs(theirs - 255).max(axis=2) > 60
    core = ndi.binary_erosion(inside & inside_there, iterations=2)
    difference = np.abs(ours - theirs)[core]
    mirrored = np.abs(ours[:, ::-1] - theirs)[core & core[:, ::-1]]
    return Likeness(
        iou=_iou(inside, inside_there),
        mean=float(difference.mean()),
        most=float(np.quantile(difference, 0.99)),
        mirrored_iou=_iou(inside[:, ::-1], inside_there),
        mirrored_mean=float(mirrored.mean()),
    )


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())
