"""A backend that plays scripts: it speaks the protocol over a real ROUTER socket, and makes nothing.

::

    def half_way(job):
        yield job.stage("model", index=0, count=1)
        yield job.progress(0.5)
        yield Never()                 # until somebody cancels

    with ScriptedBackend({"half_way": half_way}) as backend:
        client = Client(backend.address, "test/1")

A job plays the script of its *name* (an add-on names a job after its picture), else the default one. Scripts are
generators; what they yield is sent or waited for. Jobs run one after the other, as in a real backend.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import attrs
import zmq
from tests.fakes.meshes import FakeMesh, sphere

from kiss3d_protocol.deletion import Delete, Deleted
from kiss3d_protocol.framing import decode_client, encode
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.messages import (
    Attach,
    BundleOffer,
    BundlesReady,
    Cancel,
    Cancelled,
    Choose,
    Device,
    Event,
    Failed,
    Finished,
    GetReport,
    Hello,
    JobList,
    JobReport,
    JobSummary,
    ListJobs,
    MeshReady,
    Ping,
    Pong,
    PresetOffer,
    Preview,
    Progress,
    Queued,
    Refused,
    ReportFiles,
    ServerMessage,
    StageStarted,
    StageTime,
    Submit,
    WarningNote,
    WarningRaised,
    Welcome,
)
from kiss3d_protocol.models import (
    CancelPull,
    ListModels,
    ModelInfo,
    ModelList,
    PullCancelled,
    PullFinished,
    PullModels,
    PullProgress,
)
from kiss3d_protocol.params import PRESETS
from kiss3d_protocol.payloads import Blob, BlobWriter, FileRef, sha256_of
from kiss3d_protocol.security import secure_backend
from kiss3d_protocol.version import PROTOCOL_VERSION

TICK_MS = 5


@dataclass(frozen=True)
class Pause:
    """The script goes on after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Until:
    """The script goes on when the condition holds; it is asked in the backend's thread."""

    condition: Callable[[], bool]


class Never(Until):
    """The script does not go on: the job stands still until it is cancelled."""

    def __init__(self) -> None:
        super().__init__(lambda: False)


Say = tuple[Event, Sequence[Blob]]
Step = Event | Say | Pause | Until


@dataclass
class ScriptedJob:
    """What a script sees: the ``submit`` and the blobs that came, what was chosen of its bundles, makers of events."""

    submit: Submit
    blobs: Sequence[bytes]
    choice: tuple[int, ...] | None = None
    warnings: list[WarningNote] = field(default_factory=list)
    stages: list[StageStarted] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.submit.job

    @property
    def picture(self) -> bytes:
        """The picture, or the first view; empty when neither came."""
        first = next((one for one in (self.submit.picture, *self.submit.views) if one is not None), None)
        return b"" if first is None else self.blobs[first.blob]

    def stage(self, stage: str, index: int, count: int, title: str = "") -> Event:
        event = StageStarted(job=self.id, stage=stage, title=title or stage.capitalize(), index=index, count=count)
        self.stages.append(event)
        return event

    def progress(self, fraction: float, step: int = 1, steps: int = 2, eta: float | None = None) -> Event:
        """``fraction`` of the whole job, ``step`` of ``steps`` of the stage that was started last."""
        stage = self.stages[-1].stage
        return Progress(job=self.id, stage=stage, step=step, steps=steps, fraction=fraction, eta_seconds=eta)

    def preview(self, data: bytes, width: int, height: int, text: str = "") -> Say:
        """A PNG that the stage that was started last shows."""
        writer = BlobWriter()
        image = writer.image(data, "image/png", width, height)
        return Preview(job=self.id, stage=self.stages[-1].stage, image=image, text=text), writer.blobs

    def bundles(self, pictures: Sequence[bytes], width: int, height: int) -> Say:
        """PNGs to choose from; follow it with ``Until(lambda: job.choice is not None)``."""
        writer = BlobWriter()
        offers = tuple(
            BundleOffer(writer.image(data, "image/png", width, height), seed) for seed, data in enumerate(pictures)
        )
        event = BundlesReady(job=self.id, stage=self.stages[-1].stage, bundles=offers, waiting=True)
        return event, writer.blobs

    def mesh(self, quality: str, mesh: FakeMesh) -> Say:
        ref, blobs = mesh.message()
        return MeshReady(job=self.id, quality=quality, mesh=ref), blobs  # pyright: ignore[reportArgumentType]

    def warning(self, code: str, message: str, remedy: str = "") -> Event:
        self.warnings.append(WarningNote(code, message, remedy))
        return WarningRaised(job=self.id, code=code, message=message, remedy=remedy)

    def failed(self, code: str, message: str, remedy: str = "") -> Event:
        return Failed(job=self.id, code=code, message=message, remedy=remedy)

    def finished(self) -> Event:
        params = self.submit.params
        stages = tuple(StageTime(stage.stage, stage.title, 0.25) for stage in self.stages)
        report = JobReport(
            recipe="scripted",
            preset=params.preset,
            seed=params.seed,
            picture_sha256=sha256_of(self.picture),
            seconds=0.25 * len(stages),
            stages=stages,
            warnings=tuple(self.warnings),
            versions={"scripted_backend": "1"},
        )
        return Finished(job=self.id, report=report)


