"""What the two processes of the unwrapping say to each other: a fixed header, then raw little-endian arrays.

A request is (V, T, resolution, padding) and positions (V, 3) float32, triangles (T, 3) uint32. A reply is
(N, T, charts) and uvs (N, 2) float32, uv_triangles (T, 3) uint32.
"""

from __future__ import annotations

import struct

import attrs
import numpy as np
from numpy.typing import NDArray

_REQUEST = struct.Struct("<8sIIII")
_REPLY = struct.Struct("<8sIII")
_ASK, _ANSWER = b"K3UNWRP1", b"K3UVSAR1"


@attrs.frozen(eq=False)
class Request:
    """``positions`` (V, 3) float32, ``triangles`` (T, 3); ``resolution`` and ``padding`` in texels."""

    positions: NDArray[np.float32]
    triangles: NDArray[np.int32]
    resolution: int
    padding: int

    def pack(self) -> bytes:
        head = _REQUEST.pack(_ASK, len(self.positions), len(self.triangles), self.resolution, self.padding)
        return head + self.positions.astype("<f4").tobytes() + self.triangles.astype("<u4").tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Request:
        """Raises ValueError for anything but one whole request."""
        if len(data) < _REQUEST.size:
            raise ValueError("a request ends within its header")
        magic, vertices, triangles, resolution, padding = _REQUEST.unpack_from(data)
        if magic != _ASK or len(data) != _REQUEST.size + 12 * (vertices + triangles):
            raise ValueError("not a whole request")
        middle = _REQUEST.size + 12 * vertices
        return cls(
            np.frombuffer(data, "<f4", 3 * vertices, _REQUEST.size).reshape(-1, 3).astype(np.float32),
            np.frombuffer(data, "<u4", 3 * triangles, middle).reshape(-1, 3).astype(np.int32),
            resolution,
            padding,
        )


@attrs.frozen(eq=False)
class Reply:
    """``uvs`` (N, 2) float32 in [0, 1], ``uv_triangles`` (T, 3) int32; ``charts``: how many islands."""

    uvs: NDArray[np.float32]
    uv_triangles: NDArray[np.int32]
    charts: int

    def pack(self) -> bytes:
        head = _REPLY.pack(_ANSWER, len(self.uvs), len(self.uv_triangles), self.charts)
        return head + self.uvs.astype("<f4").tobytes() + self.uv_triangles.astype("<u4").tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Reply:
        """Raises ValueError for anything but one whole reply."""
        if len(data) < _REPLY.size:
            raise ValueError("a reply ends within its header")
        magic, uvs, triangles, charts = _REPLY.unpack_from(data)
        if magic != _ANSWER or len(data) != _REPLY.size + 8 * uvs + 12 * triangles:
            raise ValueError("not a whole reply")
        middle = _REPLY.size + 8 * uvs
        return cls(
            np.frombuffer(data, "<f4", 2 * uvs, _REPLY.size).reshape(-1, 2).astype(np.float32),
            np.frombuffer(data, "<u4", 3 * triangles, middle).reshape(-1, 3).astype(np.int32),
            charts,
        )
