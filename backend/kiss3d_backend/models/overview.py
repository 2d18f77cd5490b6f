"""The catalogue and what is here of it, in the words of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kiss3d_backend.models.states import EntryState, FileState
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.errors import ParamsInvalid, PresetUnknown
from kiss3d_protocol.models import HashState, ModelInfo, ModelState
from kiss3d_protocol.params import PRESETS

_SHORT = 256
_TRUST: dict[str, HashState] = {"catalogue": "known", "trusted on first use": "pinned"}
_LEAST_KNOWN_FIRST: tuple[HashState, ...] = ("unknown", "pinned")


def model_infos(data_dir: Path) -> tuple[ModelInfo, ...]:
    """Every entry, in the catalogue's order. Raises a :class:`ModelError` for a broken catalogue."""
    return tuple(model_info(state) for state in ModelStore(data_dir).entries())


def model_info(state: EntryState) -> ModelInfo:
    """One entry as clients see it. A path on this machine is not among what they see."""
    entry = state.entry
    local = any(file.file.local is not None for file in state.files)
    return ModelInfo(
        name=entry.name,
        title=entry.purpose[:_SHORT],
        repository="" if local else entry.repository[:_SHORT],
        revision="" if local else entry.revision[:_SHORT],
        licence=entry.licence[:_SHORT],
        gated=entry.gated,
        presets=entry.presets,
        size=state.total_bytes,
        have=sum(file.done for file in state.files),
        state=_state(state),
        sha256=_hashes(state.files),
        local=local,
    )


def bytes_missing(data_dir: Path, names: Iterable[str]) -> int:
    """What these entries, each counted once, still need from the hub."""
    wanted = tuple(names)
    store = ModelStore(data_dir) if wanted else None
    return sum(store.entry(name).missing_bytes for name in wanted) if store else 0


def names_to_pull(data_dir: Path, preset: str | None, entries: Sequence[str]) -> tuple[str, ...]:
    """The entries of a preset and the named ones, each once.

    Raises :class:`PresetUnknown`, :class:`CatalogueInvalid` for a name that the catalogue does not have, and
    :class:`ParamsInvalid` when nothing is named.
    """
    catalogue = ModelStore(data_dir).catalogue
    names: dict[str, None] = {}
    if preset is not None:
        if preset not in {known.name for known in PRESETS}:
            raise PresetUnknown(f"There is no preset '{preset:.64}'.")
        names |= dict.fromkeys(entry.name for entry in catalogue.of_preset(preset))
    elif not entries:
        raise ParamsInvalid("It was not said which models to get.", "Name a preset, or entries of the catalogue.")
    names |= dict.fromkeys(catalogue.entry(name).name for name in entries)
    return tuple(names)


def _state(state: EntryState) -> ModelState:
    if state.ready:
        return "present" if any(file.status == "present" for file in state.files) else "ready"
    return "partial" if any(file.done or file.ready for file in state.files) else "missing"


def _hashes(files: Sequence[FileState]) -> HashState:
    """What is known about the least known file; an optional file that is not there does not count."""
    told: set[HashState] = {_TRUST.get(file.trust, "unknown") for file in files if file.status != "absent"}
    for state in _LEAST_KNOWN_FIRST:
        if state in told:
            return state
    return "known"
