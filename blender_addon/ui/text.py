"""Sentences in a panel: wrapped to its width, errors with their remedy; times."""

import textwrap

from kiss3d_protocol.errors import Kiss3DError

from ..translations.errors import in_words

_PIXELS_PER_CHARACTER = 6.6
_ICON_AND_MARGINS = 56


def draw_text(layout, context, text, icon="NONE"):
    """Draws ``text``, which is in the user's language, in as many lines as the region needs.

    ``icon`` stands before the first.
    """
    scale = context.preferences.system.ui_scale
    width = (context.region.width / scale - _ICON_AND_MARGINS) / _PIXELS_PER_CHARACTER
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, line in enumerate(textwrap.wrap(text, max(int(width), 20)) or [""]):
        column.label(text=line, icon=icon if index == 0 or icon == "NONE" else "BLANK1", translate=False)


def draw_error(layout, context, error: Kiss3DError):
    """What went wrong, and below it what to do."""
    message, remedy = in_words(error)
    draw_text(layout, context, message, icon="ERROR")
    if remedy:
        draw_text(layout, context, remedy, icon="INFO")


def duration(seconds: float) -> str:
    """``4.2 s``, ``38 s``, ``2 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
