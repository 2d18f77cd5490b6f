"""The cameras of the pipeline (the published system's; arXiv 2503.01370).

World: right-handed, y up, the object's front towards +z. A camera of azimuth a and elevation e at distance r stands at
r (sin a cos e, sin e, cos a cos e) and looks at the origin; its picture is square. Camera frame: x right, y up,
z backwards (towards the eye), as in OpenGL.
"""

from __future__ import annotations

from typing import TypeVar

import attrs
import numpy as np
from numpy.typing import NDArray

BUNDLE_AZIMUTHS = (0.0, 90.0, 180.0, 270.0)
"""Degrees, in the order of a bundle's columns."""

ELEVATION = 5.0
FIELD_OF_VIEW = 30.0
"""Degrees, of the width and of the height."""

BUNDLE_RADIUS = 4.5
"""Of bundles that are rendered from a mesh; a ball of radius 1 fills 85 % of a tile."""

REFERENCE_RADIUS = 4.15
"""Of the normals in the reference bundle of image to 3D."""

LRM_RADIUS = 3.5

_NEAR, _FAR = 0.1, 10.0


Float = TypeVar("Float", np.float32, np.float64)


@attrs.frozen
class Camera:
    """``azimuth``, ``elevation``, ``field_of_view``: degrees. ``radius``: distance of the eye from the origin."""

    azimuth: float
    elevation: float = ELEVATION
    radius: float = BUNDLE_RADIUS
    field_of_view: float = FIELD_OF_VIEW

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3), a rotation. Rows: the camera's right, up and backwards in the world."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        backwards = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        right = np.array([np.cos(a), 0.0, -np.sin(a)])
        return np.stack([right, np.cross(backwards, right), backwards])

    @property
    def eye(self) -> NDArray[np.float64]:
        """(3,) in the world."""
        return self.radius * self.axes[2]

    @property
    def tangent(self) -> float:
        """Half the picture's width at distance 1."""
        return float(np.tan(np.radians(self.field_of_view) / 2))

    @property
    def world_to_camera(self) -> NDArray[np.float64]:
        """(4, 4) for column vectors."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes
        matrix[2, 3] = -self.radius
        return matrix

    @property
    def camera_to_world(self) -> NDArray[np.float64]:
        """(4, 4) for column vectors."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes.T
        matrix[:3, 3] = self.eye
        return matrix

    @property
    def projection(self) -> NDArray[np.float64]:
        """(4, 4), camera frame to OpenGL's clip space; near and far are a tenth and ten times the radius."""
        near, far = self.radius * _NEAR, self.radius * _FAR
        matrix = np.zeros((4, 4))
        matrix[0, 0] = matrix[1, 1] = 1.0 / self.tangent
        matrix[2, 2] = -(far + near) / (far - near)
        matrix[2, 3] = -2.0 * far * near / (far - near)
        matrix[3, 2] = -1.0
        return matrix

    @property
    def world_to_clip(self) -> NDArray[np.float64]:
        """(4, 4) for column vectors."""
        return self.projection @ self.world_to_camera

    def clip(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """World positions (..., 3) in clip space, (..., 4)."""
        matrix = self.world_to_clip
        return np.asarray(positions, dtype=np.float64) @ matrix[:, :3].T + matrix[:, 3]

    def pixels(self, positions: NDArray[np.floating], size: int) -> NDArray[np.float64]:
        """Where world positions (..., 3) in front of the camera lie in a picture of ``size`` x ``size`` pixels.

        (..., 2): column and row; the centre of the first pixel is (0, 0).
        """
        seen = turned(np.asarray(positions, dtype=np.float64), self.axes)
        focal = size / 2 / self.tangent
        away = self.radius - seen[..., 2]
        middle = (size - 1) / 2
        return np.stack([middle + focal * seen[..., 0] / away, middle - focal * seen[..., 1] / away], axis=-1)


def turned(vectors: NDArray[Float], axes: NDArray[np.float64]) -> NDArray[Float]:
    """Vectors (..., 3) along other axes (3, 3), one axis a row; of the precision of the vectors."""
    x, y, z = axes.T.astype(vectors.dtype)
    # Written out: a matrix product of this shape is many times slower.
    return vectors[..., :1] * x + vectors[..., 1:2] * y + vectors[..., 2:] * z


def bundle_cameras(radius: float = BUNDLE_RADIUS) -> tuple[Camera, ...]:
    """The four cameras of a bundle, in the order of its columns."""
    return tuple(Camera(azimuth, ELEVATION, radius) for azimuth in BUNDLE_AZIMUTHS)


def lrm_camera_vectors(cameras: tuple[Camera, ...] | None = None) -> NDArray[np.float32]:
    """What the LRM is told about its views: (N, 16), by default those of azimuth 0, 90, 180, 270 at radius 3.5.

    The first 12 numbers of the camera-to-world matrix in the LRM's world (z up), row by row, then fx, fy, cx, cy in
    widths of the picture.
    """
    if cameras is None:
        cameras = bundle_cameras(LRM_RADIUS)
    vectors = []
    for camera in cameras:
        pose = camera.camera_to_world[:3]
        focal = 0.5 / camera.tangent
        vectors.append(np.concatenate([(lrm_to_world().T @ pose).ravel(), [focal, focal, 0.5, 0.5]]))
    return np.stack(vectors).astype(np.float32)


def lrm_to_world() -> NDArray[np.float64]:
    """(3, 3) for column vectors: from the LRM's frame (z up, view 0 at +x) to that of the bundle cameras.

    The published rotation, +90 degrees about x and then about y, is written for row vectors; this is its transpose.
    """
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    about_y = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    return (about_x @ about_y).T


def from_lrm_frame(positions: NDArray[np.floating]) -> NDArray[np.float32]:
    """Positions or directions (..., 3) of the LRM's mesh in the frame of the bundle cameras."""
    return (np.asarray(positions, dtype=np.float64) @ lrm_to_world().T).astype(np.float32)


def to_lrm_frame(positions: NDArray[np.floating]) -> NDArray[np.float32]:
    """Positions or directions (..., 3) of the bundle cameras' frame in the LRM's, where its colours are asked for."""
    return (np.asarray(positions, dtype=np.float64) @ lrm_to_world()).astype(np.float32)
