"""From seams beside the topology to vertices split at seams, as graphics formats want them."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.types import Mesh


@attrs.frozen(eq=False)
class SplitCorners:
    """Vertices split where the UVs are.

    ``vertices``: (M,) int32, the welded vertex behind each split one. ``uvs``: (M, 2) float32 or None.
    ``triangles``: (T, 3) int32 into the M split vertices.
    """

    vertices: NDArray[np.int32]
    uvs: NDArray[np.float32] | None
    triangles: NDArray[np.int32]


def split_at_seams(mesh: Mesh) -> SplitCorners:
    """One vertex for each distinct pair of a welded vertex and a UV that some triangle uses."""
    if mesh.uvs is None or mesh.uv_triangles is None:
        return SplitCorners(np.arange(len(mesh.positions), dtype=np.int32), mesh.uvs, mesh.triangles)
    keys = mesh.triangles.astype(np.int64) * len(mesh.uvs) + mesh.uv_triangles
    pairs, index = np.unique(keys.ravel(), return_inverse=True)
    vertices, uv_indices = np.divmod(pairs, len(mesh.uvs))
    return SplitCorners(vertices.astype(np.int32), mesh.uvs[uv_indices], index.reshape(-1, 3).astype(np.int32))
