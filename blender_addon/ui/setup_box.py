"""The part of the connection's panel about a local backend that is not there yet, is being set up, or is old."""

from .. import blender_session, preferences
from ..operators.local_setup import KISS3D_OT_cancel_set_up, KISS3D_OT_set_up, KISS3D_OT_show_setup_log
from ..setup_view import is_other_version, standing_of, version_of_server
from ..translations import tr
from .text import draw_error, draw_text


def draw_setup(layout, context) -> bool:
    """Draws what there is to say about the local backend; True when there is none that could be started."""
    view = blender_session.local_setup().view
    if view.running:
        _draw_progress(layout, view)
        return True
    chosen = preferences.get(context)
    if chosen.chosen_python():
        return False
    if view.error is not None:
        draw_error(layout, context, view.error)
    for note in view.notes:
        draw_text(layout, context, note, icon="INFO")
    standing = standing_of(chosen.installation(), blender_session.VERSION)
    match standing.offer:
        case "SET_UP":
            sentence = tr("There is no backend on this computer yet, or none that was set up from here.")
            text = "Set Up a Local Backend"
        case "CONTINUE":
            sentence = tr("The set-up was interrupted. It goes on where it stopped.")
            text = "Continue"
        case "UPGRADE":
            sentence = tr(
                "The local backend is version {backend}, this extension is {own}. Jobs and models are kept.",
                backend=standing.version,
                own=blender_session.VERSION,
            )
            text = "Upgrade"
        case _:
            return False
    draw_text(layout, context, sentence, icon="INFO")
    row = layout.row(align=True)
    row.operator(KISS3D_OT_set_up.bl_idname, text=text, icon="IMPORT")
    row.operator(KISS3D_OT_show_setup_log.bl_idname, text="", icon="TEXT")
    return standing.offer != "UPGRADE"


def draw_other_version(layout, context, server: str):
    """Says when the connected backend is of another version than this extension, and no upgrade is offered above."""
    chosen = preferences.get(context)
    own = chosen.mode == "LOCAL" and not chosen.chosen_python()
    if own and standing_of(chosen.installation(), blender_session.VERSION).offer == "UPGRADE":
        return
    if is_other_version(server, blender_session.VERSION):
        sentence = tr(
            "This backend is version {backend}, the extension is {own}. Upgrade the older one.",
            backend=version_of_server(server),
            own=blender_session.VERSION,
        )
        draw_text(layout, context, sentence, icon="INFO")


def _draw_progress(layout, view):
    if view.removing:
        layout.label(text="Removing the local backend", icon="SORTTIME")
        return
    title = tr("Stopping the set-up") if view.stopping else _title(view.step)
    layout.progress(factor=view.fraction, text=f"{title}, {view.fraction:.0%}", translate=False)
    if view.detail:
        layout.label(text=view.detail, translate=False)
    row = layout.row(align=True)
    row.operator(KISS3D_OT_cancel_set_up.bl_idname, icon="X")
    row.operator(KISS3D_OT_show_setup_log.bl_idname, text="", icon="TEXT")


def _title(step: str) -> str:
    match step:
        case "environment":
            return tr("Making the environment")
        case "torch":
            return tr("Installing torch")
        case "packages":
            return tr("Installing the backend")
        case "check":
            return tr("Checking")
        case _:
            return tr("Starting")
