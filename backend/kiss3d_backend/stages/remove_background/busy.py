"""Objects on a busy background: GrabCut (Rother, Kolmogorov and Blake, 2004) from the middle of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.pipeline.stage import StageContext
from kiss3d_backend.stages.remove_background.morphology import closed, opened
from kiss3d_backend.stages.remove_background.working_size import at_most
from kiss3d_protocol.errors import PictureWithoutObject

_SIDE = 320
_ROUNDS = 5
_SURE_BORDER = 0.03
_LIKELY_BORDER = 0.1
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.98


def mask_by_grabcut(rgb: NDArray[np.uint8], context: StageContext) -> NDArray[np.bool_]:
    """What GrabCut takes for the object in the middle, (H, W) bool.

    ``rgb``: (H, W, 3). Works at a reduced size, one round at a time, so that a cancel is noticed. Raises
    :class:`PictureWithoutObject` when nothing or everything is taken for the object.
    """
    small = np.ascontiguousarray(at_most(rgb, _SIDE)[..., ::-1])
    height, width = small.shape[:2]
    labels = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    labels[_inset(height, width, _SURE_BORDER)] = cv2.GC_PR_BGD
    labels[_inset(height, width, _LIKELY_BORDER)] = cv2.GC_PR_FGD
    everything = (0, 0, width, height)  # not looked at when there is a mask
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(int(context.seed & 0x7FFFFFFF))
    for number in range(_ROUNDS):
        mode = cv2.GC_INIT_WITH_MASK if number == 0 else cv2.GC_EVAL
        cv2.grabCut(small, labels, everything, background, foreground, 1, mode)
        if not np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
            break
        context.progress(_ROUNDS + number + 1, 5 * _ROUNDS)
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    mask = opened(mask)
    mask = closed(mask, 2)
    if not _LEAST_SHARE < mask.mean() < _MOST_SHARE:
        raise PictureWithoutObject("No object stands out from the background of the picture.")
    size = (rgb.shape[1], rgb.shape[0])
    soft = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(soft, (0, 0), max(rgb.shape[1] / width, 1.0)) > 0.5


def _inset(height: int, width: int, share: float) -> tuple[slice, slice]:
    rows, columns = max(round(share * height), 1), max(round(share * width), 1)
    return slice(rows, height - rows), slice(columns, width - columns)
