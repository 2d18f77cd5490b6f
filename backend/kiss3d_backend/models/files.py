"""The files of one catalogue entry on this machine, as loaders take them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from kiss3d_protocol.errors import ModelFileMissing


@frozen
class EntryFiles:
    """Verified local files.

    ``entry``: the catalogue entry's name. ``paths``: from a file's path inside its repository (``vae/config.json``)
    to where it lies here.
    """

    entry: str
    paths: Mapping[str, Path]

    def path(self, file: str) -> Path:
        """Where ``file`` lies. Raises :class:`ModelFileMissing`, which names entry and file."""
        found = self.paths.get(file)
        if found is None:
            raise ModelFileMissing(f"The model '{self.entry}' lacks its file {file}.")
        return found
