"""The history of a scene: the newest results, so that they can be brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import bpy

KEPT = 50
"""Entries of a scene; the oldest go first."""


def note_result(scene: bpy.types.Scene, name: str, recipe: Mapping[str, Any]) -> None:
    """Adds a finished result as the newest entry; one that is brought back moves up."""
    history = scene.kiss3d.history
    known = next((index for index, entry in enumerate(history) if entry.job == recipe["job"]), None)
    if known is not None:
        history.remove(known)
    entry = history.add()
    entry.name, entry.job = name, recipe["job"]
    entry.made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    entry.preset, entry.prompt = str(recipe.get("preset", "")), str(recipe.get("prompt", ""))
    entry.recipe = json.dumps(recipe)
    entry.seed = str(int(recipe.get("seed", 0)))
    while len(history) > KEPT:
        history.remove(0)
