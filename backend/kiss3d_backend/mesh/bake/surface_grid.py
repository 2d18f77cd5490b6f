"""Nodes spread evenly over a mesh, and values between them: a picture on a surface, without seams."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bake.kernels import grid_nodes
from kiss3d_backend.mesh.edges import find_edges

_MOST_PARTS = 64


@attrs.frozen(eq=False)
class SurfaceGrid:
    """Each side of each of T triangles cut into ``parts`` of the same length; values are linear between the nodes.

    Nodes on a side belong to both of its triangles, so values go over from one to the other wherever an unwrap cuts.
    ``triangles``: (T, 3); ``sides``: (T, 3) int32, the edge of each; ``first``: the first node on an edge and the first
    one inside a triangle; ``count``: of all nodes.
    """

    triangles: NDArray[np.int32]
    sides: NDArray[np.int32]
    parts: int
    first: tuple[int, int]
    count: int

    @classmethod
    def of(cls, triangles: NDArray[np.int32], vertices: int, nodes: int) -> SurfaceGrid:
        """With about as many nodes as asked for, but never fewer than ``vertices``."""
        edges = find_edges(triangles, vertices)
        # A triangle has half a node of its own for each of its parts squared.
        parts = round(float(np.sqrt(2.0 * nodes / max(len(triangles), 1))))
        parts = min(max(parts, 1), _MOST_PARTS)
        inside = vertices + len(edges.ends) * (parts - 1)
        count = inside + len(triangles) * ((parts - 1) * (parts - 2) // 2)
        return cls(triangles, edges.of_face, parts, (vertices, inside), count)

    def at(
        self, triangle: NDArray[np.int32], barycentric: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The three nodes around each point (P, 3), and their shares (P, 3).

        ``triangle``: (P,), that the point lies in; ``barycentric``: (P, 3), not below zero.
        """
        nodes = np.empty((len(triangle), 3), dtype=np.int32)
        shares = np.empty((len(triangle), 3), dtype=np.float32)
        grid_nodes(
            self.triangles, self.sides, self.parts, self.first[0], self.first[1], triangle, barycentric, nodes, shares
        )
        return nodes, shares

    def cells(self) -> NDArray[np.int32]:
        """(C, 3): the nodes of every second of the small triangles between them, those that lie as the large one does.
        Each side of a small triangle belongs to one of them; what lies on a large one's side, to one in each of the
        two. The same cells of every large triangle follow each other, in the order of :meth:`sides_inside`.
        """
        x, y = (each / self.parts for each in self._upper())
        middles = np.stack([1.0 - x - y - 2 / (3 * self.parts), x + 1 / (3 * self.parts), y + 1 / (3 * self.parts)], 1)
        faces = np.repeat(np.arange(len(self.triangles), dtype=np.int32), len(middles))
        return self.at(faces, np.tile(middles.astype(np.float32), (len(self.triangles), 1)))[0]

    def sides_inside(self) -> NDArray[np.bool_]:
        """(C / T, 3): which sides of the cells of a large triangle, from each node to the next, lie inside of it."""
        i, j = self._upper()
        return np.stack([j > 0, i + j < self.parts - 1, i > 0], axis=1)

    def _upper(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each cell of a large triangle, the steps of its first node towards corners 1 and 2."""
        j, i = (each.ravel() for each in np.divmod(np.arange(self.parts**2), self.parts))
        upper = i + j < self.parts
        return i[upper], j[upper]
