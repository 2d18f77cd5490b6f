"""Objects on a plain background: white, coloured, with a gradient, a soft shadow, or the noise of JPEG."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from kiss3d_backend.mesh.regions import connected_regions
from kiss3d_backend.stages.remove_background.distance import distance_inside
from kiss3d_backend.stages.remove_background.morphology import grown, opened, shrunk

_RING_SHARE = 0.02
_PLAIN_SHARE = 0.58
_MOST_NOISE = 5.0
_FIT_TOLERANCES = (25.0, 15.0, 10.0, 8.0)
_SHADOW_DEPTH = 45.0
_SHADOW_TINT = 5.0
_SHADOW_SLOPE = 2.2
_SHADOW_MOST = 0.5
_HOLE_LEAST = 0.0015
_HOLE_MOST = 0.5
_HOLE_ALIKE = 0.7
_WALL_LEAST = 0.02
_PALE = 16.0
_HALO_PIXELS = 9.0


def mask_on_plain_background(rgb: NDArray[np.uint8], advance: Callable[[], None]) -> NDArray[np.bool_] | None:
    """What is not background, (H, W) bool; None when the border of the picture shows no plain background.

    ``rgb``: (H, W, 3). The background is a quadratic field in CIE L*a*b*, fitted to the pixels along the border and
    robust against an object that is cut off there. Background is what resembles it and is connected to the border;
    enclosed parts count when they look like a real opening (a mug's handle) rather than a white part of the
    object (an eye, the inside of a line drawing). ``advance`` is called after each part of the work.
    """
    lab = np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB), dtype=np.float32)
    ring = _ring(lab.shape[0], lab.shape[1])
    field, noise, share = _background_field(lab, ring)
    advance()
    if share < _PLAIN_SHARE or noise > _MOST_NOISE:
        return None
    distance = np.linalg.norm(lab - field, axis=2)
    alike = distance < np.clip(3.5 * noise + 2.0, 4.0, 10.0)
    strict = _connected_to(alike, ring & alike)
    advance()
    with_shadow = _connected_to(alike | _soft_shadow(lab, field), ring & alike)
    advance()
    foreground = (~strict).sum()
    # A pale object may look like one big shadow.
    background = with_shadow if (~with_shadow).sum() > _SHADOW_MOST * foreground else strict
    tight = distance < np.clip(2.0 * noise + 1.0, 2.0, 6.0)
    background = background | _openings(~background, alike, tight)
    return ~(background | _halo(~background, distance))


def _ring(height: int, width: int) -> NDArray[np.bool_]:
    thickness = max(round(_RING_SHARE * min(height, width)), 2)
    ring = np.ones((height, width), dtype=bool)
    ring[thickness:-thickness, thickness:-thickness] = False
    return ring


def _background_field(lab: NDArray[np.float32], ring: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float, float]:
    """The fitted colours (H, W, 3), the noise around them, and the share of the border that they explain."""
    height, width = ring.shape
    rows, columns = np.nonzero(ring)
    samples = lab[rows, columns].astype(np.float64)
    terms = _quadratic(columns / width - 0.5, rows / height - 0.5)
    fitted = np.broadcast_to(np.median(samples, axis=0), samples.shape)
    coefficients = np.zeros((terms.shape[1], 3))
    coefficients[0] = fitted[0]
    near = np.ones(len(samples), dtype=bool)
    for tolerance in _FIT_TOLERANCES:
        near = np.linalg.norm(samples - fitted, axis=1) < tolerance
        if near.sum() < 4 * terms.shape[1]:
            break
        coefficients, *_ = np.linalg.lstsq(terms[near], samples[near], rcond=None)
        fitted = terms @ coefficients
    distance = np.linalg.norm(samples - fitted, axis=1)
    near = distance < _FIT_TOLERANCES[-1]
    noise = float(np.sqrt(np.mean(distance[near] ** 2))) if near.any() else np.inf
    y, x = np.mgrid[0:height, 0:width]
    everywhere = _quadratic((x / width - 0.5).ravel(), (y / height - 0.5).ravel()) @ coefficients
    return everywhere.reshape(height, width, 3).astype(np.float32), noise, float(near.mean())


def _quadratic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _connected_to(alike: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of ``alike`` that is reached from ``seeds`` without squeezing through cracks of a pixel or two."""
    wide = opened(alike)
    labels, count = connected_regions(wide)
    is_reached = np.zeros(count + 1, dtype=bool)
    is_reached[labels[seeds & wide]] = True
    is_reached[0] = False
    reached = is_reached[labels]
    return grown(reached, 2) & alike


def _soft_shadow(lab: NDArray[np.float32], field: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the background is only darker, by a smooth amount: the tint stays, and nothing has an edge."""
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.2)
    darker = field[..., 0] - smooth[..., 0]
    brightness = smooth[..., 0] / np.maximum(field[..., 0], 1.0)
    tint = np.hypot(smooth[..., 1] - field[..., 1] * brightness, smooth[..., 2] - field[..., 2] * brightness)
    slope = np.hypot(ndi.sobel(smooth[..., 0], 0), ndi.sobel(smooth[..., 0], 1)) / 8.0
    # The slope of a shadow at this size of picture; an object's edge is far steeper.
    edge = ndi.maximum_filter(slope, 3) > _SHADOW_SLOPE
    return (darker > -2.0) & (darker < _SHADOW_DEPTH) & (tint < _SHADOW_TINT) & ~edge


def _halo(solid: NDArray[np.bool_], distance: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pale parts of ``solid`` along its edge that reach no farther than a JPEG block: ringing, not object."""
    strong = solid & (distance > _PALE)
    if not strong.any():
        return np.zeros_like(solid)
    to_strong = distance_inside(~strong)
    labels, count = connected_regions(solid & ~strong, diagonal=True)
    index = np.arange(1, count + 1)
    farthest = np.asarray(ndi.maximum(to_strong, labels, index)).reshape(-1)
    at_edge = np.asarray(ndi.maximum(grown(~solid), labels, index)).reshape(-1) > 0
    is_halo = np.concatenate([[False], at_edge & (farthest < _HALO_PIXELS)])
    return is_halo[labels]


def _openings(solid: NDArray[np.bool_], alike: NDArray[np.bool_], tight: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Enclosed parts of ``solid`` that are background seen through the object."""
    enclosed = solid & alike
    labels, count = connected_regions(opened(enclosed))
    openings = np.zeros(solid.shape, dtype=bool)
    if count == 0:
        return openings
    total = float(solid.sum())
    rows, columns = np.nonzero(solid)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1.0
    to_outside = distance_inside(np.pad(solid, 1))[1:-1, 1:-1]
    for label, box in enumerate(ndi.find_objects(labels), start=1):
        part = labels[box] == label
        area = float(part.sum())
        if not _HOLE_LEAST * total < area < _HOLE_MOST * total:
            continue
        wall = float(to_outside[box][part].min())
        is_body_around = _WALL_LEAST * extent < wall < 0.8 * np.sqrt(area)
        # Its edge is mixed with the object's colours, and JPEG rings there.
        core = shrunk(np.pad(part, 1), 3)[1:-1, 1:-1]
        if is_body_around and core.any() and tight[box][core].mean() > _HOLE_ALIKE:
            openings[box] |= part
    return grown(openings) & enclosed
