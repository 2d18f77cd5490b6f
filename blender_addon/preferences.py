"""The add-on's preferences: where the backend is. No secret is ever kept here."""

import os
import textwrap
from pathlib import Path

import bpy

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.installation import Installation, default_folder
from kiss3d_protocol.servers import address_of
from kiss3d_protocol.version import DEFAULT_ADDRESS

from . import blender_session
from .connection import AddressTarget, BackendTarget, Connection, LocalTarget
from .local_setup import installed
from .translations import tr
from .translations.errors import told

PYTHON_VARIABLE = "KISS3D_PYTHON"


def _changed(self, context):
    blender_session.monitor().disconnect_idle(but=self.backend_target())
    blender_session.redraw()


class Kiss3DPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    mode: bpy.props.EnumProperty(
        name="Backend",
        description="Where the program that makes the meshes runs",
        items=(
            ("LOCAL", "Local", "Blender starts the backend on this machine, and ends it when Blender ends"),
            ("ADDRESS", "Address", "A backend that was started with 'kiss3d serve' is used"),
        ),
        default="LOCAL",
        update=_changed,
    )
    python: bpy.props.StringProperty(
        name="Python",
        description=(
            "The Python executable (or the folder) of an environment in which you have installed kiss3d yourself. "
            "Empty: that of the environment variable KISS3D_PYTHON, or the backend that was set up from here"
        ),
        subtype="FILE_PATH",
        update=_changed,
    )
    folder: bpy.props.StringProperty(
        name="Set-up Folder",
        description=(
            "Where a local backend is set up: a folder of its own on a disk with 4 GB of room, with an NVIDIA card "
            "14 GB. Empty: a folder for the data of programs in your home"
        ),
        subtype="DIR_PATH",
        update=_changed,
    )
    use_vram_budget: bpy.props.BoolProperty(
        name="Limit VRAM (GB)",
        description=(
            "Say how much of the graphics card's memory the local backend may take. Else it takes what is free when it "
            "starts, less room for Blender"
        ),
        update=_changed,
    )
    vram_budget: bpy.props.FloatProperty(
        name="VRAM Budget (GB)",
        description=(
            "How many GB of the graphics card's memory the local backend may take, from its next start on. With less, "
            "jobs take longer, and presets that need more are not offered"
        ),
        min=2.0,
        soft_max=96.0,
        default=12.0,
        step=50,
        precision=1,
        update=_changed,
    )
    address: bpy.props.StringProperty(
        name="Address",
        description=(
            "The address that 'kiss3d serve' prints, as tcp://HOST:PORT, or the name of a backend that this computer "
            "was paired with"
        ),
        default=DEFAULT_ADDRESS,
        update=_changed,
    )

    def backend_target(self) -> BackendTarget:
        """The backend that is to be used."""
        if self.mode == "ADDRESS":
            return AddressTarget(self.address.strip())
        chosen = self.chosen_python()
        if not chosen and (found := self.installation()) is not None and found.usable:
            chosen = str(found.python)
        return LocalTarget(chosen, round(self.vram_budget, 1) if self.use_vram_budget else None)

    def chosen_python(self) -> str:
        """The Python of an environment that a person has made, "" when the set-up is to make one."""
        return bpy.path.abspath(self.python) if self.python else os.environ.get(PYTHON_VARIABLE, "")

    def setup_folder(self) -> Path:
        """Where a local backend is set up."""
        return Path(bpy.path.abspath(self.folder)) if self.folder else default_folder()

    def installation(self) -> Installation | None:
        """The backend that was set up from here, finished or not."""
        return installed(self.setup_folder())

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.row().prop(self, "mode", expand=True)
        if self.mode == "ADDRESS":
            layout.prop(self, "address")
            layout.operator("kiss3d.pair", icon="PASTEDOWN")
            self._draw_address_help(layout)
        else:
            layout.prop(self, "python")
            self._draw_python_help(layout)
            limit = layout.row(heading="Limit VRAM (GB)")
            limit.prop(self, "use_vram_budget", text="")
            amount = limit.row()
            amount.active = self.use_vram_budget
            amount.prop(self, "vram_budget", text="")

    def _draw_address_help(self, layout):
        try:
            address = address_of(self.address.strip())
        except Kiss3DError as error:
            _lines(layout, told(error), icon="ERROR")
            return
        if not address.is_loopback and not bpy.app.online_access:
            sentence = tr(
                "Blender is not allowed to use the network. Turn on 'Allow Online Access' in Preferences > System."
            )
            _lines(layout, sentence, icon="ERROR")

    def _draw_python_help(self, layout):
        if self.python:
            return
        from_variable = os.environ.get(PYTHON_VARIABLE)
        if from_variable:
            _lines(layout, tr("KISS3D_PYTHON is used: {path}", path=from_variable), icon="INFO")
            return
        layout.prop(self, "folder")
        found = self.installation()
        if found is None or not found.usable:
            layout.operator("kiss3d.set_up", icon="IMPORT")
            return
        _lines(layout, tr("The backend in that folder is version {version}.", version=found.version), icon="INFO")
        layout.operator("kiss3d.remove_backend", icon="TRASH")


def _lines(layout, text, icon):
    column = layout.column(align=True)
    for index, line in enumerate(textwrap.wrap(text, 80)):
        column.label(text=line, icon=icon if index == 0 else "BLANK1", translate=False)


def get(context) -> Kiss3DPreferences:
    """The preferences of this add-on."""
    return context.preferences.addons[__package__].preferences


def backend(context, address: str | None = None) -> BackendTarget:
    """The one at ``address``, or with that name; None for the one that is chosen."""
    return get(context).backend_target() if address is None else AddressTarget(address)


def connection(context) -> Connection | None:
    """The connection to the backend that is chosen, None when there is none."""
    return blender_session.monitor().connections.get(get(context).backend_target())
