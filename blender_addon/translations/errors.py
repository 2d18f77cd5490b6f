"""Errors in the language of Blender's interface. They are written in English where they are raised, also far away.

Those of this side are found by their templates, with what stands in their places; one from the backend that has no
template is introduced by what its code means, and keeps its own words.
"""

from __future__ import annotations

import re
from functools import lru_cache

import bpy

from kiss3d_protocol.errors import Kiss3DError

from . import pt_br_commands, pt_br_errors, tr


def in_words(error: Kiss3DError) -> tuple[str, str]:
    """What went wrong, and what to do about it (may be empty)."""
    said = in_language(error.message)
    meaning = tr(error.code)
    if said == error.message and meaning != error.code:
        said = f"{meaning} ({said})"
    return said, in_language(error.remedy)


def told(error: Kiss3DError) -> str:
    """What went wrong and what to do about it, on one line."""
    return " ".join(in_words(error)).strip()


def in_language(sentence: str) -> str:
    """A sentence that something of this side wrote in English; one that is not known stays as it is."""
    return _in_language(sentence, bpy.app.translations.locale)


@lru_cache(maxsize=256)
def _in_language(sentence: str, locale: str) -> str:
    """The language is only there to be part of the key: panels are drawn many times a second."""
    return _by_template(sentence) or tr(sentence)


def _by_template(text: str) -> str:
    for template in (*pt_br_errors.MESSAGES, *pt_br_commands.MESSAGES):
        match = _pattern(template).fullmatch(text)
        if match:
            return tr(template).format(*match.groups())
    return ""


@lru_cache(maxsize=512)
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(re.escape(part) for part in template.split("{}")), re.DOTALL)
