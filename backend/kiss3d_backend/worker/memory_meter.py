"""The memory of the process and of its device while a stage runs. Imports no torch: it asks the one that is there."""

from __future__ import annotations

import sys
import threading
from typing import Any

import psutil

from kiss3d_backend.pipeline.memory import MemoryUse

SAMPLE_SECONDS = 0.05


class ProcessMeter:
    """The :class:`kiss3d_backend.pipeline.memory.MemoryMeter` of a worker.

    The device's peak is torch's own record and misses nothing that torch allocated; it knows neither the driver's
    context nor what other libraries allocate. The process's memory is looked at every :data:`SAMPLE_SECONDS` on a
    thread of its own.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._most = 0
        self._end = threading.Event()
        self._sampler: threading.Thread | None = None

    def start(self) -> None:
        cuda = _cuda_in_use()
        if cuda is not None:
            # What earlier stages left in the allocator's cache is not this stage's.
            cuda.empty_cache()
            cuda.reset_peak_memory_stats()
        self._most = self._own_memory()
        self._end = threading.Event()
        self._sampler = threading.Thread(target=self._sample, args=(self._end,), name="memory", daemon=True)
        self._sampler.start()

    def stop(self) -> MemoryUse:
        if self._sampler is not None:
            self._end.set()
            self._sampler.join()
            self._sampler = None
        ram = max(self._most, self._own_memory())
        cuda = _cuda_in_use()
        if cuda is None:
            return MemoryUse(ram=ram)
        return MemoryUse(int(cuda.max_memory_reserved()), int(cuda.max_memory_allocated()), ram)

    def _sample(self, end: threading.Event) -> None:
        while not end.wait(SAMPLE_SECONDS):
            self._most = max(self._most, self._own_memory())

    def _own_memory(self) -> int:
        # What is on the system differs: Linux has shared (mapped files among it), Windows what is private.
        told: Any = self._process.memory_info()
        if sys.platform == "win32":
            return int(told.private)
        return int(told.rss) - int(getattr(told, "shared", 0))


def _cuda_in_use() -> Any:
    """torch.cuda when this process has begun to use it, else None."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return torch.cuda
