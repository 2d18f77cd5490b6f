"""Hashing what is here, once, and comparing it with what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Literal

from attrs import evolve, frozen

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_backend.models.digest import Digest, hash_file
from kiss3d_backend.models.pins import Pin, Pins, Trust, converted_key, pin_key
from kiss3d_backend.models.states import FileState
from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing

OnBytes = Callable[[int], None]


@frozen
class Verified:
    """One line of a verification. ``error``: what is wrong, empty when nothing is."""

    entry: str
    file: str
    outcome: Literal["right", "trusted on first use", "missing", "wrong"]
    error: str = ""
    path: Path | None = None


def verify_files(
    pins: Pins, entry: Entry, files: Iterable[FileState], on_bytes: OnBytes | None = None, cancel: Event | None = None
) -> list[Verified]:
    """Hashes every file of an entry that is here. Raises :class:`JobCancelled`; anything else is in the result."""
    lines: list[Verified] = []
    for file in files:
        if file.path is None:
            if file.status != "absent":
                lines.append(Verified(entry.name, file.file.name, "missing"))
            continue
        try:
            pin = verify_file(pins, entry, file, on_bytes, cancel)
        except (ModelFileCorrupt, ModelFileMissing) as error:
            lines.append(Verified(entry.name, file.file.name, "wrong", error.message, file.path))
            continue
        outcome = "right" if pin.trust == "catalogue" else "trusted on first use"
        lines.append(Verified(entry.name, file.file.name, outcome, path=file.path))
    return lines


def ensure_verified(
    pins: Pins,
    entry: Entry,
    state: FileState,
    on_bytes: OnBytes | None = None,
    cancel: Event | None = None,
) -> Pin:
    """The pin of a file that is here; hashed only if it was not, or has changed since.

    Raises :class:`ModelFileCorrupt`, :class:`ModelFileMissing`, :class:`JobCancelled`.
    """
    path = _path(state)
    pin = pins.get(_key(entry, state))
    if pin is not None and pin.describes(path):
        expected = None if state.status == "converted" else state.file.sha256
        if expected is None or expected == pin.sha256:
            return pin
    return verify_file(pins, entry, state, on_bytes, cancel)


def verify_file(
    pins: Pins,
    entry: Entry,
    state: FileState,
    on_bytes: OnBytes | None = None,
    cancel: Event | None = None,
) -> Pin:
    """Hashes a file that is here and pins the hash. Raises like :func:`ensure_verified`."""
    path, key = _path(state), _key(entry, state)
    pin = pins.get(key)
    try:
        digest = hash_file(path, cancel, on_bytes)
    except OSError as error:
        text = f"The file {state.file.name} of the model '{entry.name}' cannot be read at {path} ({error.strerror})."
        raise ModelFileMissing(text) from error
    trust: Trust = "first use"
    if state.status == "converted":
        _compare(entry, state.file, path, digest, pin.sha256 if pin is not None else "", "was made by the conversion")
    else:
        trust = check_digest(entry, state.file, path, digest, pin, _etag_of(path) if state.status != "local" else "")
    found = evolve(pin or Pin("", 0), sha256=digest.sha256, trust=trust).seen_at(path)
    pins.put(key, found)
    return found


def check_digest(entry: Entry, file: ModelFile, path: Path, digest: Digest, pin: Pin | None, etag: str) -> Trust:
    """Compares a hash with the catalogue's, else with the pin, else with what the ETag says. Returns what the trust
    rests on. Raises :class:`ModelFileCorrupt`."""
    if file.sha256:
        _compare(entry, file, path, digest, file.sha256, "the catalogue names")
        return "catalogue"
    # A user's own file may change as they like, unless they have named its hash.
    if pin is not None and pin.sha256 and file.local is None:
        _compare(entry, file, path, digest, pin.sha256, "was pinned at the first use")
    elif digest.matches_etag(etag) is False:
        text = f"{path} (the model '{entry.name}') is not what the hub has under its ETag {etag:.80}."
        raise ModelFileCorrupt(text)
    return "first use"


def _compare(entry: Entry, file: ModelFile, path: Path, digest: Digest, expected: str, said: str) -> None:
    if not expected or digest.sha256 == expected:
        return
    text = (
        f"{path} is not the file {file.name} of the model '{entry.name}' that {said}: its sha256 is "
        f"{digest.sha256} instead of {expected}."
    )
    raise ModelFileCorrupt(text)


def _key(entry: Entry, state: FileState) -> str:
    return converted_key(entry, state.file) if state.status == "converted" else pin_key(entry, state.file)


def _path(state: FileState) -> Path:
    if state.path is None:
        raise ModelFileMissing(f"The file {state.file.name} is not here.")
    return state.path


def _etag_of(path: Path) -> str:
    """In the cache a blob is named by its ETag, and a snapshot's file is a link to its blob."""
    return path.resolve().name if path.is_symlink() else ""
