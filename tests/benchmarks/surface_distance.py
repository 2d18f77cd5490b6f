"""How far two surfaces are apart, for the benchmarks."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from kiss3d_backend.mesh.types import Mesh

POINTS = 100_000


def distances(mesh: Mesh, other: Mesh) -> tuple[float, float]:
    """The mean distance of points on ``mesh`` to ``other``, and the mean cosine of the normals there.

    To the triangle that the nearest of many samples lies on, so that an exact copy is at distance 0.
    """
    from_, to = (trimesh.Trimesh(part.positions, part.triangles, process=False) for part in (mesh, other))
    points, faces = trimesh.sample.sample_surface(from_, POINTS, seed=0)
    samples, sampled = trimesh.sample.sample_surface(to, 3 * POINTS, seed=1)
    nearest = sampled[cKDTree(samples).query(points, workers=2)[1]]
    there = trimesh.triangles.closest_point(to.triangles[nearest], points)
    cosine = np.einsum("ij,ij->i", from_.face_normals[faces], to.face_normals[nearest])
    return float(np.linalg.norm(there - points, axis=1).mean()), float(cosine.mean())


def compared(mesh: Mesh, truth: Mesh) -> tuple[float, float]:
    """Chamfer distance and normal consistency, means of both directions."""
    (there, agree), (back, agree_back) = distances(mesh, truth), distances(truth, mesh)
    return (there + back) / 2, (agree + agree_back) / 2
