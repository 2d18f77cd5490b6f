"""Two charts side by side: the front of a body as seen from +z, and its back as seen from -z.

The front chart is the left half of the texture, the back chart the right half. Each shows the body's x-y bounding box,
centred, its longer side taking :data:`CHART_SHARE` of the chart.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

CHART_SHARE = 0.94


@attrs.frozen
class ChartFrame:
    """Where the charts are: the centre of the body in x and y, and the side of a chart in the body's units."""

    x: float
    y: float
    side: float


def chart_frame(positions: NDArray[np.float32]) -> ChartFrame:
    """The frame around ``positions`` (V, 3)."""
    low, high = positions[:, :2].min(axis=0), positions[:, :2].max(axis=0)
    centre = (low + high) / 2.0
    return ChartFrame(float(centre[0]), float(centre[1]), float((high - low).max()) / CHART_SHARE)


def front_and_back_uvs(
    positions: NDArray[np.float32], triangles: NDArray[np.int32], frame: ChartFrame
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.bool_]]:
    """UVs (N, 2), their triangles (T, 3), and which triangles are in the front chart (T,).

    A triangle is in front when its centre lies at z > 0: the body is cut along the plane z = 0.
    """
    front = positions[triangles, 2].sum(axis=1) > 0
    across = (positions[:, 0] - frame.x) / frame.side + 0.5
    up = (positions[:, 1] - frame.y) / frame.side + 0.5
    both = np.concatenate([np.stack([across / 2.0, up], axis=1), np.stack([0.5 + (1.0 - across) / 2.0, up], axis=1)])
    index = np.where(front[:, None], triangles, triangles + len(positions))
    used, compact = np.unique(index.ravel(), return_inverse=True)
    return both[used].astype(np.float32), compact.reshape(-1, 3).astype(np.int32), front
