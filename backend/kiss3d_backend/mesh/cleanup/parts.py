"""Connected parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kiss3d_backend.mesh.cleanup.soup import Soup


def parts_of(soup: Soup) -> NDArray[np.int32]:
    """(T,) the part of each face, from 0; faces belong together when they share a vertex."""
    count = len(soup.positions)
    starts, ends = soup.triangles[:, [0, 1]].ravel(order="F"), soup.triangles[:, [1, 2]].ravel(order="F")
    links = coo_array((np.ones(len(starts), np.int8), (starts, ends)), shape=(count, count))
    _, part = connected_components(links, directed=False)
    return np.unique(part[soup.triangles[:, 0]], return_inverse=True)[1].ravel().astype(np.int32)


def without_small_parts(soup: Soup, smallest: float) -> tuple[Soup, int]:
    """Drops parts with less than this share of the whole surface; the largest always stays. Returns how many went."""
    if len(soup.triangles) == 0:
        return soup, 0
    part = parts_of(soup)
    area = np.bincount(part, np.linalg.norm(soup.facing(), axis=1))
    large = area >= smallest * area.sum()
    large[int(area.argmax())] = True
    return soup.keep(large[part]).compact(), int((~large).sum())