Script = Callable[[ScriptedJob], Iterator[Step]]


def coarse_then_final(job: ScriptedJob) -> Iterator[Step]:
    """Two stages, a coarse and a final sphere, no pauses: what a job of the draft preset looks like from outside."""
    yield job.stage("shape", 0, 2)
    yield job.progress(0.25)
    yield job.mesh("coarse", sphere(8, 6))
    yield job.stage("texture", 1, 2)
    yield job.progress(0.75)
    yield job.mesh("final", sphere(24, 16))
    yield job.finished()


@dataclass
class _Running:
    job: ScriptedJob
    script: Iterator[Step]
    events: list[Say] = field(default_factory=list)
    followers: set[bytes] = field(default_factory=set)
    ended: bool = False
    wake_at: float = 0.0
    condition: Callable[[], bool] | None = None


class ScriptedBackend:
    """Listens on ``address`` in a thread of its own between ``__enter__`` and ``__exit__``.

    ``submits`` holds every job that came, ``cancels`` the ids of those that somebody wanted to end. ``refused_presets``
    maps a preset's name to the reason why it is not offered. ``missing_models``: what the presets lack that they name;
    a download gets half of it, and the rest once ``let_download_end`` is set. An exception in a script is raised again
    at the end.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] | None = None,
        *,
        default: Script = coarse_then_final,
        refused_presets: Mapping[str, str] | None = None,
        missing_models: Sequence[ModelInfo] = (),
        heartbeat_seconds: float = 2.0,
        server: str = "scripted-backend/1",
    ) -> None:
        self.address = ""
        self.let_download_end = threading.Event()
        self.submits: list[ScriptedJob] = []
        self.cancels: list[str] = []
        self._scripts = dict(scripts or {})
        self._default = default
        self._server = server
        self._refused = dict(refused_presets or {})
        self._models = list(missing_models)
        self._downloading = False
        self._heartbeat = heartbeat_seconds
        self._instance = str(uuid.uuid4())
        self._jobs: dict[str, _Running] = {}
        self._greeted: set[bytes] = set()
        self._stop = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="scripted-backend", daemon=True)

    def __enter__(self) -> ScriptedBackend:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        # A backend of this user without a doorkeeper: it lets in whoever can read the user's key file.
        secure_backend(self._socket, backend_keys().backend)
        self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._socket.close()
        self._context.term()
        if self._problem is not None and error is None:
            raise self._problem

    def has_submit(self, name: str) -> bool:
        """Whether a job of this name has come."""
        return any(job.submit.name == name for job in self.submits)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self._socket.poll(TICK_MS):
                    peer, *frames = self._socket.recv_multipart()
                    message, blobs = decode_client(frames)
                    self._take(peer, message, blobs)
                self._play()
                self._end_download()
        except BaseException as problem:
            self._problem = problem

    def _take(self, peer: bytes, message: object, blobs: Sequence[Blob]) -> None:
        if not isinstance(message, Hello) and peer not in self._greeted:
            self._send(peer, Refused("message", None, "protocol.hello_required", "Say hello first."))
            return
        match message:
            case Hello():
                self._greeted.add(peer)
                self._send(peer, self._welcome())
            case Ping():
                self._send(peer, Pong(self._instance))
            case Submit():
                self._submit(peer, message, [bytes(blob) for blob in blobs])
            case Attach():
                running = self._jobs.get(message.job)
                if running is None:
                    self._send(peer, Refused("attach", message.job, "job.unknown", "This job is not known."))
                else:
                    self._follow(peer, running, message.after)
            case Cancel():
                self.cancels.append(message.job)
                running = self._jobs.get(message.job)
                if running is not None and not running.ended:
                    self._say(running, (Cancelled(job=message.job), ()))
            case Choose():
                self._jobs[message.job].job.choice = message.indices
            case ListModels():
                self._send(peer, ModelList(tuple(self._models)))
            case PullModels():
                self._downloading = True
                size = sum(model.size for model in self._models)
                name = self._models[0].name
                self._send(peer, PullProgress("download", name, "weights", size // 2, size, 2e7, size / 4e7))
            case CancelPull():
                self._downloading = False
                self._send(peer, PullCancelled())
            case GetReport():
                self._report(peer, message.job)
            case Delete():
                if self._jobs.pop(message.job, None) is None:
                    self._send(peer, Refused("delete", message.job, "job.unknown", "There is no such job."))
                else:
                    self._send(peer, Deleted(message.job))
            case ListJobs():
                newest = list(reversed(self._jobs.values()))[: message.limit]
                self._send(peer, JobList(tuple(_summary(running) for running in newest)))
            case _:
                raise AssertionError(message)

    def _submit(self, peer: bytes, submit: Submit, blobs: Sequence[bytes]) -> None:
        known = self._jobs.get(submit.job)
        if known is not None:
            self._follow(peer, known, 0)
            return
        reason = self._refused.get(submit.params.preset)
        if reason is not None:
            self._send(peer, Refused("submit", submit.job, "params.preset_unavailable", reason))
            return
        job = ScriptedJob(submit, blobs)
        self.submits.append(job)
        script = self._scripts.get(submit.name, self._default)
        running = _Running(job, script(job), followers={peer})
        before = sum(not other.ended for other in self._jobs.values())
        self._jobs[submit.job] = running
        self._say(running, (Queued(job=submit.job, position=before), ()))

    def _follow(self, peer: bytes, running: _Running, after: int) -> None:
        running.followers.add(peer)
        for event, blobs in running.events:
            if event.number > after:
                self._send(peer, event, blobs)

    def _play(self) -> None:
        running = next((one for one in self._jobs.values() if not one.ended), None)
        while running is not None and not running.ended:
            if time.monotonic() < running.wake_at or (running.condition and not running.condition()):
                return
            running.condition = None
            step = next(running.script, None)
            if step is None:
                raise AssertionError(f"the script of '{running.job.submit.name}' does not end its job")
            if isinstance(step, Pause):
                running.wake_at = time.monotonic() + step.seconds
            elif isinstance(step, Until):
                running.condition = step.condition
            else:
                self._say(running, step if isinstance(step, tuple) else (step, ()))

    def _say(self, running: _Running, say: Say) -> None:
        event, blobs = say
        passing = isinstance(event, Progress)
        event = attrs.evolve(event, number=0 if passing else len(running.events) + 1, time=time.time())
        if not passing:
            running.events.append((event, blobs))
        running.ended = isinstance(event, Finished | Failed | Cancelled)
        for peer in running.followers:
            self._send(peer, event, blobs)

    def _end_download(self) -> None:
        if not self._downloading or not self.let_download_end.is_set():
            return
        self._downloading = False
        names = tuple(model.name for model in self._models)
        self._models = [attrs.evolve(model, have=model.size, state="ready") for model in self._models]
        for peer in self._greeted:
            self._send(peer, PullFinished(names))
            self._send(peer, self._welcome())

    def _offer(self, name: str, title: str) -> PresetOffer:
        missing = [model for model in self._models if name in model.presets and model.state == "missing"]
        reason = self._refused.get(name, "Model files are missing." if missing else "")
        left = sum(model.size - model.have for model in missing)
        return PresetOffer(name, title, not reason, reason, tuple(model.name for model in missing), left)

    def _welcome(self) -> Welcome:
        return Welcome(
            protocol=PROTOCOL_VERSION,
            server=self._server,
            instance=self._instance,
            heartbeat_seconds=self._heartbeat,
            device=Device("cpu", "Scripted", None, None, 1 << 30, 1 << 29),
            presets=tuple(self._offer(preset.name, preset.title) for preset in PRESETS),
            missing_models=tuple(model.name for model in self._models if model.state == "missing"),
        )

    def _report(self, peer: bytes, job: str) -> None:
        running = self._jobs.get(job)
        if running is None or not running.ended:
            self._send(peer, Refused("get_report", job, "job.not_ended", "It has not ended."))
            return
        data, page = b"{}", f"<!doctype html><title>{running.job.submit.name}</title>".encode()
        refs = FileRef(0, "json", len(data), sha256_of(data)), FileRef(1, "html", len(page), sha256_of(page))
        self._send(peer, ReportFiles(job, *refs), [data, page])

    def _send(self, peer: bytes, message: ServerMessage | Event, blobs: Sequence[Blob] = ()) -> None:
        self._socket.send_multipart([peer, *encode(message, blobs)])  # pyright: ignore[reportArgumentType]


def _summary(running: _Running) -> JobSummary:
    submit, events = running.job.submit, [event for event, _ in running.events]
    ends = {Finished: "finished", Failed: "failed", Cancelled: "cancelled"}
    state = ends.get(type(events[-1]), "running")
    times = events[0].time, None, events[-1].time if running.ended else None
    preset, seed = submit.params.preset, submit.params.seed
    return JobSummary(submit.job, submit.name, state, preset, seed, *times, "", float(running.ended), len(events))  # pyright: ignore[reportArgumentType]
