"""What the doctor says of the model files: how many are here, what was changed, and which licences stand in the way."""

from __future__ import annotations

from pathlib import Path

from kiss3d_backend.commands.findings import Finding
from kiss3d_backend.models.catalogue_reader import USER_FILE
from kiss3d_backend.models.states import EntryState
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.errors import Kiss3DError, ModelGated


def model_findings(data_dir: Path) -> list[Finding]:
    """A line on the files, and more where the user has to do something. Asks no hub."""
    try:
        store = ModelStore(data_dir)
        states = store.entries()
    except Kiss3DError as error:
        return [Finding("Model catalogue", "error", error.message, error.remedy, error.code)]
    ready = sum(state.ready for state in states)
    files = Finding("Model files", "ok", f"{ready} of {len(states)} models are here, in {store.cache.root}.")
    return [*_override(data_dir, states), files, *_licences(store, states)]


def _override(data_dir: Path, states: tuple[EntryState, ...]) -> list[Finding]:
    path = data_dir / USER_FILE
    if not path.is_file():
        return []
    changed = [state.entry.name for state in states if state.entry.overridden]
    what = f"it changes {', '.join(changed)}" if changed else "it changes no entry that comes with Kiss3D"
    return [Finding("Model catalogue", "ok", f"{path} is in use; {what}.")]


def _licences(store: ModelStore, states: tuple[EntryState, ...]) -> list[Finding]:
    """Gated models that are still to be got. Whether a licence was accepted only the hub knows; a token is needed.

    The lack of one is worth a warning where somebody has begun to get a preset that needs the model.
    """
    gated = [state.entry for state in states if state.entry.gated and state.missing_bytes]
    if not gated:
        return []
    from huggingface_hub import get_token

    token = bool(get_token())
    if token:
        login, remedy = "a Hugging Face token is set", "Accept it there, if you have not done so."
    else:
        login = "no Hugging Face token is set"
        remedy = "Accept it there, then log in with 'hf auth login' or set HF_TOKEN."
    return [
        Finding(
            f"Licence of {entry.name}",
            "warning" if not token and any(store.preset(name).begun for name in entry.presets) else "note",
            f"It is given out only to people who have accepted '{entry.licence}' at {entry.page}; {login}.",
            remedy,
            ModelGated.code,
        )
        for entry in gated
    ]
