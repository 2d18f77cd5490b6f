"""A result in the frame of an object that stands somewhere already, turned and scaled (numpy only, no bpy)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from kiss3d_protocol.errors import ParamsInvalid

from ..capture.arrays import CapturedMesh
from .arrays import MeshArrays

Matrix = tuple[tuple[float, float, float, float], ...]


@frozen
class Fit:
    """``matrix``: 4 x 4, the object's place in the world. ``base``: from its origin to where the middle of the result's
    base comes, in the world's axes and scene units. ``size``: the longest side of what was sent, in the world."""

    matrix: Matrix
    base: tuple[float, float, float]
    size: float

    def moved_to(self, location: tuple[float, float, float]) -> Fit:
        """The same one with the object's origin at ``location``."""
        rows = ((*row[:3], coordinate) for row, coordinate in zip(self.matrix[:3], location, strict=True))
        return evolve(self, matrix=(*rows, self.matrix[3]))


def fit_of(sent: CapturedMesh, matrix: npt.NDArray[np.float64]) -> Fit:
    """A result takes the place of ``sent``, the mesh of an object at ``matrix`` (4, 4): the same middle of the base,
    the same longest side. Raises :class:`ParamsInvalid` when the object is scaled to nothing in a direction."""
    if not len(sent.positions) or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise ParamsInvalid(f"'{sent.name}' is empty, or scaled to nothing.", "Give it faces and a scale above 0.")
    low, high = sent.positions.min(axis=0), sent.positions.max(axis=0)
    x, y, _ = ((low + high) / 2).tolist()
    rows = tuple(tuple(row) for row in matrix.tolist())
    return Fit(rows, (x, y, float(low[2])), float((high - low).max()))


def beside(fit: Fit, sent: CapturedMesh) -> Fit:
    """The same one a little more than its width further to the right (+X)."""
    matrix = [list(row) for row in fit.matrix]
    matrix[0][3] += 1.25 * float(np.ptp(sent.positions[:, 0]))
    return evolve(fit, matrix=tuple(tuple(row) for row in matrix))


def fitted(arrays: MeshArrays, fit: Fit) -> MeshArrays:
    """The mesh, which stands on the world's origin, in the frame of the object. A mirroring one turns the faces."""
    linear = np.array(fit.matrix)[:3, :3]
    placed = arrays.positions.astype(np.float64) + fit.base
    positions = (placed @ np.linalg.inv(linear).T).astype(np.float32)
    if np.linalg.det(linear) > 0:
        return evolve(arrays, positions=positions)
    uvs = arrays.corner_uvs
    return evolve(
        arrays,
        positions=positions,
        corners=arrays.corners.reshape(-1, 3)[:, ::-1].reshape(-1),
        corner_uvs=None if uvs is None else uvs.reshape(-1, 3, 2)[:, ::-1].reshape(-1, 2),
        # They follow the corners' order; Blender finds them again.
        edges=None,
    )
