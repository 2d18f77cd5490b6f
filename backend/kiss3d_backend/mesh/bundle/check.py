"""Whether a picture is a valid bundle, with the figures that say so.

The published conventions ask for the size, a white background, the same silhouette in every view and its normals, and
normals of about unit length. Length alone is a weak test (the grey of an untextured object decodes to 1.04), so two
more figures are taken from geometry: what is seen faces the camera, and along the outline normals point outwards, to
the right and left as well as up and down. That shows swapped rows, an unflipped x and normals of another frame.
"""

from __future__ import annotations

from functools import partial

import attrs
import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.bundle.layout import TILE, VIEWS, BundleViews, split_bundle, view_name
from kiss3d_backend.mesh.bundle.masks import (
    INSIDE,
    difference_from_background,
    foreground,
    frame_pixels,
    grown,
    shrunk,
    tile_matte,
)
from kiss3d_backend.mesh.bundle.normals import decode_normals
from kiss3d_backend.mesh.camera import BUNDLE_AZIMUTHS, Camera
from kiss3d_protocol.errors import BundleInvalid

LEAST_IOU = 0.90
MOST_OFFSET = 4.0
MOST_LENGTH_ERROR = 0.15
LEAST_WHITE = 0.97
LEAST_WHITE_FRAME = 0.5
MOST_COVERED = 0.95
LEAST_FACING = 0.95
LEAST_OUTWARDS = 0.25

_WHITE = 235
_COLOUR_DIFFERENCE = 0.06
_MOST_NOISE = 0.25
_RIM_PIXELS = 4
_TURNED_AWAY = -0.2
_FLAT_OUTLINE = 0.1


@attrs.frozen
class ViewFigures:
    """What was measured of one view.

    ``iou``: of the silhouettes of its colours and its normals. ``offset``: distance of their centres, pixels.
    ``length_error``: mean difference of the normals' lengths from 1. ``facing``: share of the normals that do not
    turn away from the camera. ``white``: share of the background that is white. ``white_frame``: the same of the
    outermost two pixels of both tiles. ``covered``: share of the tile that the object takes.
    ``touches``: whether the object reaches the tile's border (it may; what is beyond cannot be known).
    """

    iou: float
    offset: float
    length_error: float
    facing: float
    white: float
    white_frame: float
    covered: float
    touches: bool


@attrs.frozen
class BundleFigures:
    """``size``: width and height in pixels. ``views``: none when the size is wrong, otherwise four.

    ``outwards``: agreement in [-1, 1] of the normals' x and y with the direction out of the silhouette along the
    outlines of all views; None for an axis whose outlines are flat (a plate seen from its front).
    ``problems``: sentences; none means a valid bundle.
    """

    size: tuple[int, int]
    views: tuple[ViewFigures, ...]
    outwards: tuple[float | None, float | None]
    problems: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.problems


def check_bundle(picture: NDArray[np.uint8]) -> BundleFigures:
    """The figures of a picture (H, W, 3) uint8 that may be a bundle."""
    height, width = picture.shape[:2]
    try:
        views = split_bundle(picture)
    except BundleInvalid as error:
        return BundleFigures((width, height), (), (None, None), (error.message,))
    seen = foreground(views.normals)
    outwards, *figures = at_once(
        lambda: None,
        [
            partial(_outwards, views, seen.matte),
            *(partial(_view_figures, views, seen.mask[view], view) for view in range(VIEWS)),
        ],
    )
    problems = [problem for view in range(VIEWS) for problem in _view_problems(figures[view], view)]
    problems += _outline_problems(outwards)
    return BundleFigures((width, height), tuple(figures), outwards, tuple(problems))


def require_valid(figures: BundleFigures) -> None:
    """Raises :class:`BundleInvalid` with the first problem, when there is one."""
    if figures.problems:
        more = len(figures.problems) - 1
        rest = f" ({more} more {'problem' if more == 1 else 'problems'} found.)" if more else ""
        raise BundleInvalid(figures.problems[0] + rest)


