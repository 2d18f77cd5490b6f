"""Meshes from bytes to arrays beside Blender's main thread (no bpy)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from .importer.arrays import MeshArrays


class MeshDecoder:
    """Decodes one mesh after another, on a thread that is there from the first mesh to :meth:`close`."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def start(self, read: Callable[[], MeshArrays]) -> Future[MeshArrays]:
        """What ``read`` returns or raises, soon."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "kiss3d-decoder")
        return self._threads.submit(read)

    def close(self) -> None:
        """Ends the thread with the mesh that it is at; those that wait are let go."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
