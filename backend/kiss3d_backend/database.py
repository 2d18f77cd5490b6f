"""What the SQLite databases of a data directory have in common."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from kiss3d_protocol.errors import DataDirectoryUnusable


@contextmanager
def transaction(database: sqlite3.Connection) -> Generator[None]:
    """All that is written inside is kept, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def made_by_a_newer_version() -> DataDirectoryUnusable:
    """The error of a database whose schema this version does not know."""
    return DataDirectoryUnusable(
        "The data directory was made by a newer version of Kiss3D.",
        "Update this backend, or choose another folder with --data-dir.",
    )
