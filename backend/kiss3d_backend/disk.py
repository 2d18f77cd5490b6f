"""What a full or broken disk is called."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Generator

from kiss3d_protocol.errors import DataDirectoryUnusable, DiskFull, Kiss3DError

DISK_ERRORS = (OSError, sqlite3.Error)
"""What writing into the data directory may raise."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException) -> bool:
    """Whether there is no room (or no quota) left, rather than something broken."""
    if isinstance(error, sqlite3.Error):
        # The second: there was no room for the file that the processes of a database share.
        return getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
    return isinstance(error, OSError) and error.errno in _FULL


def disk_error(error: BaseException) -> Kiss3DError:
    """The error that people are told."""
    if is_disk_full(error):
        return DiskFull("The disk of the backend's machine is full.")
    return DataDirectoryUnusable(
        f"The backend could not store something ({error}).", "Check the disk of the backend's machine, then try again."
    )


@contextlib.contextmanager
def naming_disk_errors() -> Generator[None]:
    """Raises :class:`DiskFull` or :class:`DataDirectoryUnusable` for what a disk did inside."""
    try:
        yield
    except DISK_ERRORS as error:
        raise disk_error(error) from error
