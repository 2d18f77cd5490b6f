"""A batch: rows go to a backend, a few at a time, and what comes of them into a folder and its manifest."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from pathlib import Path
from typing import cast

from attrs import define, evolve, field, frozen

from kiss3d_backend import __version__
from kiss3d_backend.commands.batch.display import BatchDisplay
from kiss3d_backend.commands.batch.sheet import SHEET, write_sheet
from kiss3d_backend.commands.job_request import JobFiles, make_submit
from kiss3d_backend.commands.job_results import JobResult, write_meshes
from kiss3d_backend.config import default_data_dir
from kiss3d_backend.models.offers import check_offer
from kiss3d_backend.private_backend import PrivateBackend
from kiss3d_protocol.batch.manifest import MANIFEST, Entry, Manifest
from kiss3d_protocol.batch.rows import Row, read_rows
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import (
    BatchIncomplete,
    BatchInvalid,
    ConnectionLost,
    JobCancelled,
    Kiss3DError,
    OutputUnwritable,
    QueueFull,
    StageFailed,
    TooManyJobs,
    error_from_wire,
)
from kiss3d_protocol.messages import Cancelled, Event, Failed, Finished, MeshReady, Refused
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.session import LinkChanged, LinkState, Received

CONNECT_SECONDS = 10.0
LOST_SECONDS = 600.0
"""A batch runs over night: a network may be away for a while."""
CANCEL_SECONDS = 5.0
CHECK_SECONDS = 0.5
FULL_SECONDS = 2.0
"""Until a row is offered again to a backend whose queue was full."""


@frozen
class BatchOptions:
    """What the user asked for. ``jobs``: how many may be with the backend at once. ``params``: what counts where a row
    says nothing of its own."""

    source: Path
    output: Path
    params: GenerateParams
    recursive: bool
    jobs: int
    resume: bool
    retry_failed: bool
    fail_fast: bool
    connect: str | None
    as_json: bool


@define
class _Running:
    """A row that is with the backend. ``mine``: its job was named by this run, not by one before."""

    row: Row
    digest: str
    mine: bool
    result: JobResult = field(factory=JobResult)


def run_batch(options: BatchOptions) -> None:
    """Makes what is missing. Raises :class:`BatchIncomplete` when some rows have no result, with ``fail_fast`` the
    first one's own error, and :class:`BatchInvalid` before anything is made."""
    rows = read_rows(options.source, options.params, recursive=options.recursive)
    _check_offers(rows, options)
    _make_folder(options.output)
    with contextlib.ExitStack() as stack:
        manifest = stack.enter_context(Manifest(options.output / MANIFEST))
        if manifest.entries and not options.resume:
            raise BatchInvalid(
                f"'{options.output}' has a batch already.", "Add --resume to go on with it, or choose another folder."
            )
        todo = deque(row for row in rows if not _is_done(row, manifest, options))
        display = stack.enter_context(BatchDisplay(len(rows), len(rows) - len(todo)))
        try:
            if todo:
                _Batch(options, manifest, todo, display).run()
        finally:
            write_sheet(options.output, [manifest.entries[row.name] for row in rows if row.name in manifest.entries])
    _conclude(options, rows, manifest)


def _check_offers(rows: tuple[Row, ...], options: BatchOptions) -> None:
    """A preset that cannot run is named now, not in the middle of the night."""
    if options.connect is None:
        wanted = {(row.params.preset, row.picture is not None): row for row in rows}
        for row in wanted.values():
            recipe = JobFiles(row.picture).recipe()
            check_offer(evolve(row.params, recipe=recipe), default_data_dir())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(f"The folder '{folder}' cannot be made ({error.strerror}).") from error


def _is_done(row: Row, manifest: Manifest, options: BatchOptions) -> bool:
    entry = manifest.entries.get(row.name)
    if entry is None or entry.digest != row.digest():
        return False
    if entry.state == "finished":
        return (options.output / entry.output).is_file()
    return entry.state == "failed" and not options.retry_failed


