"""A mesh as a bundle picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bundle.layout import TILE, BundleViews
from kiss3d_backend.mesh.bundle.normals import normals_to_camera
from kiss3d_backend.mesh.camera import Camera, bundle_cameras
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.types import Mesh
from kiss3d_protocol.errors import MeshEmpty

PLAIN_COLOUR = 204
"""The grey that published bundles of meshes without colours have."""

FILL = 0.85
"""The share of a tile that a mesh is fitted to; a ball of radius 1 fills that much."""

_SUPERSAMPLING = 3
_WHITE = 255.0


def render_bundle(
    parts: Sequence[Mesh], cameras: Sequence[Camera] | None = None, *, smooth: bool = False
) -> BundleViews:
    """The tiles of meshes in the bundle's world, unlit and antialiased on white.

    ``parts``: meshes that make up one object, each with its own texture, vertex colours or neither (then light grey).
    Both sides of a face are drawn. ``cameras``: four; by default those of a bundle. ``smooth``: normals of the
    vertices instead of the faces' own, which the published bundles show and which are true to the geometry.
    Raises :class:`MeshEmpty` for meshes without a face.
    """
    scene = _Scene(parts, smooth)
    views = [scene.render(camera) for camera in cameras or bundle_cameras()]
    return BundleViews(np.stack([colours for colours, _ in views]), np.stack([normals for _, normals in views]))


def is_in_bundle_world(positions: NDArray[np.float32]) -> bool:
    """Whether positions (V, 3) lie in the box that the cameras see, [-1, 1] cubed, and are not tiny in it."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    return bool(max(-low.min(), high.max()) <= 1.05 and (high - low).max() >= 0.4)


def fitted_scale(centred: NDArray[np.floating], cameras: Sequence[Camera] | None = None) -> float:
    """What positions (V, 3) about the origin are multiplied by to fill :data:`FILL` of the tile that shows most."""
    scales = []
    for camera in cameras or bundle_cameras():
        seen = np.asarray(centred, dtype=np.float64) @ camera.axes.T
        reach = FILL * camera.tangent
        # |s x| / (r - s z) <= reach, for every point.
        need = np.abs(seen[:, :2]).max(axis=1) + reach * seen[:, 2]
        scales.append(reach * camera.radius / max(float(need.max()), 1e-12))
    return min(scales)


class _Scene:
    """All parts in one list of triangles."""

    def __init__(self, parts: Sequence[Mesh], smooth: bool) -> None:
        self.parts = [part for part in parts if len(part.triangles)]
        if not self.parts:
            raise MeshEmpty("The mesh has no faces.")
        first_vertex = np.cumsum([0, *(len(part.positions) for part in self.parts)])
        self.first_triangle = np.cumsum([0, *(len(part.triangles) for part in self.parts)])
        self.positions = np.concatenate([part.positions for part in self.parts]).astype(np.float64)
        self.triangles = np.concatenate(
            [part.triangles.astype(np.int64) + first_vertex[index] for index, part in enumerate(self.parts)]
        ).astype(np.int32)
        a, b, c = (self.positions[self.triangles[:, corner]] for corner in range(3))
        facing = np.cross(b - a, c - a)
        self.face_normals = (facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-300)).astype(
            np.float32
        )
        self.vertex_normals = (
            np.concatenate([vertex_normals(part.positions, part.triangles) for part in self.parts]) if smooth else None
        )

    def render(self, camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """One view: its colours and its normals, (512, 512, 3) each."""
        fine = TILE * _SUPERSAMPLING
        clip = camera.clip(self.positions).astype(np.float32)[None]
        fragments = rasterize(clip, self.triangles, (fine, fine))
        triangle = fragments.triangle[0].ravel()
        samples = np.flatnonzero(triangle >= 0)
        seen = triangle[samples]
        weights = fragments.barycentric[0].reshape(-1, 3)[samples]

        rows, columns = np.divmod(samples, fine)
        pixel = (rows // _SUPERSAMPLING) * TILE + columns // _SUPERSAMPLING
        covered = np.bincount(pixel, minlength=TILE * TILE)
        share = covered[:, None] / _SUPERSAMPLING**2

        colour = _summed(pixel, self._colours(seen, weights)) / np.maximum(covered[:, None], 1)
        normal = _summed(pixel, self._normals(seen, weights, camera))
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        coded = (1.0 + normal * (-1.0, 1.0, 1.0)) * 127.5
        return _on_white(colour, share), _on_white(coded, share)

    def _colours(self, seen: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        colours = np.full((len(seen), 3), PLAIN_COLOUR, dtype=np.float32)
        part_of = np.searchsorted(self.first_triangle, seen, side="right") - 1
        for index, part in enumerate(self.parts):
            mine = np.flatnonzero(part_of == index) if len(self.parts) > 1 else slice(None)
            triangle = seen[mine] - self.first_triangle[index]
            if part.texture is not None and part.uvs is not None:
                corners = (part.triangles if part.uv_triangles is None else part.uv_triangles)[triangle]
                uv = np.einsum("ij,ijk->ik", weights[mine], part.uvs[corners])
                colours[mine] = sample_texture(part.texture.pixels, uv)
            elif part.colours is not None:
                corner_colours = part.colours[part.triangles[triangle], :3].astype(np.float32)
                colours[mine] = np.einsum("ij,ijk->ik", weights[mine], corner_colours)
        return colours

    def _normals(self, seen: NDArray[np.int32], weights: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
        """In the camera's frame, turned to the side that is seen."""
        to_eye = camera.eye - self.positions[self.triangles[:, 0]]
        away = np.einsum("ij,ij->i", self.face_normals, to_eye) < 0
        sign = np.where(away, -1.0, 1.0).astype(np.float32)[:, None]
        if self.vertex_normals is None:
            return (normals_to_camera(self.face_normals, camera) * sign)[seen]
        mixed = np.einsum("ij,ijk->ik", weights, normals_to_camera(self.vertex_normals, camera)[self.triangles[seen]])
        return mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9) * sign[seen]


def _summed(pixel: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sum (512 * 512, 3) of the samples in each pixel."""
    summed = [np.bincount(pixel, values[:, axis], TILE * TILE).astype(np.float64) for axis in range(3)]
    return np.stack(summed, axis=1)


def _on_white(colours: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.uint8]:
    value = colours * share + _WHITE * (1.0 - share)
    return np.clip(np.rint(value), 0, 255).astype(np.uint8).reshape(TILE, TILE, 3)
