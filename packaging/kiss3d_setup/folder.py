"""The folder of a set-up: taken, locked, mended after an interruption, and emptied again."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from kiss3d_protocol.errors import SetupBusy, SetupFolderForeign, SetupWithoutRoom
from kiss3d_protocol.installation import ENVIRONMENT, LOG, RECORD, read_installation

LOCK = "setup.lock"
SCRATCH = "payload"
OURS = (ENVIRONMENT, LOG, LOCK, SCRATCH)
"""What the set-up makes in its folder, beside the record."""


def take_folder(folder: Path) -> None:
    """Makes the folder, unless it is the set-up's already. Raises :class:`SetupFolderForeign`."""
    try:
        if folder.is_dir() and read_installation(folder) is None and foreign(folder):
            raise SetupFolderForeign(f"'{folder}' has files in it that the set-up did not make.")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except OSError as error:
        raise SetupFolderForeign(f"'{folder}' cannot be used: {error.strerror or error}.") from error


def foreign(folder: Path) -> list[str]:
    """What is in the folder and is not what a set-up makes before it writes its record."""
    return sorted(path.name for path in folder.iterdir() if path.name not in (LOG, LOCK, SCRATCH))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Lets one set-up at a time work in the folder. Raises :class:`SetupBusy`.

    Gives the descriptor of the lock. A program that inherits it keeps the folder locked, also when the set-up itself
    was killed: two pips in one environment would spoil it.
    """
    with (folder / LOCK).open("a+b") as file:
        file.seek(0)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupBusy(f"Another set-up is at work in '{folder}'.") from error
        yield file.fileno()


def check_room(folder: Path, needed: int) -> None:
    """Raises :class:`SetupWithoutRoom` when the disk of ``folder`` has less than ``needed`` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupWithoutRoom(
            f"The set-up needs up to {needed / 1e9:.0f} GB, and there are {free / 1e9:.1f} GB free at '{folder}'."
        )


def mend(folder: Path) -> list[str]:
    """Takes away what an interrupted installation has left half made; the names of it.

    pip writes the list of a package's files last. A package without one would count as installed, and could neither be
    used nor taken out; what pip has moved aside for a newer version begins with "~".
    """
    mended: list[str] = []
    for packages in (folder / ENVIRONMENT).glob("[Ll]ib/**/site-packages"):
        for path in packages.iterdir():
            half = path.suffix == ".dist-info" and not (path / "RECORD").is_file()
            if half or path.name.startswith("~"):
                shutil.rmtree(path, ignore_errors=True)
                mended.append(path.name)
    return mended


def remove_environment(folder: Path) -> None:
    """Takes away what the set-up has made, and the folder when nothing else is in it.

    Raises :class:`SetupFolderForeign` when the set-up did not make it, or when it cannot be taken away.
    """
    if read_installation(folder) is None:
        raise SetupFolderForeign(f"'{folder}' was not made by the set-up, so nothing is taken away.", "Check the path.")
    try:
        for name in OURS:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif name != LOCK:
                path.unlink(missing_ok=True)
        # The record last: a removal that is interrupted can be gone on with.
        (folder / RECORD).unlink()
    except OSError as error:
        raise SetupFolderForeign(
            f"'{error.filename or folder}' could not be taken away: {error.strerror or error}.",
            "Stop the backends and close the programs that use it, then try again.",
        ) from error


def remove_if_empty(folder: Path) -> None:
    """Takes the folder itself away, unless something else is in it. Called when it is not locked any more."""
    with contextlib.suppress(OSError):
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()
