"""From what was given to jobs: the way that all operators that make something go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bpy
from attrs import evolve, frozen

from kiss3d_protocol.messages import new_job_id
from kiss3d_protocol.params import GenerateParams

from .. import blender_session, preferences
from ..importer.target import Target
from ..job_inputs import JobInputs, make_params
from ..translations import tr
from ..translations.errors import in_language
from ..waiting import wait_until_settled
from .attempt import attempt, report_for_callers


@frozen
class Request:
    """A job that is to be made, with all that it needs: what happens to the scene later is no matter."""

    inputs: JobInputs
    params: GenerateParams
    target: Target


def preset_hindrance(context: bpy.types.Context) -> str:
    """Why the chosen preset cannot be used, empty when it can or when nobody knows yet."""
    preset = context.scene.kiss3d.preset
    connection = preferences.connection(context)
    offer = connection.view.offer(preset) if connection is not None else None
    if offer is None or offer.offered:
        return ""
    return tr("The backend cannot run this preset: {reason}", reason=in_language(offer.reason))


def chosen_params(context: bpy.types.Context, prompt: str) -> GenerateParams:
    """The settings that the panel shows, with ``prompt``. Raises :class:`ParamsInvalid`."""
    settings = context.scene.kiss3d
    result = settings.result
    return make_params(
        settings.preset, settings.seed, prompt, faces=result.chosen_faces, texture_size=result.chosen_texture_size
    )


def request(context: bpy.types.Context, inputs: JobInputs, params: GenerateParams, size: float) -> Request:
    """A job whose result comes where the panel says."""
    place = chosen_place(context)
    target = Target.in_scene(new_job_id(), inputs.name, size, context.scene, context.collection, place)
    return _complete(context, inputs, params, target)


def request_at(
    context: bpy.types.Context, source: bpy.types.Object, inputs: JobInputs, params: GenerateParams, *, in_place: bool
) -> Request:
    """A job whose result comes beside ``source`` or in its place. Raises :class:`ParamsInvalid`."""
    assert inputs.mesh is not None
    target = Target.at_object(new_job_id(), source, inputs.mesh, context.scene, in_place=in_place)
    return _complete(context, inputs, params, target)


def submit(operator: bpy.types.Operator, context: bpy.types.Context, make: Callable[[], Sequence[Request]]) -> set[str]:
    """Makes the jobs and returns; in background mode, where timers never fire, it waits for their results.

    Nothing is sent when one of them cannot be made. Errors are shown in the panel, where the click was.
    """
    monitor = blender_session.monitor()

    def act() -> None:
        backend = preferences.get(context).backend_target()
        # One that was chosen before, and was busy then, may still hold the graphics card's memory.
        monitor.disconnect_idle(but=backend)
        jobs = [monitor.submit(backend, one.inputs, one.params, one.target) for one in make()]
        if bpy.app.background:
            for job in jobs:
                wait_until_settled(monitor, job)

    return attempt(operator, act, report=report_for_callers())


def _complete(context, inputs: JobInputs, params: GenerateParams, target: Target) -> Request:
    target.options = context.scene.kiss3d.result.options()
    target.pictures = inputs.pictures
    bundles = context.scene.kiss3d.bundles
    if bundles > 1 and params.preset != "draft" and not inputs.views:
        # Neither the draft preset nor finished views have bundles that are drawn.
        params = evolve(params, bundles=bundles, choose=True)
    return Request(inputs, params, target)


def chosen_place(context: bpy.types.Context) -> tuple[float, float, float] | None:
    """Where the panel wants results to stand: what the viewport turns around, or None for the 3D cursor."""
    space = context.space_data
    if context.scene.kiss3d.result.place != "VIEW" or space is None or space.type != "VIEW_3D":
        return None
    return tuple(space.region_3d.view_location)
