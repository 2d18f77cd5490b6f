"""Where the rigs keep what takes long to set up, and how a set-up that was interrupted is done again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

STAMP = ".set-up-complete"


class RigUnavailable(Exception):
    """This machine cannot have the rig; the message says why. Tests skip with it."""


def cache_folder() -> Path:
    """``$KISS3D_TEST_CACHE``, or the user's own cache folder."""
    chosen = os.environ.get("KISS3D_TEST_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kiss3d-tests", appauthor=False))


def ensure(folder: Path, recipe: str, build: Callable[[Path], None]) -> Path:
    """Return ``folder`` as ``build`` left it, building it only when it is missing, unfinished or of another recipe.

    The stamp inside is written last and holds the recipe, so an interrupted build is never taken for a whole one.
    Only one process builds at a time.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        stamp = folder / STAMP
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == recipe:
            return folder
        if folder.exists():
            remove(folder)
        folder.mkdir()
        build(folder)
        stamp.write_text(recipe, encoding="utf-8")
    return folder


def remove(folder: Path) -> None:
    """Delete ``folder``, unless something is mounted in it: then deleting would reach into the mounted system."""
    mounted = _mounts_below(folder)
    if mounted:
        raise RigUnavailable(f"{folder} cannot be renewed: {mounted[0]} is still mounted. Unmount it first.")
    shutil.rmtree(folder)


def _mounts_below(folder: Path) -> list[str]:
    table = Path("/proc/self/mounts")
    if not table.is_file():
        return []
    top = str(folder.resolve())
    points = [line.split()[1] for line in table.read_text(encoding="utf-8").splitlines()]
    return [point for point in points if point == top or point.startswith(top + "/")]
