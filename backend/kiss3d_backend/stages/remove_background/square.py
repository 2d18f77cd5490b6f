"""The object of a mask, cut out of its picture and centred in a square, with a soft matte and clean colours."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bleed import spread_colours
from kiss3d_backend.mesh.regions import connected_regions, region_sizes
from kiss3d_backend.mesh.resample import resample
from kiss3d_backend.pipeline.types import OBJECT_SHARE
from kiss3d_backend.stages.remove_background.distance import distance_inside
from kiss3d_backend.stages.remove_background.morphology import grown

_LARGEST_OBJECT = 1088
_SMALLEST_OBJECT = 64
_RELIABLE_CONTRAST = 0.12
_RELIABLE_MIX = 0.2
_BAND = 3.0
"""How far the edge of the mask may be off, in its own pixels."""


@attrs.frozen
class Square:
    """Where the square is sampled.

    ``rows``, ``columns`` (S,): in pixels of the picture, 0 the centre of the first. ``scale``: pixels of the square for
    each pixel of the mask. ``mask_step``: pixels of the picture for each pixel of the mask, down and across.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    scale: float
    mask_step: tuple[float, float]


def square_around(mask: NDArray[np.bool_], picture_size: tuple[int, int]) -> Square:
    """The square around ``mask`` in a picture of (height, width) pixels; the object is at most 1088 pixels long."""
    step = (picture_size[0] / mask.shape[0], picture_size[1] / mask.shape[1])
    rows, columns = np.nonzero(mask)
    top, bottom = rows.min() * step[0], (rows.max() + 1) * step[0]
    left, right = columns.min() * step[1], (columns.max() + 1) * step[1]
    longest = max(bottom - top, right - left)
    target = min(max(longest, _SMALLEST_OBJECT), _LARGEST_OBJECT)
    side = round(target / OBJECT_SHARE)
    pitch = longest / target
    offsets = (np.arange(side) + 0.5 - side / 2) * pitch
    return Square(
        (top + bottom) / 2 - 0.5 + offsets,
        (left + right) / 2 - 0.5 + offsets,
        max(step) / pitch,
        step,
    )


def cut_transparent(
    rgba: NDArray[np.uint8], mask: NDArray[np.bool_], square: Square, advance: Callable[[], None]
) -> NDArray[np.uint8]:
    """(S, S, 4): the picture's own alpha, around ``mask`` only. ``advance`` is called after each part of the work."""
    alpha = rgba[..., 3:].astype(np.float32) / 255.0
    premultiplied = np.concatenate([rgba[..., :3] * (alpha / 255.0), alpha], axis=2)
    # Outside the picture is nothing.
    padded = np.pad(premultiplied, ((1, 1), (1, 1), (0, 0)))
    sampled = resample(padded, square.rows + 1, square.columns + 1)
    advance()
    near = _sample_mask(grown(mask, 2), square) > 0.3
    matte = np.clip(sampled[..., 3], 0.0, 1.0) * near
    colours = np.clip(sampled[..., :3] / np.maximum(sampled[..., 3:], 1e-3), 0.0, 1.0).astype(np.float32)
    matte = np.where(matte > 0.5 / 255.0, matte, 0.0).astype(np.float32)
    advance()
    return _with_clean_colours(colours, matte, matte > 0.98, 1.5, 6.0)


def cut_opaque(
    rgba: NDArray[np.uint8], mask: NDArray[np.bool_], square: Square, advance: Callable[[], None]
) -> NDArray[np.uint8]:
    """(S, S, 4): alpha from the mask, made exact at the edge by what the colours there are a mix of.

    ``advance`` is called after each part of the work.
    """
    colours = np.clip(resample(rgba[..., :3].astype(np.float32) / 255.0, square.rows, square.columns), 0.0, 1.0)
    advance()
    soft = _sample_mask(mask, square)
    band = _BAND * square.scale + 1.0
    solid = soft > 0.5
    sure_inside = distance_inside(solid) > band
    sure_outside = distance_inside(~solid) > band
    advance()
    matte = np.where(sure_inside, 1.0, np.where(sure_outside, 0.0, _unmixed(colours, soft, sure_inside, sure_outside)))
    matte = _without_specks(matte.astype(np.float32) * _inside_picture(rgba, square))
    advance()
    return _with_clean_colours(colours, matte, sure_inside & (matte > 0.98), 0.5, 2.5 * band)


def _unmixed(
    colours: NDArray[np.float32],
    soft: NDArray[np.float32],
    sure_inside: NDArray[np.bool_],
    sure_outside: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Alpha (S, S) from colour = alpha x object + (1 - alpha) x background, where the two can be told apart."""
    if not sure_inside.any() or not sure_outside.any():
        return soft
    object_colours = spread_colours(colours, sure_inside.astype(np.float32))
    background = spread_colours(colours, sure_outside.astype(np.float32))
    apart = object_colours - background
    contrast = np.einsum("ijk,ijk->ij", apart, apart)
    above = colours - background
    alpha = np.einsum("ijk,ijk->ij", above, apart) / np.maximum(contrast, 1e-6)
    missed = above - np.clip(alpha, 0.0, 1.0)[..., None] * apart
    misfit = np.einsum("ijk,ijk->ij", missed, missed)
    trust = contrast / (contrast + _RELIABLE_CONTRAST**2) * np.exp(-misfit / _RELIABLE_MIX**2)
    return np.clip(trust * np.clip(alpha, 0.0, 1.0) + (1.0 - trust) * soft, 0.0, 1.0)


def _sample_mask(mask: NDArray[np.bool_], square: Square) -> NDArray[np.float32]:
    padded = np.pad(mask.astype(np.float32), 1)
    rows = (square.rows + 0.5) / square.mask_step[0] - 0.5
    columns = (square.columns + 0.5) / square.mask_step[1] - 0.5
    return resample(padded, rows + 1, columns + 1, "gaussian")


def _inside_picture(rgba: NDArray[np.uint8], square: Square) -> NDArray[np.bool_]:
    height, width = rgba.shape[:2]
    rows = (square.rows > -0.5) & (square.rows < height - 0.5)
    columns = (square.columns > -0.5) & (square.columns < width - 0.5)
    return rows[:, None] & columns


def _without_specks(matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matte of the largest connected part, with its soft edge."""
    labels, count = connected_regions(matte > 0.5, diagonal=True)
    if count < 2:
        return matte
    largest = int(np.argmax(region_sizes(labels, count)))
    return np.where(grown(np.asarray(labels == largest), 2), matte, 0.0)


def _with_clean_colours(
    colours: NDArray[np.float32], matte: NDArray[np.float32], sure: NDArray[np.bool_], erode: float, reach: float
) -> NDArray[np.uint8]:
    """Colours that the background may have touched give way to the object's own next to them."""
    deep = distance_inside(sure) > erode
    # Where the object is too thin for sure pixels, its most opaque ones count.
    thin = distance_inside(~deep) > reach if deep.any() else np.ones_like(deep)
    trust = np.where(deep, 1.0, np.where(thin, 0.5 * matte**4, 1e-6 * matte)).astype(np.float32)
    clean = spread_colours(colours, trust)
    rgba = np.concatenate([clean, matte[..., None]], axis=2)
    return (np.clip(rgba, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
