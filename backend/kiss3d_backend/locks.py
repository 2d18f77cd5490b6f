"""Lock files, which the system lets go of when the process that holds them ends, in whatever way."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock file; one that is not there is free."""
    if not path.exists():
        return True
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True
