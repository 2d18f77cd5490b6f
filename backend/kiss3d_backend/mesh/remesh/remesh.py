"""One round of continuous remeshing: split, collapse, flip."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.remesh.collapse import TOO_SHORT, collapse_short_edges
from kiss3d_backend.mesh.remesh.compact import compact
from kiss3d_backend.mesh.remesh.flip import flip_edges
from kiss3d_backend.mesh.remesh.half_edges import connect, walk
from kiss3d_backend.mesh.remesh.split import split_long_edges


@attrs.frozen(eq=False)
class WorkingMesh:
    """A mesh between two rounds.

    ``vertices``: (V, 3 + C) float32, the position and C values that are carried along (linear means).
    ``triangles``: (T, 3) int32. ``twins``: (3 T,) int32, see ``half_edges``; ``twins.reshape(-1, 3) // 3`` are each
    triangle's neighbours, so nothing needs to be sorted again after the start. ``targets``: (V,) float32, the
    wanted edge length at each vertex.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    twins: NDArray[np.int32]
    targets: NDArray[np.float32]

    @classmethod
    def of(
        cls, vertices: NDArray[np.float32], triangles: NDArray[np.int32], targets: NDArray[np.float32] | float
    ) -> WorkingMesh:
        """Connects ``triangles``; ``targets`` is (V,) or one length for all. Raises ValueError on wrong lengths."""
        wanted = np.array(np.broadcast_to(np.asarray(targets, dtype=np.float32), len(vertices)))
        if not (wanted > 0).all() or not np.isfinite(wanted).all():
            raise ValueError("target edge lengths must be positive and finite")
        return cls(
            np.ascontiguousarray(vertices, dtype=np.float32),
            np.ascontiguousarray(triangles, dtype=np.int32),
            connect(np.asarray(triangles, dtype=np.int32), len(vertices)),
            wanted,
        )


def remesh(mesh: WorkingMesh, *, rounds: int = 1, most_faces: int | None = None) -> WorkingMesh:
    """Splits edges longer than 4/3 of their target, collapses those shorter than 4/5, and flips to Delaunay.

    Edge lengths come near their targets over several rounds (between two steps of an optimiser one is enough). A
    closed manifold mesh stays closed and manifold, with the same genus and number of parts, and consistently oriented;
    borders and places that are not manifold stay as they are. ``most_faces`` stops splitting at that number.

    The three operations run one edge after the other on a half-edge table, so each is checked on the mesh as it is at
    that moment. Method: Botsch and Kobbelt 2004, "A remeshing approach to multiresolution modeling"; in an
    optimisation: Palfinger 2022, "Continuous remeshing for inverse rendering".
    """
    for _ in range(rounds):
        mesh = _one_round(mesh, most_faces)
    return mesh


def _one_round(mesh: WorkingMesh, most_faces: int | None) -> WorkingMesh:
    faces, count = len(mesh.triangles), len(mesh.vertices)
    # Halving every edge once is the most that a round can do: 4 T triangles, V + 1.5 T vertices.
    room = 4 * faces if most_faces is None else max(faces, min(4 * faces, most_faces))
    spare = (room - faces) // 2
    triangles = _with_room(mesh.triangles, room - faces)
    twins = _with_room(mesh.twins, 3 * (room - faces))
    vertices = _with_room(mesh.vertices, spare)
    targets = _with_room(mesh.targets, spare)
    outgoing, degree, fixed = walk(mesh.triangles, mesh.twins, count)
    outgoing, degree, fixed = (_with_room(array, spare) for array in (outgoing, degree, fixed))

    faces, count = split_long_edges(triangles, twins, vertices, targets, faces, count, outgoing, degree, fixed)
    flip_edges(triangles, twins, vertices, faces, outgoing, degree, fixed)
    collapse_short_edges(triangles, twins, vertices, targets, faces, outgoing, degree, fixed, TOO_SHORT)
    kept: tuple[Any, ...] = compact(triangles, twins, vertices, targets, faces, count, outgoing)
    triangles, twins, vertices, targets = kept
    return WorkingMesh(vertices, triangles, twins, targets)


def _with_room(array: NDArray, spare: int) -> NDArray:
    """A copy with ``spare`` more rows of zeros."""
    grown = np.zeros((len(array) + spare, *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
