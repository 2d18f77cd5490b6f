"""For scripts: pictures, words, meshes or views to objects in the scene.

::

    from bl_ext.user_default.kiss3d import api

    chair = api.generate("chair.png", preset="draft", seed=1, size=0.9)
    lamp = api.generate(prompt="a brass desk lamp", preset="fast")
    finer = api.generate(mesh=chair, prompt="a carved oak chair", preset="fast")
    bust = api.generate(views="bundle.png", faces=20_000, texture_size=2048)
    cup = api.generate(prompt="a tin cup", preset="fast", bundles=4, pick=2)
    api.generate(mesh=chair, place="IN_PLACE", options=api.ResultOptions(lods=3, asset=True, tags=("chair",)))

Several at once::

    jobs = [api.submit(path) for path in pictures]
    objects = [job.wait() for job in jobs]
    api.shutdown()

Whole folders, as with ``blender --command kiss3d``::

    code = api.command(["batch", "pictures", "-o", "props.blend", "--asset"])

Call it from Blender's main thread. Errors are those of ``kiss3d_protocol.errors``: each has a ``code``, a
``message`` and a ``remedy``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import bpy

from kiss3d_protocol.errors import ConnectionLost, JobNotWaiting, JobUnknown, ParamsInvalid
from kiss3d_protocol.messages import new_job_id
from kiss3d_protocol.params import DEFAULT_PRESET

from . import blender_session, preferences
from .capture.datablock import picture_from_image
from .capture.mesh import mesh_from_object
from .capture.picture import Picture, picture_from_bytes, picture_from_file
from .commands.run import run
from .importer.result_options import ResultOptions
from .importer.target import Target
from .job import Job
from .job_inputs import JobInputs, among_bundles, check_pick, make_params
from .job_state import JobState
from .waiting import wait_until_settled

Place = Literal["SCENE", "BESIDE", "IN_PLACE"]
PictureSource = str | os.PathLike[str] | bytes | bpy.types.Image

__all__ = ["JobHandle", "JobState", "ResultOptions", "command", "generate", "shutdown", "submit"]


class JobHandle:
    """A job that was submitted."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def id(self) -> str:
        """The job's UUID, also kept in the recipe of its object."""
        return self._job.id

    @property
    def state(self) -> JobState:
        """How the job stands now. Also takes in what came, so a loop may look at it."""
        if not self._job.settled:
            blender_session.monitor().poll()
        return self._job.state

    @property
    def object(self) -> bpy.types.Object | None:
        """The object in the scene: coarse while the job runs, None before there is a mesh or when it is gone."""
        return self._job.target.object()

    def choose(self, number: int) -> None:
        """Lets the job go on with one of ``state.bundles``, from 1. Raises :class:`JobNotWaiting` unless
        ``state.choosing``, and :class:`ParamsInvalid` when there is no such bundle."""
        if not self.state.choosing:
            raise JobNotWaiting(f"The job '{self.state.name}' does not wait for a choice.")
        check_pick(number, len(self.state.bundles))
        if not blender_session.monitor().choose(self._job, number - 1):
            raise ConnectionLost("The connection to the backend was lost.")
        blender_session.wake()

    def cancel(self) -> None:
        """Asks for the end of the job. What it has put into the scene is taken out again."""
        blender_session.monitor().cancel(self._job)

    def wait(self, timeout: float | None = None) -> bpy.types.Object:
        """The finished object. Raises what :func:`generate` raises."""
        wait_until_settled(blender_session.monitor(), self._job, timeout)
        result = self._job.target.object()
        if result is None:
            raise JobUnknown(f"The object of '{self._job.state.name}' is not in the scene any more.")
        return result


