"""Normals as colours, the way the published bundles have them, and between the camera's frame and the world.

R = (1 - x) / 2, G = (1 + y) / 2, B = (1 + z) / 2, with x right, y up and z towards the camera: x is flipped, so that
the left of a ball is red, its top green and its middle blue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.camera import Camera, turned

_FLIP = np.array([-1.0, 1.0, 1.0], dtype=np.float32)


def encode_normals(normals: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours (..., 3) uint8 of unit normals (..., 3) in the camera's frame."""
    value = (1.0 + np.asarray(normals, dtype=np.float32) * _FLIP) * 127.5
    return np.clip(np.rint(value), 0, 255).astype(np.uint8)


def decode_normals(colours: NDArray[np.uint8], unit: bool = True) -> NDArray[np.float32]:
    """Normals (..., 3) float32 in the camera's frame.

    ``unit``: scaled to length 1 (a colour without a direction becomes (0, 0, 1)); otherwise as the colours have them.
    """
    normals = (colours.astype(np.float32) / 127.5 - 1.0) * _FLIP
    if not unit:
        return normals
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    towards = np.array([0.0, 0.0, 1.0], dtype=np.float32)
    return np.where(length > 0.05, normals / np.maximum(length, 0.05), towards).astype(np.float32)


def decode_on_white(colours: NDArray[np.uint8], matte: NDArray[np.float32], least: float = 0.3) -> NDArray[np.float32]:
    """Unit normals (..., 3) float32 in the camera's frame, of an object on white, without the white.

    ``matte``: (...), the covered share of each pixel. A pixel on the outline is a mix of white and the normal's colour;
    decoded as it is, its normal is off by 20 degrees in the mean, and a thin limb has hardly any other pixels. Where
    less than ``least`` is covered the normal is zero: nothing is known there.
    """
    share = matte[..., None]
    pure = (colours.astype(np.float32) - 255.0 * (1.0 - share)) / np.maximum(share, least)
    normals = (pure / 127.5 - 1.0) * _FLIP
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where((share >= least) & (length > 0.05), normals / np.maximum(length, 0.05), 0.0).astype(np.float32)


def normals_to_world(normals: NDArray[np.floating], camera: Camera) -> NDArray[np.float32]:
    """Normals (..., 3) of the camera's frame in the world."""
    return turned(np.asarray(normals, dtype=np.float32), camera.axes.T)


def normals_to_camera(normals: NDArray[np.floating], camera: Camera) -> NDArray[np.float32]:
    """Normals (..., 3) of the world in the camera's frame."""
    return turned(np.asarray(normals, dtype=np.float32), camera.axes)
