"""Tangents that normal maps are read with."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.corners import SplitCorners, split_at_seams
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.types import Mesh


@attrs.frozen(eq=False)
class TangentFrames:
    """Frames at vertices that are split where the UVs are.

    ``split``: the split vertices and the triangles on them. ``normals``: (M, 3) float32, smooth over the welded
    topology. ``tangents``: (M, 4) float32: a unit vector across the normal that points where u grows, and the sign of
    the bitangent, which is sign x cross(normal, tangent) and points where v grows (v upwards).
    """

    split: SplitCorners
    normals: NDArray[np.float32]
    tangents: NDArray[np.float32]


def tangent_frames(mesh: Mesh) -> TangentFrames:
    """The tangents of MikkTSpace (Mikkelsen, "Simulation of wrinkled surfaces revisited", 2008), which Blender and glTF
    use: each triangle's direction of u, laid into the plane across the vertex's normal, unit length, weighted by the
    triangle's angle there. Raises ValueError for a mesh without UVs.

    Written from the description. It differs where triangles of opposite handedness share a vertex and its UV (they get
    the sign of most of them) and in triangles whose UVs have no area (they take no part).
    """
    split = split_at_seams(mesh)
    if split.uvs is None:
        raise ValueError("a mesh without UVs has no tangents")
    count = len(split.vertices)
    normals = vertex_normals(mesh.positions, mesh.triangles)[split.vertices]
    places = mesh.positions[split.vertices][split.triangles].astype(np.float64)
    uvs = split.uvs[split.triangles].astype(np.float64)
    one, two = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    uv_one, uv_two = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    area = uv_one[:, 0] * uv_two[:, 1] - uv_one[:, 1] * uv_two[:, 0]
    sign = np.where(area < 0, -1.0, 1.0)
    along_u = sign[:, None] * (uv_two[:, 1:] * one - uv_one[:, 1:] * two)
    along_u[np.abs(area) <= 1e-20] = 0.0

    summed, signs = np.zeros((count, 3)), np.zeros(count)
    for corner in range(3):
        vertex = split.triangles[:, corner]
        normal = normals[vertex].astype(np.float64)
        flat = _unit(_across(along_u, normal))
        to_next = _unit(_across(places[:, (corner + 1) % 3] - places[:, corner], normal))
        to_last = _unit(_across(places[:, (corner + 2) % 3] - places[:, corner], normal))
        angle = np.arccos(np.clip(np.einsum("ij,ij->i", to_next, to_last), -1.0, 1.0))
        for axis in range(3):
            summed[:, axis] += np.bincount(vertex, flat[:, axis] * angle, count)
        signs += np.bincount(vertex, sign * angle, count)
    tangents = _unit(summed)
    lost = np.flatnonzero(np.einsum("ij,ij->i", tangents, tangents) < 0.5)
    if len(lost):
        least = np.eye(3)[np.abs(normals[lost]).argmin(axis=1)]
        tangents[lost] = _unit(_across(least, normals[lost].astype(np.float64)))
    handed = np.where(signs < 0, -1.0, 1.0)
    return TangentFrames(split, normals, np.concatenate([tangents, handed[:, None]], axis=1).astype(np.float32))


def _across(vectors: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors - normals * np.einsum("ij,ij->i", vectors, normals)[:, None]


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors; zero stays zero."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-20)
