"""English is written where it is used; other languages come from here, through Blender's own translations."""

from __future__ import annotations

import bpy

from . import pt_br, pt_br_commands, pt_br_errors

OWN_CONTEXT = "Kiss3D"
"""For words that Blender itself has with another meaning: in the common context, its own translation would be taken."""

CONTEXTS = ("*", "Operator", OWN_CONTEXT)
"""Blender looks for buttons' words in the second one, for everything else in the first."""


def tr(message: str, **values: object) -> str:
    """A sentence of ours in the language of Blender's interface, its places in braces filled in."""
    said = bpy.app.translations.pgettext_iface(message, OWN_CONTEXT)
    return said.format(**values) if values else said


def register() -> None:
    words = pt_br.WORDS | pt_br_errors.REMEDIES | pt_br_errors.MEANINGS
    words |= pt_br_errors.MESSAGES | pt_br_commands.MESSAGES
    table = {(context, english): said for english, said in words.items() for context in CONTEXTS}
    bpy.app.translations.register(__package__, {"pt_BR": table})


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
