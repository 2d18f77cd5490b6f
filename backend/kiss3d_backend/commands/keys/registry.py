"""The list of clients of a data directory, for one command."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_protocol.key_files import backend_keys


@contextmanager
def open_registry(data_dir: Path) -> Generator[ClientRegistry]:
    """Raises :class:`DataDirectoryUnusable`, :class:`KeyFileUnsafe` and :class:`KeyFileUnusable`."""
    registry = ClientRegistry(DataDir(data_dir).create().clients, backend_keys().owner.public)
    try:
        yield registry
    finally:
        registry.close()
