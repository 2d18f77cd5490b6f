"""The catalogue: which files each preset needs, where they come from and how they are known to be right.

The catalogue that comes with Kiss3D is ``catalogue.toml`` beside this file, which also explains every key. A user's
``models.toml`` in the data directory is laid over it: see :mod:`kiss3d_backend.models.catalogue_reader`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from attrs import field, frozen

from kiss3d_protocol.errors import CatalogueInvalid

UNKNOWN_SIZE = 64 * 1024
"""What a file without any size is counted as before the hub has told it, in bytes: these are configurations."""


@frozen
class ModelFile:
    """One file of an entry.

    ``name``: what loaders ask for, with ``/``. ``path``: its path inside the repository. ``size``: exact bytes, or
    None. ``about_size``: bytes as published, rounded. ``sha256``: 64 hexadecimal digits, or None where the first
    download is trusted. ``convert``: the kind of conversion to safetensors, for a pickle. ``converted_size``: about
    how many bytes it leaves. ``optional``: the repository may lack it. ``local``: where a user says it lies.
    """

    name: str
    path: str
    size: int | None = None
    about_size: int | None = None
    sha256: str | None = None
    convert: str | None = None
    converted_size: int | None = None
    optional: bool = False
    local: Path | None = None

    @property
    def expected_size(self) -> int:
        """Bytes, exact or about."""
        return self.size or self.about_size or UNKNOWN_SIZE

    @property
    def loaded_name(self) -> str:
        """The name under which a loader gets it: a converted pickle is a ``.safetensors`` file."""
        return str(PurePosixPath(self.name).with_suffix(".safetensors")) if self.convert else self.name


@frozen
class Entry:
    """A model of the catalogue: the files of one repository that belong together.

    ``licence``: its name. ``gated``: the licence must be accepted on the hub first. ``purpose``: a phrase for people.
    ``presets``: the presets that need it. ``overridden``: a user's file has changed it. ``on_request``: a setting needs
    it, and no preset by itself.
    """

    name: str
    repository: str
    revision: str
    licence: str
    gated: bool
    purpose: str
    presets: tuple[str, ...]
    files: tuple[ModelFile, ...]
    overridden: bool = False
    on_request: bool = False

    @property
    def page(self) -> str:
        """Where its licence is shown and accepted."""
        return f"https://huggingface.co/{self.repository}"

    @property
    def expected_size(self) -> int:
        """Bytes of all files as they are downloaded, exact or about."""
        return sum(file.expected_size for file in self.files)


@frozen
class Catalogue:
    """All entries by name, in the order of the file."""

    entries: Mapping[str, Entry] = field(converter=dict[str, Entry])

    def entry(self, name: str) -> Entry:
        """Raises :class:`CatalogueInvalid` when there is no such entry."""
        found = self.entries.get(name)
        if found is None:
            names = ", ".join(self.entries)
            raise CatalogueInvalid(f"The catalogue has no entry '{name:.64}'.", f"Choose one of: {names}.")
        return found

    def of_preset(self, preset: str) -> tuple[Entry, ...]:
        """What a preset needs; nothing for the draft preset."""
        return tuple(entry for entry in self.entries.values() if preset in entry.presets)
