"""``kiss3d generate``: a picture, words, views or a mesh to a GLB, with the stages shown as they run."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from kiss3d_backend import __version__
from kiss3d_backend.commands.files import check_writable
from kiss3d_backend.commands.job_report import check_report_path, report_afterwards
from kiss3d_backend.commands.job_request import JobFiles, make_submit
from kiss3d_backend.commands.job_results import JobResult, WrittenMesh, write_bundles, write_meshes
from kiss3d_backend.commands.stage_display import StageDisplay
from kiss3d_backend.config import default_data_dir
from kiss3d_backend.devices.budget import read_budget
from kiss3d_backend.models.offers import check_offer
from kiss3d_backend.private_backend import PrivateBackend
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import (
    ConnectionLost,
    JobCancelled,
    Kiss3DError,
    ParamsInvalid,
    StageFailed,
    error_from_wire,
)
from kiss3d_protocol.messages import (
    BundlesReady,
    Failed,
    Finished,
    JobReport,
    MeshReady,
    Refused,
    Submit,
)
from kiss3d_protocol.messages import Cancelled as CancelledEvent
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.session import LinkChanged, LinkState

CONNECT_SECONDS = 10.0
LOST_SECONDS = 60.0
CANCEL_SECONDS = 5.0
CHECK_SECONDS = 0.5


@frozen
class GenerateOptions:
    """What the user asked for. ``pick``: the bundle to go on with, from 1, or None for all of them. ``connect``: a
    running backend, by its address or its name, or None for a private one, for which ``vram_budget`` is, in words."""

    files: JobFiles
    output: Path
    params: GenerateParams
    pick: int | None
    connect: str | None
    render: Path | None
    as_json: bool
    report: Path | None = None
    vram_budget: str | None = None


def run_generate(options: GenerateOptions) -> None:
    """Makes the mesh and writes it. Raises a :class:`Kiss3DError` for everything that can go wrong."""
    submit, blobs = make_submit(options.files, options.params)
    check_writable(options.output, ".glb")
    if options.render is not None:
        check_writable(options.render, ".png")
    if options.report is not None:
        check_report_path(options.report)
    if options.vram_budget is not None:
        read_budget(options.vram_budget)
        if options.connect is not None:
            raise ParamsInvalid(
                "A running backend has a budget of its own.", "Give --vram-budget to 'kiss3d serve' instead."
            )
    if options.connect is None:
        check_offer(submit.params, default_data_dir())
    with contextlib.ExitStack() as stack:
        display = stack.enter_context(StageDisplay(submit.name))
        if options.connect is None:
            display.note("Starting a private backend")
            private = stack.enter_context(PrivateBackend(vram_budget=options.vram_budget))
            address, check = private.address(), private.check
        else:
            address, check = options.connect, _no_check
        client = stack.enter_context(Client(address, f"cli/{__version__}"))
        client.connected(CONNECT_SECONDS)
        stack.enter_context(report_afterwards(client, submit.job, options.report))
        result = _follow(client, submit, blobs, options.pick, display, check)
    report = result.report
    if not result.finals or report is None:
        raise StageFailed("The backend finished the job without a mesh.")
    bundles = write_bundles(result, options.output)
    _tell(options, submit.job, write_meshes(result, options.output, options.render), bundles, report)


def _no_check() -> None:
    """Whether a backend that is not ours lives is seen by its heartbeats."""


def _follow(
    client: Client,
    submit: Submit,
    blobs: list[Blob],
    pick: int | None,
    display: StageDisplay,
    check: Callable[[], None],
) -> JobResult:
    client.submit(submit, blobs)

    def choose(ready: BundlesReady) -> None:
        if ready.waiting:
            client.choose(submit.job, range(len(ready.bundles)) if pick is None else [pick - 1])

    try:
        return _collect(client, display, check, choose)
    except KeyboardInterrupt:
        display.note("Cancelling")
        client.cancel(submit.job)
        with contextlib.suppress(Kiss3DError):
            _collect(client, display, check, lambda _: None, CANCEL_SECONDS, waiting_since=time.monotonic())
        raise


def _collect(
    client: Client,
    display: StageDisplay,
    check: Callable[[], None],
    choose: Callable[[BundlesReady], None],
    patience: float = LOST_SECONDS,
    waiting_since: float | None = None,
) -> JobResult:
    """Takes the job's events until it ends.

    ``patience``: seconds from ``waiting_since``, or from the loss of the connection, until the backend is given up.
    """
    result = JobResult()
    while True:
        news = client.wait(CHECK_SECONDS)
        if news is None:
            check()
            if waiting_since is not None and time.monotonic() - waiting_since > patience:
                raise ConnectionLost("The backend did not come back.")
            continue
        if isinstance(news, LinkChanged):
            if news.error is not None:
                raise news.error
            connected = news.state is LinkState.CONNECTED
            waiting_since = None if connected else time.monotonic()
            display.note("Connected" if connected else "The connection is lost; waiting for the backend")
            continue
        message = news.message
        display.show(message)
        match message:
            case BundlesReady():
                result.bundles, result.bundle_blobs = message, tuple(news.blobs)
                choose(message)
            case MeshReady(quality="final"):
                result.finals[message.bundle] = message, tuple(news.blobs)
            case Finished():
                result.report = message.report
                return result
            case Failed() | Refused():
                raise error_from_wire(message.code, message.message, message.remedy)
            case CancelledEvent():
                raise JobCancelled("The job was cancelled.")
            case _:
                pass


def _tell(
    options: GenerateOptions, job: str, meshes: list[WrittenMesh], bundles: list[Path], report: JobReport
) -> None:
    if not options.as_json:
        for mesh in meshes:
            print(f"{mesh.output}: {mesh.vertices:,} vertices, {mesh.triangles:,} triangles in {report.seconds:.1f} s")
            if mesh.render is not None:
                print(f"{mesh.render}: a picture of it")
        for path in bundles:
            print(f"{path}: a bundle")
        if options.report is not None:
            print(f"{options.report}: what ran")
        return
    outputs = [
        {
            "bundle": mesh.bundle,
            "output": str(mesh.output),
            "render": None if mesh.render is None else str(mesh.render),
            "vertices": mesh.vertices,
            "triangles": mesh.triangles,
        }
        for mesh in meshes
    ]
    summary = {
        "job": job,
        **{name: value for name, value in outputs[0].items() if name != "bundle"},
        "outputs": outputs,
        "bundles": [str(path) for path in bundles],
        "report": None if options.report is None else str(options.report),
        "recipe": report.recipe,
        "preset": report.preset,
        "seed": report.seed,
        "seconds": round(report.seconds, 3),
        "stages": [
            {"stage": stage.stage, "title": stage.title, "seconds": round(stage.seconds, 3)} for stage in report.stages
        ],
        "warnings": [{"code": note.code, "message": note.message, "remedy": note.remedy} for note in report.warnings],
        "versions": report.versions,
        "picture_sha256": report.picture_sha256,
    }
    print(json.dumps(summary))
