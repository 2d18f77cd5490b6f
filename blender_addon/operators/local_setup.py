"""Setting a local backend up, upgrading it and taking it away. Nothing is installed into Blender's Python."""

import time

import bpy

from kiss3d_protocol.installation import LOG

from .. import blender_session, preferences
from ..connection import LocalTarget
from ..importer.log_text import SETUP, write_log
from ..setup_process import BackendSetup, install_arguments, remove_arguments
from ..translations import tr
from ..translations.errors import told
from .attempt import attempt
from .text_editor import show_text

PAUSE_SECONDS = 0.05


def _hindrance(context) -> str:
    if blender_session.local_setup().view.running:
        return tr("A set-up is under way")
    if any(isinstance(job.backend, LocalTarget) and not job.settled for job in blender_session.monitor().jobs.values()):
        return tr("Wait until the jobs of the local backend have ended, or cancel them")
    return ""


def _start_backend():
    """Connected, the panel says which model files the preset lacks, and offers their download."""
    if not bpy.app.background:
        blender_session.monitor().connect(preferences.get(bpy.context).backend_target())


def _run(operator, context, arguments, removing):
    """Starts it; in background mode, where no timer runs, waits for its end too."""
    # A backend that runs keeps its files open, and would be of the old version afterwards.
    blender_session.monitor().disconnect(preferences.get(context).backend_target())
    setup = blender_session.local_setup()
    begun = attempt(operator, lambda: setup.run(BackendSetup(arguments, removing=removing), _start_backend))
    if begun != {"FINISHED"} or not bpy.app.background:
        return begun
    while setup.view.running:
        if not setup.poll():
            time.sleep(PAUSE_SECONDS)
    if setup.view.error is not None:
        operator.report({"WARNING"}, told(setup.view.error))
        return {"CANCELLED"}
    return {"FINISHED"}


class KISS3D_OT_set_up(bpy.types.Operator):
    """Install the backend with all it needs into a folder of its own. Blender's Python is left as it is"""

    bl_idname = "kiss3d.set_up"
    bl_label = "Set Up a Local Backend"

    @classmethod
    def poll(cls, context):
        hindrance = _hindrance(context)
        if not hindrance and not bpy.app.online_access:
            hindrance = tr("Turn on 'Allow Online Access' in Preferences > System first")
        if hindrance:
            cls.poll_message_set(hindrance)
        return not hindrance

    def execute(self, context):
        return _run(self, context, install_arguments(preferences.get(context).setup_folder()), removing=False)


class KISS3D_OT_cancel_set_up(bpy.types.Operator):
    """Stop the set-up. What is done is kept, and the next one goes on from there"""

    bl_idname = "kiss3d.cancel_set_up"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context):
        view = blender_session.local_setup().view
        return view.running and not view.stopping and not view.removing

    def execute(self, context):
        blender_session.local_setup().cancel()
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_remove_backend(bpy.types.Operator):
    """Delete the backend that was set up here. Your jobs, results and model files stay"""

    bl_idname = "kiss3d.remove_backend"
    bl_label = "Remove the Local Backend"

    @classmethod
    def poll(cls, context):
        hindrance = _hindrance(context)
        if not hindrance and preferences.get(context).installation() is None:
            hindrance = tr("No backend was set up here")
        if hindrance:
            cls.poll_message_set(hindrance)
        return not hindrance

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context):
        return _run(self, context, remove_arguments(preferences.get(context).setup_folder()), removing=True)


class KISS3D_OT_show_setup_log(bpy.types.Operator):
    """Show what the set-up has written to its log, in the Text Editor"""

    bl_idname = "kiss3d.show_setup_log"
    bl_label = "Show Log"

    @classmethod
    def poll(cls, context):
        return (preferences.get(context).setup_folder() / LOG).is_file()

    def execute(self, context):
        path = preferences.get(context).setup_folder() / LOG
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            self.report({"WARNING"}, str(error))
            return {"CANCELLED"}
        show_text(context, write_log(lines, SETUP))
        return {"FINISHED"}


CLASSES = (KISS3D_OT_set_up, KISS3D_OT_cancel_set_up, KISS3D_OT_remove_backend, KISS3D_OT_show_setup_log)
