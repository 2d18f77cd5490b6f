"""``generate``: one object to a .blend or a .glb."""

from __future__ import annotations

import json
import sys

from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.errors import StageFailed
from kiss3d_protocol.messages import new_job_id

from .. import blender_session
from ..capture.picture import picture_from_file
from ..importer.mesh_file import captured_from_file
from ..job import Job
from ..job_inputs import JobInputs
from ..translations.errors import told
from ..waiting import wait_until_settled
from . import outputs
from .backend import check_presets, connected
from .display import Display
from .options import GenerateOptions
from .runner import watcher


def run_generate(options: GenerateOptions) -> None:
    """Raises what stands in the way: a :class:`Kiss3DError`."""
    inputs = _take(options)
    wanted = options.output
    monitor = blender_session.monitor()
    # A .glb is the one file of a folder.
    place = wanted if wanted.is_one_blend else wanted.in_folder()
    output = outputs.begin(place, {})
    name = inputs.name if wanted.is_one_blend else wanted.path.stem
    output.lay_out([name])
    with Display(sys.stderr, told=told) as display:
        display.expect(1)
        connection = connected(options.connect, display)
        check_presets(connection, [options.params.preset])
        target = output.target(new_job_id(), name, inputs.name)
        target.pictures = inputs.pictures
        watch = watcher(display, target)
        job = monitor.submit(connection.target, inputs, options.params, target, watch, only_final=True)
        try:
            wait_until_settled(monitor, job)
        except BaseException:
            monitor.cancel(job)
            output.drop(target)
            raise
        triangles, seconds = output.keep(name, job).triangles, _seconds(job)
        output.save()
        display.ended(
            Entry(name=str(wanted.path), digest="", state="finished", job=job.id, seconds=seconds, triangles=triangles)
        )
    if options.as_json:
        answer = {"event": "finished", "job": job.id, "output": str(wanted.path), "triangles": triangles}
        print(json.dumps(answer | {"seconds": seconds}), flush=True)
    else:
        print(wanted.path, flush=True)


def _take(options: GenerateOptions) -> JobInputs:
    picture = None if options.picture is None else picture_from_file(options.picture)
    views = tuple(picture_from_file(view) for view in options.views)
    mesh = None if options.mesh is None else captured_from_file(options.mesh)
    return JobInputs.named_after_first(options.params.prompt, picture, mesh, views)


def _seconds(job: Job) -> float:
    if job.state.report is None:
        raise StageFailed("The backend finished the job without a report.")
    return round(job.state.report.seconds, 3)
