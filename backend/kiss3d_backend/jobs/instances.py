"""Which backends of a data directory are alive: each holds a lock while it runs, which the system ends with it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

from filelock import FileLock

from kiss3d_backend.locks import is_free


@contextlib.contextmanager
def alive(folder: Path, instance: str) -> Generator[None]:
    """Holds the lock file by which other backends of the data directory know that this one runs."""
    path = folder / f"{instance}.lock"
    lock = FileLock(path)
    lock.acquire(timeout=0)
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)


def is_dead(folder: Path, instance: str) -> bool:
    """Whether a backend has ended, in whatever way."""
    path = folder / f"{instance}.lock"
    if not is_free(path):
        return False
    path.unlink(missing_ok=True)
    return True
