"""What operators do with an error: it is shown where the click was, with its remedy."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from kiss3d_protocol.errors import Kiss3DError

from .. import blender_session
from ..translations.errors import told


def attempt(operator: bpy.types.Operator, act: Callable[[], object], *, report: str = "WARNING") -> set[str]:
    """What an operator returns that does no more than ``act``. An error takes the place of the panel's notice, and is
    reported as ``report``; where all went well the notice goes, and the timer runs."""
    try:
        act()
    except Kiss3DError as error:
        blender_session.show(error)
        operator.report({report}, told(error))
        return {"CANCELLED"}
    blender_session.show(None)
    blender_session.wake()
    return {"FINISHED"}


def report_for_callers() -> str:
    """In a window the panel shows an error; without one the caller must get an exception, which "ERROR" makes."""
    return "ERROR" if bpy.app.background else "WARNING"
