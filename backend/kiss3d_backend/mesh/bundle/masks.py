"""Where the object is in a tile.

In a tile of normals that is well defined: no unit vector has a colour near white (the nearest, (-1, 1, 1) / sqrt 3, is
0.37 away), whatever the object looks like. A pixel on the outline is a mix of white and of the normal beside it, and
the share of that normal is how much of the pixel is covered.
"""

from __future__ import annotations

from functools import partial

import attrs
import cv2
import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.regions import connected_regions, region_sizes

INSIDE = 0.5
"""The matte's value on the outline."""

_SQUARE = np.ones((3, 3), dtype=np.uint8)
_SURELY_BACKGROUND = 2 / 3
_FAINTEST_OBJECT = 0.18
_EDGE_PIXELS = 2
_SMALLEST_PART = 12
_WHITEST = 0.85
_NOISE_DEPTH = 0.25
_LEAST_LENGTH, _MOST_LENGTH = 0.7, 1.5
"""Of a normal on the outline, beside that of the next covered pixel; both measured from white."""
_ALIKE = 0.8
"""The cosine above which two differences from white are of one surface."""


@attrs.frozen(eq=False)
class Foreground:
    """``matte``: (4, H, W) float32, the covered share of each pixel. ``mask``: (4, H, W) bool, half or more."""

    matte: NDArray[np.float32]
    mask: NDArray[np.bool_]


def foreground(normals: NDArray[np.uint8]) -> Foreground:
    """The object in each of the normal tiles (4, H, W, 3) uint8, clean or slightly noisy.

    Specks and pinholes of less than a dozen pixels are cleared, but the largest part of a tile always stays. A view
    without an object has an empty mask.
    """

    def matte_of(tile: NDArray[np.uint8], _: Check) -> NDArray[np.float32]:
        return tile_matte(tile, _FAINTEST_OBJECT, of_normals=True)

    matte = np.stack(at_once(lambda: None, [partial(matte_of, tile) for tile in normals]))
    return Foreground(matte, matte >= INSIDE)


def difference_from_background(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3): the tile's background, which may be a little off white, less each pixel's colour in [0, 1]."""
    value = tile.astype(np.float32) / 255.0
    frame = frame_pixels(value)
    bright = frame[(frame > _WHITEST).all(axis=1)]
    white = np.median(bright, axis=0) if len(bright) else np.ones(3, dtype=np.float32)
    return (white - value).astype(np.float32)


def frame_pixels(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outermost two pixels (N, C) of a tile (H, W, C)."""
    inner = np.zeros(tile.shape[:2], dtype=bool)
    inner[2:-2, 2:-2] = True
    return tile[~inner]


def grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A mask with everything within some pixels of it, in a square."""
    return np.asarray(cv2.dilate(mask.view(np.uint8), _SQUARE, iterations=pixels), dtype=bool)


def shrunk(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A mask without what is within some pixels of its outline; the picture's border is no outline."""
    return np.asarray(cv2.erode(mask.view(np.uint8), _SQUARE, iterations=pixels), dtype=bool)


def tile_matte(tile: NDArray[np.uint8], faintest: float, *, of_normals: bool = False) -> NDArray[np.float32]:
    """The covered share (H, W) of each pixel of a tile; the object differs from white by ``faintest`` or more."""
    difference = difference_from_background(tile)
    distance = np.linalg.norm(difference, axis=-1)
    empty = distance < _SURELY_BACKGROUND * faintest
    matte = (distance >= faintest).astype(np.float32)
    rows, columns = np.nonzero(grown(empty, _EDGE_PIXELS) & (distance > 0.01))
    if len(rows):
        strongest = _strongest_nearby(difference, distance, rows, columns)
        whole = _nearest_whole(difference, empty, rows, columns)
        full = np.where(np.isfinite(whole), whole, strongest)
        share = _share(difference[rows, columns], full, of_normals)
        seen = np.linalg.norm(full, axis=1) >= faintest
        matte[rows, columns] = np.where(seen, np.clip(share, 0.0, 1.0), 0.0)
    return _without_specks(matte)


def _nearest_whole(
    difference: NDArray[np.float32], empty: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """For each pixel the difference (N, 3) of the nearest one that has no background beside it; NaN beyond reach.

    It is covered as a whole, and its colour is the most like that of the covered share.
    """
    whole = ~grown(empty, 1)
    found = np.full((len(rows), 3), np.nan, dtype=np.float32)
    if not whole.any():
        return found
    nearest = np.asarray(ndi.distance_transform_edt(~whole, return_distances=False, return_indices=True))
    row, column = nearest[:, rows, columns]
    near = np.hypot(row - rows, column - columns) <= _EDGE_PIXELS + 0.5
    found[near] = difference[row[near], column[near]]
    return found


def _share(difference: NDArray[np.float32], full: NDArray[np.float32], of_normals: bool) -> NDArray[np.float32]:
    """(N,): how much of a colour like ``full`` is in ``difference``, both (N, 3).

    Of normals it is known better: a mix of white and a normal's colour lies on the straight line between them, which
    meets the sphere of unit normals twice, at the normal itself and where ``full`` tells that it is not.
    """
    strength = np.maximum(np.linalg.norm(full, axis=1), 1e-6)
    along_full = np.einsum("ij,ij->i", difference, full) / strength
    if not of_normals:
        return along_full / strength
    distance = np.maximum(np.linalg.norm(difference, axis=1), 1e-6)
    along = difference.sum(axis=1) / distance
    squared = np.maximum(along * along - 2.0, 0.0)
    # Where the line hardly enters the sphere, how deep is a matter of noise: then the middle is meant.
    half = np.sqrt(squared) * squared / (squared + _NOISE_DEPTH**2)
    low, high = (along - half) / 2, (along + half) / 2
    length = np.where(np.abs(low - strength) < np.abs(high - strength), low, high)
    length = np.clip(length, _LEAST_LENGTH * strength, _MOST_LENGTH * strength)
    alike = along_full > _ALIKE * distance
    return np.where(alike, distance / length, along_full / strength)


def _strongest_nearby(
    difference: NDArray[np.float32], distance: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """For each pixel the difference (N, 3), within its reach, that is farthest from the background."""
    reach = _EDGE_PIXELS
    around = np.pad(distance, reach, mode="edge")
    best = np.full(len(rows), -1.0, dtype=np.float32)
    row, column = rows.copy(), columns.copy()
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            there = around[rows + reach + down, columns + reach + right]
            better = there > best
            best[better] = there[better]
            row[better], column[better] = rows[better] + down, columns[better] + right
    height, width = distance.shape
    return difference[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def _without_specks(matte: NDArray[np.float32]) -> NDArray[np.float32]:
    labels, count = connected_regions(matte >= INSIDE, diagonal=True)
    if count == 0:
        return np.zeros_like(matte)
    areas = region_sizes(labels, count)
    areas[0] = 0
    kept = (areas >= _SMALLEST_PART) | (areas == areas.max())
    kept[0] = False
    specks = ~kept
    specks[0] = False
    gone = grown(specks[labels], 1) & ~grown(kept[labels], 1)
    cleared = np.where(gone, 0.0, matte)
    # What is far from every part is noise of the background.
    cleared[~grown(kept[labels], _EDGE_PIXELS)] = 0.0
    holes, count = connected_regions(cleared < INSIDE)
    areas = region_sizes(holes, count)
    pinhole = (areas < _SMALLEST_PART) & (np.arange(count + 1) > 0)
    return np.where(pinhole[holes], 1.0, cleared).astype(np.float32)
