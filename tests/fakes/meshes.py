"""Small meshes for scripted backends: a sphere with a UV seam and a texture, in the wire's frame."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from kiss3d_protocol.payloads import Blob, BlobWriter, MeshRef


@dataclass(frozen=True)
class FakeMesh:
    """Arrays as SPEC.md describes them; ``texture`` and ``normal_map``, of one size, are PNGs or empty."""

    positions: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.uint32]
    uvs: npt.NDArray[np.float32]
    uv_triangles: npt.NDArray[np.uint32]
    texture: bytes
    texture_size: int
    colours: npt.NDArray[np.uint8] | None = None
    normal_map: bytes = b""

    def message(self) -> tuple[MeshRef, list[Blob]]:
        """The descriptor and the blobs that belong to it."""
        writer = BlobWriter()

        def put(array: npt.NDArray, dtype: str):
            return writer.array(np.ascontiguousarray(array).tobytes(), dtype, array.shape)

        def picture(data: bytes):
            return writer.image(data, "image/png", self.texture_size, self.texture_size) if data else None

        ref = MeshRef(
            put(self.positions, "<f4"),
            put(self.triangles, "<u4"),
            put(self.uvs, "<f4"),
            put(self.uv_triangles, "<u4"),
            None if self.colours is None else put(self.colours, "|u1"),
            picture(self.texture),
            picture(self.normal_map),
        )
        return ref, writer.blobs


def sphere(
    around: int, down: int, *, nose: bool = True, texture_size: int = 64, colours: bool = False, noise: bool = False
) -> FakeMesh:
    """A sphere of ``around * (down - 1) + 2`` vertices and ``2 * around * (down - 1)`` triangles.

    It is flattened to half its depth, and three quarters as wide as high. With ``nose`` the vertex that faces +z is
    drawn out to twice the depth, so that the front can be told. ``noise`` makes the texture as hard to compress as a
    photograph.
    """
    rows = np.linspace(0, np.pi, down + 1)[1:-1]
    turns = np.linspace(np.pi, 3 * np.pi, around, endpoint=False)  # the seam is at the back
    polar, turn = np.meshgrid(rows, turns, indexing="ij")
    ring = np.stack((np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn)), axis=-1)
    positions = np.concatenate(([[0, 1, 0]], ring.reshape(-1, 3), [[0, -1, 0]])) * (0.375, 0.5, 0.25)

    grid = np.arange(around * (down - 1)).reshape(down - 1, around) + 1
    right = np.roll(grid, -1, axis=1)
    last = len(positions) - 1
    triangles = np.concatenate(
        (
            np.stack((np.zeros(around, int), grid[0], right[0]), axis=-1),
            np.stack((grid[:-1], grid[1:], right[1:]), axis=-1).reshape(-1, 3),
            np.stack((grid[:-1], right[1:], right[:-1]), axis=-1).reshape(-1, 3),
            np.stack((grid[-1], np.full(around, last), right[-1]), axis=-1),
        )
    )
    # Around the seam a vertex has two UVs; at the poles one for each triangle.
    columns = around + 1
    uv_grid = np.stack(
        np.broadcast_arrays(np.linspace(0, 1, columns)[None, :], np.linspace(1, 0, down + 1)[:, None]), axis=-1
    )
    place = np.arange(columns * (down + 1)).reshape(down + 1, columns)
    left, beside = place[:, :-1], place[:, 1:]
    uv_triangles = np.concatenate(
        (
            np.stack((left[0], left[1], beside[1]), axis=-1),
            np.stack((left[1:-2], left[2:-1], beside[2:-1]), axis=-1).reshape(-1, 3),
            np.stack((left[1:-2], beside[2:-1], beside[1:-2]), axis=-1).reshape(-1, 3),
            np.stack((left[-2], left[-1], beside[-2]), axis=-1),
        )
    )
    if nose:
        front = int(np.argmax(positions[:, 2]))
        positions[front, 2] *= 2
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        positions = positions - middle
    tints = None
    if colours:
        tints = np.concatenate((np.clip((positions + 0.5) * 255, 0, 255), np.full((len(positions), 1), 255)), axis=1)
    return FakeMesh(
        positions.astype(np.float32),
        triangles.astype(np.uint32),
        uv_grid.reshape(-1, 2).astype(np.float32),
        uv_triangles.astype(np.uint32),
        _texture(texture_size, noise),
        texture_size,
        None if tints is None else tints.astype(np.uint8),
    )


def lopsided(around: int = 48, down: int = 32) -> FakeMesh:
    """A body that looks different from every side and in every mirror, its longest side 1, centred."""
    mesh = sphere(around, down, nose=False, texture_size=256)
    x, y, z = mesh.positions.astype(np.float64).T
    x = x + 0.35 * np.maximum(y, 0) - 0.5 * np.maximum(-y - 0.2, 0) * (z > 0)
    z = z + 0.3 * np.maximum(x, 0) * (y > 0)
    positions = np.stack((x, y, z), axis=1)
    low, high = positions.min(axis=0), positions.max(axis=0)
    positions = (positions - (low + high) / 2) / (high - low).max()
    return replace(mesh, positions=positions.astype(np.float32))


def _texture(size: int, noise: bool) -> bytes:
    """Red grows to the right, green upwards; the lower left corner is blue."""
    ramp = np.linspace(0, 255, size)
    pixels = np.zeros((size, size, 3))
    pixels[..., 0] = ramp[None, :]
    pixels[..., 1] = ramp[::-1, None]
    pixels[-size // 8 :, : size // 8, 2] = 255
    if noise:
        pixels += np.random.default_rng(0).normal(0, 4, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
