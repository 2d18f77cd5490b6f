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
        # Within the try: on a full disk this is what fails, and a transaction left open would block every later one.
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def made_by_a_newer_version() -> DataDirectoryUnusable:
    """The error of a database whose schema this version does not know."""
    return DataDirectoryUnusable(
        "The data directory was made by a newer version of Kiss3D.",
        "Update this backend, or choose another folder with --data-dir.",
    )
