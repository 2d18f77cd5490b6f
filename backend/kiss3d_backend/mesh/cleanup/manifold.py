"""Edges with two faces, vertices with one fan of faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kiss3d_backend.mesh.cleanup.soup import Soup
from kiss3d_backend.mesh.edges import Edges, find_edges

_APART = 0.02
"""Copies of a vertex move this share of the way towards the faces that they keep."""


def split_apart(soup: Soup) -> Soup:
    """Takes apart what only touches: solids that share an edge or a vertex, and sheets that do not agree on a side.

    At an edge of more than two faces those are paired that bound the same solid; every fan of faces around a vertex
    gets its own copy of it, moved a little, so that it stays apart when vertices are merged by position. Sides that
    find no partner become borders. Where two edges join the same two vertices, one gets a vertex in its middle.
    """
    edges = find_edges(soup.triangles, len(soup.positions))
    partner = _partners(soup, edges)
    sides = np.flatnonzero(partner >= 0)
    if len(soup.triangles) == 0:
        return soup
    mates = partner[sides]
    # A corner has the number of the side that starts there; the side across starts where ours ends.
    links_from = np.concatenate([sides, _next(sides)])
    links_to = np.concatenate([_next(mates), mates])
    corners = 3 * len(soup.triangles)
    graph = coo_array((np.ones(len(links_from), np.int8), (links_from, links_to)), shape=(corners, corners))
    copies, copy = connected_components(graph, directed=False)
    original = np.empty(copies, dtype=np.int64)
    original[copy] = soup.triangles.ravel()
    positions = soup.positions[original]
    several = (np.bincount(original, minlength=len(soup.positions)) > 1)[original]
    triangles = copy.reshape(-1, 3).astype(np.int32)
    if several.any():
        centres = soup.positions[soup.triangles].mean(axis=1)
        faces = np.bincount(copy, minlength=copies)
        sums = [np.bincount(copy, np.repeat(centres[:, axis], 3), copies) for axis in range(3)]
        towards = np.stack(sums, axis=1) / faces[:, None] - positions
        positions = np.where(several[:, None], positions + _APART * towards, positions).astype(np.float32)
    apart = Soup(positions, triangles)
    # Taking apart joins no edges: where none was crowded before, none is now.
    return _without_shared_ends(apart, partner) if (edges.uses > 2).any() else apart


def _without_shared_ends(soup: Soup, partner: NDArray[np.int64]) -> Soup:
    """Gives an edge a vertex in its middle where another edge joins the same two vertices.

    Each vertex may have one fan of faces and the two edges still be one pair of numbers, that of four faces.
    ``partner``: as of :func:`_partners`.
    """
    edges = find_edges(soup.triangles, len(soup.positions))
    crowded = (edges.uses > 2)[edges.of_face.ravel()]
    pairs = np.flatnonzero(crowded & (partner > np.arange(len(partner))))
    # The first of the edges may keep its ends; a triangle is cut once, another round takes its other sides.
    first = np.unique(edges.of_face.ravel()[pairs], return_index=True)[1]
    pairs = np.delete(pairs, first)
    faces = np.stack([pairs, partner[pairs]], axis=1) // 3
    fresh = np.unique(faces.ravel(), return_index=True)[1]
    alone = np.isin(np.arange(faces.size), fresh).reshape(faces.shape).all(axis=1)
    pairs, faces = pairs[alone], faces[alone]
    if len(pairs) == 0:
        return soup
    corners = soup.triangles.ravel()
    ends = np.stack([corners[pairs], corners[_next(pairs)]], axis=1)
    middle = soup.positions[ends].mean(axis=1)
    centres = soup.positions[soup.triangles[faces]].mean(axis=(1, 2))
    middle = (middle + _APART * (centres - middle)).astype(np.float32)
    number = len(soup.positions) + np.arange(len(pairs), dtype=np.int32)
    triangles, added = soup.triangles.copy(), []
    for sides in (pairs, partner[pairs]):
        face, corner = sides // 3, sides % 3
        half = triangles[face].copy()
        half[np.arange(len(face)), corner] = number
        added.append(half)
        triangles[face, (corner + 1) % 3] = number
    return Soup(np.concatenate([soup.positions, middle]), np.concatenate([triangles, *added]))


def _next(sides: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(sides % 3 == 2, sides - 2, sides + 1)


def _partners(soup: Soup, edges: Edges[NDArray[np.int32]]) -> NDArray[np.int64]:
    """(3 T,): the side across each side, which runs the other way; -1 where there is none."""
    starts = soup.triangles.ravel()
    partner = edges.opposite.ravel().astype(np.int64)
    same_way = (partner >= 0) & (starts[partner] == starts)
    partner[same_way] = -1
    crowded = np.flatnonzero((edges.uses > 2)[edges.of_face.ravel()])
    by_edge = crowded[np.argsort(edges.of_face.ravel()[crowded], kind="stable")]
    edge = edges.of_face.ravel()[by_edge]
    begins = np.flatnonzero(np.diff(edge, prepend=-1))
    for group in np.split(by_edge, begins[1:]) if len(by_edge) else []:
        for one, two in _bound_the_same_solid(soup, group):
            partner[one], partner[two] = two, one
    return partner


def _bound_the_same_solid(soup: Soup, sides: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs of sides of one edge. Around the edge, a side that runs along it has its solid behind it in one sense of
    rotation and a side that runs against it in the other: neighbours with the solid between them belong together.
    """
    starts, ends = soup.triangles.ravel()[sides], soup.triangles.ravel()[_next(sides)]
    tips = soup.triangles.ravel()[_next(_next(sides))]
    low, high = int(min(starts[0], ends[0])), int(max(starts[0], ends[0]))
    axis = soup.positions[high].astype(np.float64) - soup.positions[low]
    axis /= max(float(np.linalg.norm(axis)), 1e-30)
    away = soup.positions[tips].astype(np.float64) - soup.positions[low]
    away -= np.outer(away @ axis, axis)
    across = away[0] / max(float(np.linalg.norm(away[0])), 1e-30)
    angle = np.arctan2(away @ np.cross(axis, across), away @ across)
    # Seen against the axis, a face that runs along it has its inside clockwise of it.
    along = starts == low
    order = np.argsort(angle, kind="stable")
    pairs: list[tuple[int, int]] = []
    left = order.tolist()
    progress = True
    while progress and len(left) > 1:
        progress = False
        for place in range(len(left)):
            one, two = left[place], left[(place + 1) % len(left)]
            if along[two] and not along[one]:
                pairs.append((int(sides[one]), int(sides[two])))
                left = [item for item in left if item not in (one, two)]
                progress = True
                break
    return pairs
