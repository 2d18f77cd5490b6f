"""``kiss3d generate``: a picture to a GLB, with the stages shown as they run."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, frozen

from kiss3d_backend import __version__
from kiss3d_backend.commands.files import check_writable, read_picture_file, write_atomically
from kiss3d_backend.commands.stage_display import StageDisplay
from kiss3d_backend.config import default_data_dir
from kiss3d_backend.models.offers import check_preset
from kiss3d_backend.private_backend import PrivateBackend
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import (
    ConnectionLost,
    JobCancelled,
    Kiss3DError,
    StageFailed,
    error_from_wire,
)
from kiss3d_protocol.messages import (
    MAX_NAME,
    Failed,
    Finished,
    JobReport,
    MeshReady,
    Refused,
    Submit,
    new_job_id,
)
from kiss3d_protocol.messages import Cancelled as CancelledEvent
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, BlobWriter
from kiss3d_protocol.session import LinkChanged, LinkState

CONNECT_SECONDS = 10.0
LOST_SECONDS = 60.0
CANCEL_SECONDS = 5.0
CHECK_SECONDS = 0.5

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}


@frozen
class GenerateOptions:
    """What the user asked for. ``connect``: a running backend, or None for a private one."""

    picture: Path
    output: Path
    params: GenerateParams
    connect: str | None
    render: Path | None
    as_json: bool


@define
class _Result:
    """What has come of the job so far."""

    mesh: MeshReady | None = None
    blobs: tuple[Blob, ...] = ()
    report: JobReport | None = None


def run_generate(options: GenerateOptions) -> None:
    """Makes the mesh and writes it. Raises a :class:`Kiss3DError` for everything that can go wrong."""
    data = read_picture_file(options.picture)
    from kiss3d_backend.intake.picture import inspect_picture

    info = inspect_picture(data)
    check_writable(options.output, ".glb")
    if options.render is not None:
        check_writable(options.render, ".png")
    if options.connect is None:
        check_preset(options.params.preset, default_data_dir())
    writer = BlobWriter()
    image = writer.image(data, MEDIA_TYPES[info.format], info.width, info.height)
    submit = Submit(new_job_id(), options.picture.name[:MAX_NAME], options.params, image)
    with contextlib.ExitStack() as stack:
        display = stack.enter_context(StageDisplay(options.picture.name))
        if options.connect is None:
            display.note("Starting a private backend")
            private = stack.enter_context(PrivateBackend())
            address, check = private.address(), private.check
        else:
            address, check = str(parse_address(options.connect)), _no_check
        client = stack.enter_context(Client(address, f"cli/{__version__}"))
        client.connected(CONNECT_SECONDS)
        result = _follow(client, submit, writer.blobs, display, check)
    mesh, report = result.mesh, result.report
    if mesh is None or report is None:
        raise StageFailed("The backend finished the job without a mesh.")
    _write_outputs(options, mesh, result.blobs)
    _tell(options, submit.job, mesh, report)


def _no_check() -> None:
    """Whether a backend that is not ours lives is seen by its heartbeats."""


def _follow(
    client: Client, submit: Submit, blobs: list[Blob], display: StageDisplay, check: Callable[[], None]
) -> _Result:
    client.submit(submit, blobs)
    try:
        return _collect(client, display, check)
    except KeyboardInterrupt:
        display.note("Cancelling")
        client.cancel(submit.job)
        with contextlib.suppress(Kiss3DError):
            _collect(client, display, check, CANCEL_SECONDS, waiting_since=time.monotonic())
        raise


def _collect(
    client: Client,
    display: StageDisplay,
    check: Callable[[], None],
    patience: float = LOST_SECONDS,
    waiting_since: float | None = None,
) -> _Result:
    """Takes the job's events until it ends.

    ``patience``: seconds from ``waiting_since``, or from the loss of the connection, until the backend is given up.
    """
    result = _Result()
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
            case MeshReady():
                result.mesh, result.blobs = message, tuple(news.blobs)
            case Finished():
                result.report = message.report
                return result
            case Failed() | Refused():
                raise error_from_wire(message.code, message.message, message.remedy)
            case CancelledEvent():
                raise JobCancelled("The job was cancelled.")
            case _:
                pass


def _write_outputs(options: GenerateOptions, ready: MeshReady, blobs: tuple[Blob, ...]) -> None:
    from kiss3d_backend.mesh.glb import write_glb
    from kiss3d_backend.mesh.payload import encoded_picture, read_mesh

    mesh = read_mesh(ready.mesh, blobs)
    texture = encoded_picture(ready.mesh.texture, blobs)
    normal_map = encoded_picture(ready.mesh.normal_map, blobs)
    write_atomically(options.output, lambda: write_glb(mesh, texture, normal_map))
    if options.render is not None:
        from kiss3d_backend.commands.contact_sheet import contact_sheet_png

        write_atomically(options.render, lambda: contact_sheet_png(mesh, texture))


def _tell(options: GenerateOptions, job: str, ready: MeshReady, report: JobReport) -> None:
    vertices, triangles = ready.mesh.positions.shape[0], ready.mesh.triangles.shape[0]
    if not options.as_json:
        print(f"{options.output}: {vertices:,} vertices, {triangles:,} triangles in {report.seconds:.1f} s")
        if options.render is not None:
            print(f"{options.render}: a picture of it")
        return
    summary = {
        "job": job,
        "output": str(options.output),
        "render": None if options.render is None else str(options.render),
        "preset": report.preset,
        "seed": report.seed,
        "seconds": round(report.seconds, 3),
        "vertices": vertices,
        "triangles": triangles,
        "stages": [
            {"stage": stage.stage, "title": stage.title, "seconds": round(stage.seconds, 3)} for stage in report.stages
        ],
        "warnings": [{"code": note.code, "message": note.message, "remedy": note.remedy} for note in report.warnings],
        "versions": report.versions,
        "picture_sha256": report.picture_sha256,
    }
    print(json.dumps(summary))
