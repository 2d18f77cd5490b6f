"""The one object of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.regions import connected_regions, region_sizes
from kiss3d_backend.stages.remove_background.morphology import closed

_GAP_SHARE = 0.006
_SUBSTANTIAL_SHARE = 0.08


def main_object(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], bool]:
    """The largest connected part of ``mask`` (H, W), and whether a substantial other part was left out.

    Parts with only a hair's gap between them count as one, and the gap is closed. An empty mask stays empty.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return mask, False
    gap = max(round(_GAP_SHARE * (max(np.ptp(rows), np.ptp(columns)) + 1)), 1)
    bridged = closed(mask, gap)
    labels, count = connected_regions(bridged | mask)
    sizes = region_sizes(np.where(mask, labels, 0), count)
    largest = int(np.argmax(sizes))
    whole = labels == largest
    own, parts = connected_regions(mask & whole)
    # Closing also fills notches: it is used only where it joins something.
    result = whole if parts > 1 and np.partition(region_sizes(own, parts), -2)[-2] > 3 else mask & whole
    sizes_without = np.delete(sizes, largest)
    left_out = bool(len(sizes_without) and sizes_without.max() > _SUBSTANTIAL_SHARE * sizes[largest])
    return result, left_out
