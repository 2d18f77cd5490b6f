"""Shows a report in the browser. It is a temporary file of Blender's, and goes when Blender ends."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import bpy

from kiss3d_protocol.errors import Kiss3DError, OutputUnwritable

from . import blender_session


def show(job: str, answer: bytes | Kiss3DError) -> None:
    """Opens the page of a job, or puts into the panel why there is none."""
    if isinstance(answer, Kiss3DError):
        blender_session.show(answer)
        return
    path = Path(bpy.app.tempdir) / f"kiss3d-report-{job[:8]}.html"
    try:
        path.write_bytes(answer)
    except OSError as error:
        blender_session.show(OutputUnwritable(f"'{path}' cannot be written ({error.strerror})."))
        return
    webbrowser.open(path.as_uri())
