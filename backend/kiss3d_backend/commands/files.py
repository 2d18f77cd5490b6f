"""The files that the commands read and write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from kiss3d_protocol.errors import (
    OutputUnwritable,
    PictureIsDirectory,
    PictureMissing,
    PictureTooLarge,
    PictureUnreadable,
)
from kiss3d_protocol.framing import MAX_BLOB_TO_SERVER


def read_picture_file(path: Path) -> bytes:
    """The bytes of a picture file. Raises a :class:`PictureError`."""
    if path.is_dir():
        raise PictureIsDirectory(f"'{path}' is a folder, not a picture.")
    try:
        size = path.stat().st_size
        if size > MAX_BLOB_TO_SERVER:
            raise PictureTooLarge(
                f"'{path}' has {size / 2**20:.0f} MiB; at most {MAX_BLOB_TO_SERVER / 2**20:.0f} MiB can be sent."
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureMissing(f"There is no file '{path}'.") from error
    except OSError as error:
        raise PictureUnreadable(
            f"The file '{path}' cannot be read ({error.strerror}).", "Check that you may read it."
        ) from error


def check_writable(path: Path, suffix: str) -> None:
    """Finds out before any work whether a result can be written. Raises :class:`OutputUnwritable`."""
    if path.suffix.lower() != suffix:
        raise OutputUnwritable(f"'{path}' must end in {suffix}.", "Give the output file that ending.")
    if path.is_dir():
        raise OutputUnwritable(f"'{path}' is a folder.")
    if not path.parent.is_dir():
        raise OutputUnwritable(f"The folder '{path.parent}' does not exist.", "Create it, or choose another one.")
    try:
        if path.exists():
            with path.open("ab"):
                pass
        else:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        raise OutputUnwritable(f"'{path}' cannot be written ({error.strerror}).") from error


def write_atomically(path: Path, make: Callable[[], bytes]) -> None:
    """Writes a file whole or not at all. Raises :class:`OutputUnwritable`."""
    data = make()
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        if os.name == "posix":
            # mkstemp makes private files; a result is as readable as any other file of the user.
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except OSError as error:
        raise OutputUnwritable(f"'{path}' cannot be written ({error.strerror}).") from error
