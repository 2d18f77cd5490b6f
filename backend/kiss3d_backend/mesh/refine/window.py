"""The part of each picture that matters."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.refine.views import Views

_MARGIN = 1 / 32
_MULTIPLE = 16


@attrs.frozen(eq=False)
class Windows:
    """A square cut out of each view, all of the same size, with pixels where they were.

    ``clip``: (N, 4, 4) float32, world to the window's clip space, for column vectors. ``normals``: (N, S, S, 3) and
    ``masks``: (N, S, S) float32, cut out.
    """

    clip: NDArray[np.float32]
    normals: NDArray[np.float32]
    masks: NDArray[np.float32]


def cut(views: Views, positions: NDArray[np.float32]) -> Windows:
    """Windows around the masks and around the mesh that starts at ``positions`` (V, 3), with a margin.

    Most of a picture is background: what is drawn and compared is less than a third of it for an object in the
    unit box. What leaves a window is not seen; the margin is wider than a refinement moves an outline.
    """
    size = views.masks.shape[-1]
    boxes = []
    for mask, camera in zip(views.masks, views.cameras, strict=True):
        rows, columns = np.nonzero(np.asarray(mask) > 0)
        inside = np.stack([columns, rows], axis=1)
        mesh = np.clip(camera.pixels(positions, size), 0, size - 1)
        boxes.append(
            (np.minimum(inside.min(axis=0), mesh.min(axis=0)), np.maximum(inside.max(axis=0), mesh.max(axis=0)))
        )
    margin = round(size * _MARGIN)
    widest = max(float((high - low).max()) for low, high in boxes)
    side = min(size, -(-int(np.ceil(widest) + 1 + 2 * margin) // _MULTIPLE) * _MULTIPLE)
    clip, normals, masks = [], [], []
    for index, (low, high) in enumerate(boxes):
        left, top = (int(np.clip(round(middle - side / 2), 0, size - side)) for middle in (low + high) / 2)
        # Pixel edges of the window in the picture's ndc become -1 and 1.
        scale = size / side
        zoom = np.diag([scale, scale, 1.0, 1.0])
        zoom[0, 3] = scale - 1 - 2 * left / side
        zoom[1, 3] = -(scale - 1 - 2 * top / side)
        clip.append(zoom @ views.cameras[index].world_to_clip)
        normals.append(views.normals[index, top : top + side, left : left + side])
        masks.append(views.masks[index, top : top + side, left : left + side])
    return Windows(*(np.ascontiguousarray(np.stack(part), dtype=np.float32) for part in (clip, normals, masks)))