def colour_mask(tile: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The silhouette (H, W) of a colour tile on white; white parts count when they are enclosed."""
    noise = np.linalg.norm(frame_pixels(difference_from_background(tile)), axis=1)
    faintest = max(_COLOUR_DIFFERENCE, min(4.0 * float(np.median(noise)), _MOST_NOISE))
    return np.asarray(ndi.binary_fill_holes(tile_matte(tile, faintest) >= INSIDE), dtype=bool)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 0 when both are empty."""
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 0.0


def _view_figures(views: BundleViews, mask: NDArray[np.bool_], view: int, _: Check) -> ViewFigures:
    colours = views.colours[view]
    shown = colour_mask(colours)
    # Enclosed white in the colours may be a hole: the normals tell.
    apart = np.linalg.norm(difference_from_background(colours), axis=-1)
    shown &= mask | (apart > _COLOUR_DIFFERENCE)
    solid = shrunk(mask, 1)
    decoded = decode_normals(views.normals[view][solid], unit=False)
    length = np.linalg.norm(decoded, axis=-1)
    outside = ~grown(mask | shown, _RIM_PIXELS)
    both = np.stack([colours, views.normals[view]])
    white = np.asarray((both >= _WHITE).all(axis=-1))
    border = [frame_pixels(white[row, :, :, None].astype(np.float32)) for row in range(2)]
    return ViewFigures(
        iou=iou(mask, shown),
        offset=_offset(mask, shown),
        length_error=float(np.abs(length - 1.0).mean()) if len(length) else 0.0,
        facing=_facing(decoded, solid, view),
        white=float(white[:, outside].mean()) if outside.any() else 0.0,
        white_frame=min(float(part.mean()) for part in border),
        covered=float(mask.mean()),
        touches=bool(frame_pixels(mask[..., None].astype(np.float32)).any()),
    )


def _offset(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    if not (a.any() and b.any()):
        return 0.0
    return float(np.hypot(*(np.subtract(ndi.center_of_mass(a), ndi.center_of_mass(b)))))


def _facing(decoded: NDArray[np.float32], solid: NDArray[np.bool_], view: int) -> float:
    if not len(decoded):
        return 0.0
    rows, columns = np.nonzero(solid)
    tangent = Camera(BUNDLE_AZIMUTHS[view]).tangent
    to_eye = np.stack(
        [-(2 * columns + 1 - TILE) / TILE * tangent, (2 * rows + 1 - TILE) / TILE * tangent, np.ones(len(rows))], axis=1
    )
    to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
    return float((np.einsum("ij,ij->i", decoded, to_eye) > _TURNED_AWAY).mean())


def _outwards(views: BundleViews, mattes: NDArray[np.float32], _: Check) -> tuple[float | None, float | None]:
    """Along the outlines: sum of n o over sum of \\|n o\\| for x and for y; n the normal, o the way out."""
    agreeing, strength, pixels = np.zeros(2), np.zeros(2), 0
    for view in range(VIEWS):
        smooth = ndi.gaussian_filter(mattes[view], 2.0, mode="nearest")
        uphill = np.stack([np.gradient(smooth, axis=1), -np.gradient(smooth, axis=0)], axis=-1)
        inside = mattes[view] >= INSIDE
        rim = shrunk(inside, 1) & grown(~inside, _RIM_PIXELS)
        out = -uphill[rim] / np.maximum(np.linalg.norm(uphill[rim], axis=-1, keepdims=True), 1e-6)
        along = decode_normals(views.normals[view][rim], unit=False)[:, :2] * out
        agreeing += along.sum(axis=0)
        strength += np.abs(along).sum(axis=0)
        pixels += len(along)
    flat = strength < _FLAT_OUTLINE * max(pixels, 1)
    x, y = (None if flat[axis] else float(agreeing[axis] / strength[axis]) for axis in range(2))
    return x, y


def _view_problems(figures: ViewFigures, view: int) -> list[str]:
    name = view_name(view)
    if figures.white_frame < LEAST_WHITE_FRAME:
        return [f"The border of {name} is not white."]
    if figures.covered == 0.0:
        return [f"There is no object in the normals of {name}."]
    problems = []
    if figures.covered > MOST_COVERED:
        problems.append(f"The object fills all of {name}: there is no background.")
    if figures.white < LEAST_WHITE:
        problems.append(f"Only {figures.white:.0%} of the background of {name} is white.")
    if figures.iou < LEAST_IOU:
        problems.append(f"The colours and the normals of {name} show different silhouettes (IoU {figures.iou:.2f}).")
    elif figures.offset > MOST_OFFSET:
        problems.append(f"The colours and the normals of {name} are {figures.offset:.0f} pixels apart.")
    if figures.length_error > MOST_LENGTH_ERROR:
        problems.append(f"The normals of {name} have no unit length: they are off by {figures.length_error:.2f}.")
    if figures.facing < LEAST_FACING:
        problems.append(f"{1 - figures.facing:.0%} of the normals of {name} face away from its camera.")
    return problems


def _outline_problems(outwards: tuple[float | None, float | None]) -> list[str]:
    directions = ("left and right", "up and down")
    return [
        f"The normals do not point outwards {directions[axis]} (agreement {value:.2f}): "
        "they are not normals of these views, or in another convention."
        for axis, value in enumerate(outwards)
        if value is not None and value < LEAST_OUTWARDS
    ]
