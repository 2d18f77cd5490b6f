"""Which files a job computed with, for its report."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from kiss3d_backend.models.pins import pin_key
from kiss3d_backend.models.store import ModelStore


@frozen
class UsedFile:
    """One file of an entry. ``revision``: the commit where it is known. ``sha256``: of the file as it was downloaded or
    given, also where its conversion is what was loaded; empty where it was never hashed. ``size``: bytes on the disk.
    ``local``: the user's own file, of which no path is told."""

    entry: str
    repository: str
    revision: str
    licence: str
    file: str
    size: int
    sha256: str
    local: bool = False


def used_files(store: ModelStore, names: Iterable[str]) -> tuple[UsedFile, ...]:
    """Every file of these entries, each entry once. Raises :class:`CatalogueInvalid`."""
    pins = store.pins.all()
    used: list[UsedFile] = []
    for name in dict.fromkeys(names):
        state = store.entry(name)
        entry = state.entry
        for file in state.files:
            if file.path is None:
                continue
            pin = pins.get(pin_key(entry, file.file))
            local = file.file.local is not None
            used.append(
                UsedFile(
                    entry=name,
                    repository="" if local else entry.repository,
                    revision="" if local else (pin.commit if pin is not None else "") or entry.revision,
                    licence=entry.licence,
                    file=file.file.loaded_name,
                    size=file.done,
                    sha256=(pin.sha256 if pin is not None else "") or file.file.sha256 or "",
                    local=local,
                )
            )
    return tuple(used)
