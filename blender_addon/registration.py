"""Everything that Blender has to know about, put in and taken out in exactly the reverse order."""

from __future__ import annotations

import atexit

import bpy

from . import (
    blender_session,
    command_line,
    history,
    job_list,
    keymap,
    preferences,
    properties,
    result_settings,
    translations,
)
from .operators import again, bring_back, connection, generate, jobs, local_setup, models, variations
from .ui import connection_panel, history_panel, jobs_panel, main_panel, menus, models_panel, result_panel, thumbnails

CLASSES = (
    preferences.Kiss3DPreferences,
    result_settings.Kiss3DResultSettings,
    history.Kiss3DHistoryEntry,
    properties.Kiss3DSceneSettings,
    job_list.Kiss3DJobItem,
    *generate.CLASSES,
    *again.CLASSES,
    *bring_back.CLASSES,
    jobs.KISS3D_OT_cancel,
    jobs.KISS3D_OT_dismiss,
    jobs.KISS3D_OT_select,
    jobs.KISS3D_OT_show_report,
    jobs.KISS3D_OT_place_here,
    *variations.CLASSES,
    *models.CLASSES,
    *connection.CLASSES,
    *local_setup.CLASSES,
    main_panel.KISS3D_PT_main,
    result_panel.KISS3D_PT_result,
    history_panel.KISS3D_UL_history,
    models_panel.KISS3D_PT_models,
    jobs_panel.KISS3D_UL_jobs,
    jobs_panel.KISS3D_PT_jobs,
    history_panel.KISS3D_PT_history,
    connection_panel.KISS3D_PT_connection,
)

PARTS = (translations, properties, job_list, thumbnails, menus, keymap, command_line)
"""Modules with more to put in and take out than classes."""


_registered = False


def register() -> None:
    """Puts everything in. When a step fails, what was put in before is taken out again."""
    global _registered
    undo = []
    try:
        for cls in CLASSES:
            bpy.utils.register_class(cls)
            undo.append(lambda cls=cls: bpy.utils.unregister_class(cls))
        for part in PARTS:
            part.register()
            undo.append(part.unregister)
        blender_session.start()
    except BaseException:
        for step in reversed(undo):
            step()
        raise
    _registered = True
    # As a module, Blender is torn down after Python has begun to: what is still registered then crashes or hangs it.
    atexit.register(unregister)


def unregister() -> None:
    """Takes everything out, the local backend included. Blender asks for it again when it is torn down as a module."""
    global _registered
    if not _registered:
        return
    _registered = False
    atexit.unregister(unregister)
    blender_session.stop()
    for part in reversed(PARTS):
        part.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
