"""The pictures of the jobs as icons. They lie in Blender's own folder for temporary files, which goes when it ends.

Panels only look; :func:`sync` makes what is new and frees what nobody shows any more, between two drawings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import bpy.utils.previews

from ..job import Job
from ..job_monitor import JobMonitor
from ..job_state import ShownPicture

_previews: bpy.utils.previews.ImagePreviewCollection | None = None


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    """Frees all icons and deletes their files."""
    global _previews
    if _previews is None:
        return
    for name in list(_previews):
        _file(name).unlink(missing_ok=True)
    bpy.utils.previews.remove(_previews)
    _previews = None


def sync(monitor: JobMonitor) -> None:
    """Makes the icons those of the pictures that the jobs have now."""
    if _previews is None:
        return
    wanted = {_name(job, picture): picture for job in monitor.jobs.values() for picture in _pictures(job)}
    for name in [name for name in _previews if name not in wanted]:
        del _previews[name]
        _file(name).unlink(missing_ok=True)
    for name, picture in wanted.items():
        if name not in _previews:
            path = _file(name)
            path.write_bytes(picture.data)
            _previews.load(name, str(path), "IMAGE")


def icon_of(job: Job, picture: ShownPicture) -> int:
    """The icon's number, 0 while there is none."""
    preview = None if _previews is None else _previews.get(_name(job, picture))
    return 0 if preview is None else preview.icon_id


def count() -> int:
    """How many icons there are."""
    return 0 if _previews is None else len(_previews)


def _pictures(job: Job) -> Iterator[ShownPicture]:
    for _, picture in job.state.previews:
        yield picture
    for bundle in job.state.bundles:
        yield bundle.picture


def _name(job: Job, picture: ShownPicture) -> str:
    return f"{job.id}-{picture.key}"


def _file(name: str) -> Path:
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return Path(bpy.app.tempdir) / f"kiss3d-picture-{safe}"
