"""What is here of a file, an entry, a preset."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import frozen

from kiss3d_backend.models.catalogue import Entry, ModelFile

FileStatus = Literal["missing", "partial", "present", "verified", "converted", "local", "absent"]
"""``present``: here, and not hashed yet. ``verified``: hashed, and right. ``converted``: a pickle whose safetensors are
here. ``local``: a user's own file. ``absent``: optional, and the repository has none."""

HERE: frozenset[FileStatus] = frozenset({"present", "verified", "converted", "local", "absent"})


@frozen
class FileState:
    """The state of one file.

    ``done``: bytes here. ``total``: bytes of the whole file, exact or about. ``path``: what there is to load or, for a
    pickle, to convert; None while it is missing. ``trust``: what its hash is compared with, in words.
    """

    file: ModelFile
    status: FileStatus
    done: int
    total: int
    path: Path | None
    trust: str
    needs_conversion: bool = False

    @property
    def ready(self) -> bool:
        """Whether a loader can have it (after a hash, if it is only present)."""
        return self.status in HERE and not self.needs_conversion

    @property
    def missing_bytes(self) -> int:
        """Bytes that a pull would download."""
        return 0 if self.status in HERE else max(0, self.total - self.done)


@frozen
class EntryState:
    """The state of one catalogue entry."""

    entry: Entry
    files: tuple[FileState, ...]

    @property
    def ready(self) -> bool:
        return all(file.ready for file in self.files)

    @property
    def missing_bytes(self) -> int:
        return sum(file.missing_bytes for file in self.files)

    @property
    def total_bytes(self) -> int:
        return sum(file.total for file in self.files if file.status != "absent")


@frozen
class PresetState:
    """What a preset needs. ``missing``: names of the entries that are not ready. ``missing_bytes``: to download."""

    preset: str
    entries: tuple[EntryState, ...]

    @property
    def ready(self) -> bool:
        return not self.missing

    @property
    def begun(self) -> bool:
        """Whether something is here that no other preset needs: somebody wants this one."""
        own = (state for state in self.entries if state.entry.presets == (self.preset,))
        return any(file.done for state in own for file in state.files)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(state.entry.name for state in self.entries if not state.ready)

    @property
    def missing_bytes(self) -> int:
        return sum(state.missing_bytes for state in self.entries)