def generate(
    picture: PictureSource | None = None,
    preset: str = DEFAULT_PRESET,
    seed: int = 0,
    size: float = 2.0,
    location: Sequence[float] | None = None,
    on_progress: Callable[[JobState], None] | None = None,
    timeout: float | None = None,
    backend: str | None = None,
    *,
    prompt: str = "",
    mesh: bpy.types.Object | None = None,
    views: PictureSource | Sequence[PictureSource] | None = None,
    faces: int | None = None,
    texture_size: int | None = None,
    bundles: int = 1,
    pick: int | None = None,
    bundle_seed: int | None = None,
    write_prompt: bool = False,
    redraw: bool = True,
    place: Place = "SCENE",
    options: ResultOptions | None = None,
) -> bpy.types.Object:
    """Makes an object from a picture, a prompt, a mesh or views, and waits for it.

    ``picture``: a path, the bytes of a picture file, or an image of the .blend. ``prompt``: what the object is, in
    words, by itself or with a picture or a mesh. ``mesh``: a mesh object of the view layer, taken as it is seen, which
    stays as it is. ``views``: a finished bundle picture, or four pictures: the object from the front and then going
    round by 90 degrees each; a ``mesh`` with them is the coarse one to start from.

    ``seed`` and ``bundle_seed``: 0 to 2³²-1; another ``bundle_seed`` draws another bundle of the same imagined views.
    ``bundles``: how many are drawn to choose from, 1 to 8, with seeds that follow one another; ``pick``: the number of
    the one that the object is made of, from 1. To look at them first, see :func:`submit`.
    ``write_prompt``: let the backend's chat model rewrite the prompt, or the caption where there is none.
    ``redraw``: draw a bundle that does not look right once more, with another seed.
    ``faces``: triangles of the result, 100 to 1,000,000; ``texture_size``: 1024, 2048 or 4096 pixels; None leaves them
    to the preset. ``size``: length of the longest side in scene units. ``location``: where the middle of the base
    stands, default the 3D cursor. ``options``: levels of detail, asset, tags; see :class:`ResultOptions`.
    ``place``, for a result made of a ``mesh``: "SCENE" for an upright object at ``location``; "BESIDE" for one to the
    right of the ``mesh``, turned and scaled as it is; "IN_PLACE" to give it the new mesh when that is finished. The
    latter two take their size from it.

    ``on_progress`` gets every new :class:`JobState` (``fraction``, ``eta_seconds``, ``stages``, ``warnings``).
    ``backend``: the address of a running backend, default what the preferences say.

    Raises a :class:`Kiss3DError`: PictureError, MeshError, ParamsError, ConnectionFailed, BackendError or JobError.
    Raises TimeoutError after ``timeout`` seconds; the job is cancelled then.
    """
    if bundles > 1 and pick is None:
        raise ParamsInvalid(f"There are {bundles} bundles, and no one picks one.", "Say which with 'pick'.")
    job = submit(
        picture,
        preset,
        seed,
        size,
        location,
        on_progress,
        backend,
        prompt=prompt,
        mesh=mesh,
        views=views,
        faces=faces,
        texture_size=texture_size,
        bundles=bundles,
        pick=pick,
        bundle_seed=bundle_seed,
        write_prompt=write_prompt,
        redraw=redraw,
        place=place,
        options=options,
    )
    return job.wait(timeout)


def submit(
    picture: PictureSource | None = None,
    preset: str = DEFAULT_PRESET,
    seed: int = 0,
    size: float = 2.0,
    location: Sequence[float] | None = None,
    on_progress: Callable[[JobState], None] | None = None,
    backend: str | None = None,
    *,
    prompt: str = "",
    mesh: bpy.types.Object | None = None,
    views: PictureSource | Sequence[PictureSource] | None = None,
    faces: int | None = None,
    texture_size: int | None = None,
    bundles: int = 1,
    pick: int | None = None,
    bundle_seed: int | None = None,
    write_prompt: bool = False,
    redraw: bool = True,
    place: Place = "SCENE",
    options: ResultOptions | None = None,
) -> JobHandle:
    """As :func:`generate`, but returns at once. The backend does one job after the other.

    With several ``bundles`` and no ``pick``, the job waits for :meth:`JobHandle.choose` when it has drawn them.
    """
    context = bpy.context
    params = make_params(preset, seed, prompt, faces, texture_size, bundle_seed, write_prompt, redraw)
    params = among_bundles(params, bundles)
    if pick is not None:
        check_pick(pick, bundles)
    if not 0 < size < math.inf:
        raise ParamsInvalid(f"The size {size} is not a length greater than 0.")
    inputs = _take(picture, mesh, views, prompt)
    if place == "SCENE":
        where = None if location is None else (float(location[0]), float(location[1]), float(location[2]))
        target = Target.in_scene(new_job_id(), inputs.name, size, context.scene, context.collection, where)
    elif mesh is None or inputs.mesh is None:
        raise ParamsInvalid(f"There is no mesh that the result could be put {place}.", "Give a mesh with it.")
    else:
        target = Target.at_object(new_job_id(), mesh, inputs.mesh, context.scene, in_place=place == "IN_PLACE")
    target.options, target.pictures = options or ResultOptions(), inputs.pictures
    job = blender_session.monitor().submit(
        *(preferences.backend(context, backend), inputs, params, target, on_progress),
        pick=None if pick is None else pick - 1,
    )
    blender_session.wake()
    return JobHandle(job)


def command(arguments: Sequence[str | os.PathLike[str]]) -> int:
    """Runs ``generate``, ``batch`` or ``import`` as ``blender --command kiss3d`` does, and returns the exit code.

    For background mode: the file that is open is replaced. See docs/scripting.md, or ``["batch", "--help"]``.
    """
    return run([os.fspath(argument) for argument in arguments])


def shutdown() -> None:
    """Ends all connections, and the local backend with its jobs; the next job starts them again.

    What other backends are doing goes on.
    """
    blender_session.stop()
    blender_session.start()


def _take(
    picture: PictureSource | None,
    mesh: bpy.types.Object | None,
    views: PictureSource | Sequence[PictureSource] | None,
    prompt: str,
) -> JobInputs:
    if views is None:
        views = ()
    elif isinstance(views, str | os.PathLike | bytes | bpy.types.Image):
        views = (views,)
    taken = None if picture is None else _picture(picture)
    taken_views = tuple(_picture(view) for view in views)
    captured = None if mesh is None else mesh_from_object(mesh)
    return JobInputs.named_after_first(prompt, taken, captured, taken_views)


def _picture(picture: PictureSource) -> Picture:
    if isinstance(picture, bpy.types.Image):
        return picture_from_image(picture)
    if isinstance(picture, bytes):
        return picture_from_bytes(picture, "Picture")
    return picture_from_file(Path(bpy.path.abspath(os.fspath(picture))))
