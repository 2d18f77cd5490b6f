"""``generate``: one object, or one of each bundle, to a .blend or to .glb files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from attrs import asdict, frozen

from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.errors import StageFailed
from kiss3d_protocol.messages import new_job_id

from .. import blender_session
from ..capture.picture import picture_from_file
from ..importer.kept import Kept
from ..importer.mesh_file import captured_from_file
from ..job import Job
from ..job_inputs import JobInputs
from ..job_monitor import JobMonitor
from ..translations.errors import told
from ..waiting import wait_until_settled
from . import outputs
from .backend import check_presets, connected
from .display import Display
from .options import GenerateOptions
from .runner import Output, watcher


@frozen
class _Made:
    """As ``--json`` tells it; ``seconds`` of the job."""

    job: str
    output: str
    triangles: int
    seconds: float


def run_generate(options: GenerateOptions) -> None:
    """Raises what stands in the way: a :class:`Kiss3DError`. What was made by then is kept."""
    inputs = _take(options)
    wanted = options.output
    monitor = blender_session.monitor()
    # A .glb is one of the files of a folder.
    output = outputs.begin(wanted if wanted.is_one_blend else wanted.in_folder(), {})
    names = _numbered(inputs.name if wanted.is_one_blend else wanted.path.stem, len(options.params))
    titles = _numbered(inputs.name, len(options.params))
    output.lay_out(names)
    made: list[_Made] = []
    with Display(sys.stderr, told=told) as display:
        display.expect(len(names))
        connection = connected(options.connect, display)
        check_presets(connection, [params.preset for params in options.params])
        try:
            for name, title, params in zip(names, titles, options.params, strict=True):
                target = output.target(new_job_id(), name, title)
                target.pictures = inputs.pictures
                watch = watcher(display, target)
                job = monitor.submit(
                    *(connection.target, inputs, params, target, watch), only_final=True, pick=options.pick
                )
                _wait(monitor, job, output)
                one = _made(job, output.keep(name, job), wanted.path.parent)
                made.append(one)
                display.ended(_entry(one))
        finally:
            if made:
                output.save()
    _tell(made, as_json=options.as_json)


def _entry(one: _Made) -> Entry:
    return Entry(
        name=one.output, digest="", state="finished", job=one.job, seconds=one.seconds, triangles=one.triangles
    )


def _wait(monitor: JobMonitor, job: Job, output: Output) -> None:
    try:
        wait_until_settled(monitor, job)
    except BaseException:
        monitor.cancel(job)
        output.drop(job.target)
        raise


def _made(job: Job, kept: Kept, folder: Path) -> _Made:
    if job.state.report is None:
        raise StageFailed("The backend finished the job without a report.")
    return _Made(job.id, str(folder / kept.output), kept.triangles, round(job.state.report.seconds, 3))


def _take(options: GenerateOptions) -> JobInputs:
    picture = None if options.picture is None else picture_from_file(options.picture)
    views = tuple(picture_from_file(view) for view in options.views)
    mesh = None if options.mesh is None else captured_from_file(options.mesh)
    return JobInputs.named_after_first(options.params[0].prompt, picture, mesh, views)


def _numbered(name: str, count: int) -> list[str]:
    """The name of each of so many objects, as ``kiss3d generate`` calls its files."""
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _tell(made: list[_Made], *, as_json: bool) -> None:
    if as_json:
        each = [asdict(one) for one in made]
        print(json.dumps({"event": "finished", **each[0], "outputs": each}), flush=True)
    else:
        for path in dict.fromkeys(Path(one.output) for one in made):
            print(path, flush=True)
