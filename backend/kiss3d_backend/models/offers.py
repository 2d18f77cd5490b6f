"""Which presets and recipes this backend can run, and why it cannot run the others."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from kiss3d_backend.models.states import PresetState
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.amounts import amount_text
from kiss3d_protocol.errors import (
    Kiss3DError,
    ModelFileMissing,
    ParamsInvalid,
    PresetUnavailable,
    PresetUnknown,
    RecipeUnavailable,
)
from kiss3d_protocol.messages import PresetOffer
from kiss3d_protocol.params import DEFAULT_RECIPE, PRESETS, GenerateParams, PresetInfo

BUILT_RECIPES = frozenset(
    {"draft", "views_to_3d/draft"}
    | {
        f"{recipe}{preset}"
        for recipe in ("", "text_to_3d/", "mesh_to_3d/", "views_to_3d/")
        for preset in ("fast", "balanced", "quality")
    }
)
"""The recipes that exist in this version, by :func:`kiss3d_backend.pipeline.recipe.recipe_key` (a test compares it with
the recipes themselves)."""

PROMPT_WRITER = "prompt_writer"
"""The entry of the chat model that rewrites prompts."""

NOT_BUILT = "This version of the backend does not have it yet."


def preset_offers(data_dir: Path, presets: Sequence[PresetInfo] = PRESETS) -> tuple[PresetOffer, ...]:
    """One offer for each preset, lightest first, as the files of ``data_dir`` and of the cache are now.

    A preset whose models cannot be told (a broken ``models.toml``, for example) is not offered, and says why.
    """
    try:
        store = ModelStore(data_dir)
        return tuple(_offer(preset, store.preset(preset.name)) for preset in presets)
    except Kiss3DError as error:
        return tuple(
            PresetOffer(preset.name, preset.title, preset.name == "draft", "" if preset.name == "draft" else str(error))
            for preset in presets
        )


def _offer(preset: PresetInfo, state: PresetState) -> PresetOffer:
    reason = ""
    if preset.name not in BUILT_RECIPES:
        reason = NOT_BUILT
    elif preset.name != "draft" and importlib.util.find_spec("torch") is None:
        reason = "It needs torch, which the backend's environment lacks: pip install 'kiss3d[gpu]'."
    elif not state.ready:
        reason = f"Model files are missing; {amount_text(state.missing_bytes)} have to be downloaded."
    return PresetOffer(preset.name, preset.title, not reason, reason, state.missing, state.missing_bytes)


def check_offer(params: GenerateParams, data_dir: Path) -> None:
    """Raises :class:`PresetUnknown`, :class:`PresetUnavailable`, :class:`RecipeUnavailable`, :class:`ModelFileMissing`,
    and :class:`ParamsInvalid` for a prompt writer where nothing is drawn from words.

    The recipe's name is known to be right (:func:`kiss3d_protocol.inputs.check_inputs`).
    """
    # Views go straight to reconstruction, which takes the LRM where it is and does without where it is not.
    if params.recipe != "views_to_3d" or params.preset not in {preset.name for preset in PRESETS}:
        check_preset(params.preset, data_dir)
    if params.recipe != DEFAULT_RECIPE and f"{params.recipe}/{params.preset}" not in BUILT_RECIPES:
        raise RecipeUnavailable(
            f"The recipe '{params.recipe}' cannot run with the preset '{params.preset}' here: {NOT_BUILT}"
        )

    if params.write_prompt:
        _check_prompt_writer(params.preset, data_dir)


def _check_prompt_writer(preset: str, data_dir: Path) -> None:
    if preset == "draft":
        raise ParamsInvalid(
            "The preset 'draft' draws nothing from words: there is no prompt to write.",
            "Switch the prompt writer off, or choose another preset.",
        )
    if not ModelStore(data_dir).entry(PROMPT_WRITER).ready:
        raise ModelFileMissing(
            "The chat model that rewrites prompts is not here.",
            f"Get it with 'kiss3d models pull {PROMPT_WRITER}', or switch the prompt writer off.",
        )


def check_preset(name: str, data_dir: Path) -> None:
    """Raises :class:`PresetUnknown`, :class:`PresetUnavailable`, or :class:`ModelFileMissing` with the remedy."""
    # Only of this one: looking for the files of all presets takes longer than everything else in a submit.
    wanted = [preset for preset in PRESETS if preset.name == name]
    for offer in preset_offers(data_dir, wanted):
        if offer.offered:
            return
        message = f"The preset '{name}' cannot run here: {offer.reason}"
        if name in BUILT_RECIPES and offer.missing_models:
            raise ModelFileMissing(message, f"Get them with 'kiss3d models pull {name}'.")
        raise PresetUnavailable(message)
    names = ", ".join(preset.name for preset in PRESETS)
    raise PresetUnknown(f"There is no preset '{name:.64}'.", f"Choose one of: {names}.")
