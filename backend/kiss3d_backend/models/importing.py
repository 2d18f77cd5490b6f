"""Taking in a file that the user has already: recognised, hashed, and linked or copied into the data directory."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from threading import Event

from attrs import evolve, frozen

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_backend.models.conversion import OnStep, convert_file
from kiss3d_backend.models.digest import Digest, hash_file
from kiss3d_backend.models.download.room import check_room, existing
from kiss3d_backend.models.hub_cache import link_or_copy
from kiss3d_backend.models.pins import Pin, Trust, pin_key
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.models.verify import check_digest
from kiss3d_protocol.errors import ModelDownloadFailed, ModelFileCorrupt, ModelFileMissing, ModelNotFound


@frozen
class Imported:
    """What a file was recognised as. ``path``: what a loader will get. ``trust``: what its hash was compared with."""

    entry: str
    file: str
    path: Path
    trust: Trust
    converted: bool


def import_file(
    source: Path,
    store: ModelStore,
    entry: str | None = None,
    file: str | None = None,
    on_step: OnStep = lambda _step, _done, _total: None,
    cancel: Event | None = None,
) -> Imported:
    """Takes in one file. ``entry`` and ``file`` say what it is, where that cannot be told by its hash or its name.

    ``on_step``: step (``hash``, then those of a conversion), bytes done, bytes in all. Nothing in the file is loaded; a
    pickle is converted by :func:`run_conversion`, which loads none either. The user's file stays where it is.

    Raises :class:`ModelFileMissing` (no such file), :class:`ModelNotFound` (not recognised, or more than one thing),
    :class:`ModelFileCorrupt` (not what it should be), :class:`ModelDiskFull`, :class:`ModelDownloadFailed` (it cannot
    be written), :class:`JobCancelled`, :class:`CatalogueInvalid` (no such entry).
    """
    cancel = cancel or Event()
    digest = _hash(source, on_step, cancel)
    owner, wanted = _recognise(source, digest, _candidates(store, entry, file), store)
    key = pin_key(owner, wanted)
    pin = store.pins.get(key)
    if wanted.size is not None and source.stat().st_size != wanted.size:
        text = (
            f"{source} has {source.stat().st_size} bytes; {wanted.name} of the model '{owner.name}' has {wanted.size}."
        )
        raise ModelFileCorrupt(text, "Download it again.")
    trust = check_digest(owner, wanted, source, digest, pin, "")
    target = store.imported_path(owner, wanted)
    _bring(source, target)
    kept = evolve(pin or Pin("", 0), sha256=digest.sha256, trust=trust, ours=True, place=str(target)).seen_at(target)
    store.pins.put(key, kept)
    if wanted.convert is None:
        return Imported(owner.name, wanted.name, target, trust, converted=False)
    result = store.converted_path(owner, wanted, kept.sha256)
    check_room([(store.models_dir, wanted.converted_size or kept.size)])
    convert_file(owner, wanted, target, kept, result, store.pins, on_step, cancel)
    return Imported(owner.name, wanted.name, result, trust, converted=True)


def _hash(source: Path, on_step: OnStep, cancel: Event) -> Digest:
    done = 0

    def on_bytes(count: int) -> None:
        nonlocal done
        done += count
        on_step("hash", done, size)

    try:
        if not source.is_file():
            raise ModelFileMissing(f"There is no file {source}.", "Check the path.")
        size = source.stat().st_size
        return hash_file(source, cancel, on_bytes)
    except OSError as error:
        raise ModelFileMissing(f"{source} cannot be read ({error.strerror}).", "Check the path.") from error


def _candidates(store: ModelStore, entry: str | None, file: str | None) -> list[tuple[Entry, ModelFile]]:
    entries = store.catalogue.entries.values() if entry is None else (store.catalogue.entry(entry),)
    found = [(owner, each) for owner in entries for each in owner.files if each.local is None]
    if file is not None:
        found = [(owner, each) for owner, each in found if file in (each.name, each.path)]
    if not found:
        text = f"The catalogue has no file '{file}' that can be imported."
        raise ModelNotFound(
            text, "'kiss3d models list' shows the entries; one that models.toml points to is read there."
        )
    return found


def _recognise(
    source: Path, digest: Digest, candidates: list[tuple[Entry, ModelFile]], store: ModelStore
) -> tuple[Entry, ModelFile]:
    pins = store.pins.all()
    for owner, file in candidates:
        pin = pins.get(pin_key(owner, file))
        if digest.sha256 in (file.sha256, pin.sha256 if pin is not None else None):
            return owner, file
    alike = [(owner, file) for owner, file in candidates if PurePosixPath(file.path).name == source.name]
    chosen = alike or (candidates if len(candidates) == 1 else [])
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        text = f"{source.name} is not known: no file of the catalogue has this name or this sha256 ({digest.sha256})."
        raise ModelNotFound(text, "Say with --entry, and with --file if it has several, which entry it belongs to.")
    names = ", ".join(f"{owner.name} ({file.name})" for owner, file in chosen)
    raise ModelNotFound(f"{source.name} may be one of: {names}.", "Say with --entry and --file which one it is.")


def _bring(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    if existing(target.parent).stat().st_dev != source.stat().st_dev:
        check_room([(target.parent, source.stat().st_size)])
    try:
        link_or_copy(source, target)
    except OSError as error:
        text = f"{source.name} cannot be brought to {target.parent} ({error.strerror})."
        raise ModelDownloadFailed(text, "Check that you may write there, or choose another --data-dir.") from error
