"""Pictures of a mesh: perspective, soft light, supersampled, on a plain background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.raster.pixels import Raster, rasterise
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.types import Mesh

FIELD_OF_VIEW_DEGREES = 30.0
"""The field of view of the pipeline's views."""

CONTACT_SHEET_AZIMUTHS = (0.0, 40.0, 90.0, 180.0)
"""Front, three-quarter, side and back."""

_SUPERSAMPLING = 2
_FILL = 0.88
_KEY_LIGHT = (-0.45, 0.75, 0.85)
_FILL_LIGHT = (0.8, 0.1, 0.5)
_BACKGROUND_TOP, _BACKGROUND_BOTTOM = 0.93, 0.80
_PLAIN_COLOUR = 0.72


def render_views(mesh: Mesh, size: int, azimuths: Sequence[float], elevation: float = 5.0) -> NDArray[np.uint8]:
    """Views (N, size, size, 3) uint8 of a mesh from each azimuth, on a soft neutral background.

    ``azimuths``, ``elevation``: degrees; the camera stands at (sin a cos e, sin e, cos a cos e) times a distance that
    is the same for all views and lets the mesh fill them, and looks at the middle of its bounding box.
    """
    rows = np.linspace(_BACKGROUND_TOP, _BACKGROUND_BOTTOM, size, dtype=np.float32)
    background = np.broadcast_to(rows[:, None, None], (size, size, 3))
    views = []
    for view in render_cutouts(mesh, size, azimuths, elevation):
        value = view.astype(np.float32) / 255.0
        mixed = background + (value[..., :3] - background) * value[..., 3:]
        views.append((np.clip(mixed, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    return np.stack(views)


def render_cutouts(mesh: Mesh, size: int, azimuths: Sequence[float], elevation: float = 5.0) -> list[NDArray[np.uint8]]:
    """The same views as (size, size, 4) uint8 with straight alpha, nothing behind the mesh."""
    normals = vertex_normals(mesh.positions, mesh.triangles)
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    centred = (mesh.positions - (low + high) / 2.0).astype(np.float64)
    cameras = [_camera(azimuth, elevation) for azimuth in azimuths]
    distance = max(_fitting_distance(centred @ camera.T) for camera in cameras)
    return [_render(mesh, centred, normals, camera, distance, size) for camera in cameras]


def contact_sheet(
    mesh: Mesh,
    size: int = 512,
    azimuths: Sequence[float] = CONTACT_SHEET_AZIMUTHS,
    elevation: float = 10.0,
) -> NDArray[np.uint8]:
    """Several views side by side, (size, N size, 3) uint8."""
    return np.concatenate(list(render_views(mesh, size, azimuths, elevation)), axis=1)


def _camera(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Rows: the camera's right, up and backwards in the world."""
    a, e = np.radians(azimuth), np.radians(elevation)
    backwards = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    right = np.array([np.cos(a), 0.0, -np.sin(a)])
    return np.stack([right, np.cross(backwards, right), backwards])


def _fitting_distance(seen: NDArray[np.float64]) -> float:
    """The nearest camera that has all of ``seen`` (V, 3), in its frame, within the picture."""
    tangent = np.tan(np.radians(FIELD_OF_VIEW_DEGREES) / 2) * _FILL
    return float((np.abs(seen[:, :2]).max(axis=1) / tangent + seen[:, 2]).max())


def _render(
    mesh: Mesh,
    centred: NDArray[np.float64],
    normals: NDArray[np.float32],
    camera: NDArray[np.float64],
    distance: float,
    size: int,
) -> NDArray[np.uint8]:
    fine = size * _SUPERSAMPLING
    seen = centred @ camera.T
    away = distance - seen[:, 2]
    focal = fine / 2 / np.tan(np.radians(FIELD_OF_VIEW_DEGREES) / 2)
    # 1 / away is linear in the image, and so is a depth of -1 / away.
    points = np.stack([fine / 2 + focal * seen[:, 0] / away, fine / 2 - focal * seen[:, 1] / away, -1 / away], axis=1)
    towards = _facing_the_eye(points, mesh.triangles)
    raster = rasterise(points, mesh.triangles[towards], fine, fine)
    covered = raster.covered
    triangle = np.flatnonzero(towards)[raster.triangle[covered]]
    weights = _true_to_perspective(raster, covered, mesh.triangles[triangle], away)

    normal = np.einsum("ij,ijk->ik", weights, normals[mesh.triangles[triangle]])
    normal = (normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)) @ camera.T
    surface = _linear(_surface_colours(mesh, triangle, weights))
    shaded = surface * _light(normal)[:, None]
    image = np.zeros((fine, fine, 4), dtype=np.float32)
    image[covered, :3] = shaded
    image[covered, 3] = 1.0
    block = image.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 4).mean(axis=(1, 3))
    alpha = block[..., 3:]
    straight = _display(block[..., :3] / np.maximum(alpha, 1e-6))
    return (np.clip(np.concatenate([straight, alpha], axis=2), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _facing_the_eye(points: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Triangles that turn counter-clockwise in the image, whose y runs down."""
    a, b, c = (points[triangles[:, corner], :2] for corner in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]) < 0


def _true_to_perspective(
    raster: Raster, covered: NDArray[np.bool_], corners: NDArray[np.int32], away: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Barycentric coordinates (P, 3) on the surface from those in the image."""
    weights = raster.weights[covered] / away[corners]
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def _surface_colours(mesh: Mesh, triangle: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """sRGB colours (P, 3) in [0, 1] at points of triangles."""
    if mesh.texture is not None and mesh.uvs is not None:
        corners = (mesh.triangles if mesh.uv_triangles is None else mesh.uv_triangles)[triangle]
        uv = np.einsum("ij,ijk->ik", weights, mesh.uvs[corners])
        return sample_texture(mesh.texture.pixels, uv) / np.float32(255.0)
    if mesh.colours is not None:
        corner_colours = mesh.colours[mesh.triangles[triangle], :3].astype(np.float32) / 255.0
        return np.einsum("ij,ijk->ik", weights, corner_colours).astype(np.float32)
    return np.full((len(triangle), 3), _PLAIN_COLOUR, dtype=np.float32)


def _light(normal: NDArray[np.float64]) -> NDArray[np.float32]:
    """Light (P,) on normals (P, 3) in the camera's frame: a soft key, a fill, and the sky.

    It keeps near 1 where the surface faces the camera, so that the texture's own colours show.
    """
    key = np.asarray(_KEY_LIGHT) / np.linalg.norm(_KEY_LIGHT)
    fill = np.asarray(_FILL_LIGHT) / np.linalg.norm(_FILL_LIGHT)
    wrapped = np.clip((normal @ key + 0.35) / 1.35, 0.0, None) ** 1.2
    side = np.clip(normal @ fill, 0.0, None)
    sky = 0.5 + 0.5 * normal[:, 1]
    return (0.22 + 0.68 * wrapped + 0.14 * side + 0.12 * sky).astype(np.float32)


def _linear(srgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _display(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    value = np.clip(linear, 0.0, 1.0)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055).astype(np.float32)