class _Batch:
    """The rows of one run of the command, over one connection."""

    def __init__(
        self,
        options: BatchOptions,
        manifest: Manifest,
        todo: deque[Row],
        display: BatchDisplay,
    ) -> None:
        self._options, self._manifest = options, manifest
        self._todo, self._display = todo, display
        self._running: dict[str, _Running] = {}
        self._offer_at = 0.0

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            if self._options.connect is None:
                self._display.note("Starting a private backend")
                private = stack.enter_context(PrivateBackend())
                address, check = private.address(), private.check
            else:
                address, check = self._options.connect, lambda: None
            client = stack.enter_context(Client(address, f"cli/{__version__}"))
            client.connected(CONNECT_SECONDS)
            lost: float | None = None
            try:
                while self._todo or self._running:
                    self._offer(client)
                    news = client.wait(CHECK_SECONDS)
                    if isinstance(news, LinkChanged):
                        lost = self._link(news)
                    elif isinstance(news, Received):
                        self._take(client, news)
                    else:
                        check()
                        if lost is not None and time.monotonic() - lost > LOST_SECONDS:
                            raise ConnectionLost("The backend did not come back.", "Run it again with --resume.")
            except BaseException:
                self._cancel(client)
                raise

    def _link(self, news: LinkChanged) -> float | None:
        """Since when the connection is lost, or None."""
        if news.error is not None:
            raise news.error
        connected = news.state is LinkState.CONNECTED
        self._display.note("Connected" if connected else "The connection is lost; waiting for the backend")
        return None if connected else time.monotonic()

    def _offer(self, client: Client) -> None:
        while self._todo and len(self._running) < self._options.jobs and time.monotonic() >= self._offer_at:
            row = self._todo.popleft()
            digest = row.digest()
            try:
                submit, blobs = make_submit(JobFiles(row.picture), row.params)
            except Kiss3DError as error:
                self._failed(row, digest, "", error)
                continue
            # A job that an earlier run has named may be finished by now: the same id asks for it, and makes none twice.
            before = self._manifest.entries.get(row.name)
            mine = before is None or before.state != "submitted" or before.digest != digest
            job = submit.job if before is None or mine else before.job
            self._manifest.write(Entry(name=row.name, digest=digest, state="submitted", job=job))
            self._running[job] = _Running(row, digest, mine)
            self._display.started(job, row.name)
            client.submit(evolve(submit, job=job, name=row.name), blobs)

    def _take(self, client: Client, news: Received) -> None:
        message = news.message
        job = message.job if isinstance(message, Event | Refused) else None
        running = self._running.get(job or "")
        if job is None or running is None:
            return
        self._display.show(message)
        match message:
            case MeshReady(quality="final"):
                running.result.finals[message.bundle] = message, tuple(news.blobs)
            case Finished():
                del self._running[job]
                running.result.report = message.report
                try:
                    self._keep(job, running)
                except Kiss3DError as error:
                    self._failed(running.row, running.digest, job, error)
            case Refused(code=QueueFull.code | TooManyJobs.code):
                self._again(job, running)
                self._offer_at = time.monotonic() + FULL_SECONDS
            case Cancelled() if not running.mine:
                # It ended with the run that had named it.
                self._again(job, running)
            case Failed() | Refused():
                del self._running[job]
                self._failed(
                    running.row, running.digest, job, error_from_wire(message.code, message.message, message.remedy)
                )
            case Cancelled():
                del self._running[job]
                self._failed(running.row, running.digest, job, JobCancelled("The job was cancelled."))
            case _:
                pass

    def _keep(self, job: str, running: _Running) -> None:
        row, report = running.row, running.result.report
        if not running.result.finals or report is None:
            raise StageFailed("The backend finished the job without a mesh.")
        output = self._options.output / f"{row.name}.glb"
        picture = output.with_name(f"{output.stem}.png")
        _make_folder(output.parent)
        (mesh, *_) = write_meshes(running.result, output, picture)
        entry = Entry(
            name=row.name,
            digest=running.digest,
            state="finished",
            job=job,
            output=f"{row.name}.glb",
            picture=picture.relative_to(self._options.output).as_posix(),
            seconds=round(report.seconds, 3),
            triangles=mesh.triangles,
        )
        self._manifest.write(entry)
        self._display.ended(entry)

    def _again(self, job: str, running: _Running) -> None:
        del self._running[job]
        self._manifest.write(Entry(name=running.row.name, digest=running.digest, state="cancelled", job=job))
        self._display.again(job)
        self._todo.appendleft(running.row)

    def _failed(self, row: Row, digest: str, job: str, error: Kiss3DError) -> None:
        told = {"code": error.code, "message": error.message, "remedy": error.remedy}
        entry = Entry(name=row.name, digest=digest, state="failed", job=job, error=told)
        self._manifest.write(entry)
        self._display.ended(entry)
        if self._options.fail_fast:
            raise error

    def _cancel(self, client: Client) -> None:
        """Ends what is with the backend; what ends meanwhile is made again by the next run."""
        for job in self._running:
            client.cancel(job)
        left = set(self._running)
        deadline = time.monotonic() + CANCEL_SECONDS
        while left and time.monotonic() < deadline:
            news = client.wait(CHECK_SECONDS)
            if isinstance(news, Received) and isinstance(news.message, Finished | Failed | Cancelled | Refused):
                left.discard(cast("str", news.message.job))


def _conclude(options: BatchOptions, rows: tuple[Row, ...], manifest: Manifest) -> None:
    entries = [manifest.entries[row.name] for row in rows]
    failed = [entry for entry in entries if entry.state != "finished"]
    if options.as_json:
        told = {
            "event": "batch",
            "results": len(entries) - len(failed),
            "failed": [{"name": entry.name, **entry.error} for entry in failed],
            "manifest": str(manifest.path),
            "sheet": str(options.output / SHEET),
        }
        print(json.dumps(told), flush=True)
    else:
        print(f"{options.output}: {len(entries) - len(failed)} of {len(entries)} made; see {options.output / SHEET}")
    if failed:
        raise BatchIncomplete(
            f"{len(failed)} of {len(entries)} have no result, first '{failed[0].name}': "
            f"{failed[0].error.get('message', '')}"
        )
