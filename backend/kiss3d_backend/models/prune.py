"""What can be deleted: only what was downloaded or made here, and that nothing needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, frozen

from kiss3d_backend.locks import is_free
from kiss3d_backend.models.catalogue import Entry
from kiss3d_backend.models.hub_cache import PART_SUFFIX
from kiss3d_backend.models.pins import Pin, pin_key, place_of_key
from kiss3d_backend.models.store import ModelStore


@frozen
class Leftover:
    """One file that may go. ``size``: bytes. ``reason``: a phrase. ``key``: its pin's, or empty."""

    path: Path
    size: int
    reason: str
    key: str = ""


def leftovers(store: ModelStore) -> tuple[Leftover, ...]:
    """What :func:`prune` would delete now. Deletes nothing."""
    pins = store.pins.all()
    found = [*_parts(store, pins), *_pickles(store, pins), *_conversions(store), *_unneeded(store, pins)]
    unique = {leftover.path: leftover for leftover in found}
    return tuple(unique.values())


def prune(store: ModelStore) -> tuple[Leftover, ...]:
    """Deletes the leftovers and returns them. Their hashes stay pinned."""
    gone = leftovers(store)
    for leftover in gone:
        _delete(store, leftover)
    return gone


def _parts(store: ModelStore, pins: Mapping[str, Pin]) -> Iterator[Leftover]:
    places = [place_of_key(key) for key in pins]
    for repository in sorted({place[0] for place in places if place is not None}):
        for part in sorted((store.cache.folder(repository) / "blobs").glob(f"*{PART_SUFFIX}")):
            if is_free(store.cache.lock(repository, part.name.removesuffix(PART_SUFFIX))):
                yield Leftover(part, part.stat().st_size, "a download that was not finished")


def _pickles(store: ModelStore, pins: Mapping[str, Pin]) -> Iterator[Leftover]:
    for state in store.entries():
        for file in state.files:
            key = pin_key(state.entry, file.file)
            pin = pins.get(key)
            if file.status == "converted" and pin is not None and pin.ours:
                path = _source(store, key, pin)
                if path is not None:
                    yield Leftover(path, path.stat().st_size, "a pickle that has been converted", key)


def _conversions(store: ModelStore) -> Iterator[Leftover]:
    current = {
        file.path
        for state in store.entries()
        for file in state.files
        if file.status == "converted" and _is_needed(state.entry)
    }
    for path in sorted((store.models_dir / "converted").rglob("*.safetensors")):
        if path not in current:
            yield Leftover(path, path.stat().st_size, "a conversion that nothing uses")


def _unneeded(store: ModelStore, pins: Mapping[str, Pin]) -> Iterator[Leftover]:
    needed = {
        pin_key(entry, file) for entry in store.catalogue.entries.values() if _is_needed(entry) for file in entry.files
    }
    for key, pin in pins.items():
        path = _source(store, key, pin) if pin.ours and key not in needed else None
        if path is not None:
            yield Leftover(path, path.stat().st_size, "no preset needs it", key)


def _is_needed(entry: Entry) -> bool:
    return bool(entry.presets) or entry.on_request


def _source(store: ModelStore, key: str, pin: Pin) -> Path | None:
    """Where we put a file of the hub: in the cache, or where it was imported to."""
    place = place_of_key(key)
    if place is None:
        return None
    if pin.place:
        path = Path(pin.place)
        return path if path.is_file() else None
    return store.cache.find(*place, commit=pin.commit)


def _delete(store: ModelStore, leftover: Leftover) -> None:
    if leftover.path.is_symlink():
        blob = leftover.path.resolve()
        leftover.path.unlink()
        if not any(store.cache.names_of(blob)):
            blob.unlink(missing_ok=True)
    else:
        leftover.path.unlink(missing_ok=True)
    pin = store.pins.get(leftover.key) if leftover.key else None
    if pin is not None:
        store.pins.put(leftover.key, evolve(pin, ours=False, place="", mtime_ns=0))
