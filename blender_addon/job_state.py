"""What is known about a job, as a pure function of the news (no bpy, no clock).

``JobState`` is a value: a panel draws it, a test compares it. Only the functions here make new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from attrs import evolve, frozen

from kiss3d_protocol.errors import JobCancelled, Kiss3DError, error_from_wire
from kiss3d_protocol.messages import (
    BundlesReady,
    Cancelled,
    Event,
    Failed,
    Finished,
    JobReport,
    MeshReady,
    Preview,
    Progress,
    Queued,
    Refused,
    StageStarted,
    WarningNote,
    WarningRaised,
)
from kiss3d_protocol.payloads import Blob, ImageRef
from kiss3d_protocol.session import News, Received


class Phase(Enum):
    """Where a job stands. The last three are final."""

    SUBMITTED = "submitted"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (Phase.FINISHED, Phase.FAILED, Phase.CANCELLED)


@frozen
class StageLine:
    """One stage. ``fraction`` is 0 to 1 of this stage; ``started`` is the backend's time in seconds since 1970;
    ``seconds`` is how long it took, once it has ended."""

    stage: str
    title: str
    started: float
    fraction: float = 0.0
    seconds: float | None = None

    @property
    def done(self) -> bool:
        return self.seconds is not None


@frozen(eq=False)
class ShownPicture:
    """A picture that came: ``data`` is the file as it came, ``key`` is another for every picture of a job.

    ``width`` and ``height`` in pixels. ``text``: its caption, or the words that it was drawn from; may be empty.
    """

    key: str
    title: str
    data: bytes
    width: int
    height: int
    text: str = ""


@frozen(eq=False)
class OfferedBundle:
    """One of the bundles that can be chosen, and the seed that it was made with."""

    picture: ShownPicture
    seed: int


@frozen
class JobState:
    """All that the panel shows of a job. ``fraction`` is 0 to 1 of the whole job; ``quality`` that of the newest mesh
    that came, and ``updates`` how many came; ``last_number`` the number of the last stored event, from which a new
    connection resumes. ``previews``: the newest picture of each stage, by the stage's name, in the order of the stages.
    ``choosing``: the job waits until somebody chooses one of the ``bundles``."""

    job: str
    name: str = ""
    phase: Phase = Phase.SUBMITTED
    position: int = 0
    stages: tuple[StageLine, ...] = ()
    stage_count: int = 0
    fraction: float = 0.0
    eta_seconds: float | None = None
    quality: str | None = None
    updates: int = 0
    previews: tuple[tuple[str, ShownPicture], ...] = ()
    bundles: tuple[OfferedBundle, ...] = ()
    choosing: bool = False
    warnings: tuple[WarningNote, ...] = ()
    error: Kiss3DError | None = None
    report: JobReport | None = None
    last_number: int = 0
    cancel_requested: bool = False

    @property
    def ended(self) -> bool:
        return self.phase.ended

    @property
    def current_stage(self) -> StageLine | None:
        return self.stages[-1] if self.stages and not self.stages[-1].done else None


def reduce_job(state: JobState, news: News) -> JobState:
    """The state after ``news``; the same object when they do not concern the job or come after its end."""
    if not isinstance(news, Received) or state.ended:
        return state
    message = news.message
    if isinstance(message, Refused):
        if message.job == state.job and message.about in ("submit", "attach"):
            return failed(state, error_from_wire(message.code, message.message, message.remedy))
        return state
    if not isinstance(message, Event) or message.job != state.job:
        return state
    after = _after_event(state, message, news.blobs)
    return evolve(after, last_number=message.number) if message.number else after


def failed(state: JobState, error: Kiss3DError) -> JobState:
    """The state of a job that ended with ``error``, which may also have come from this side."""
    if state.ended:
        return state
    return evolve(state, phase=Phase.FAILED, error=error, eta_seconds=None, choosing=False)


def cancel_requested(state: JobState) -> JobState:
    """The state after the user asked for the end, until the backend confirms it."""
    return state if state.ended else evolve(state, cancel_requested=True)


def chosen(state: JobState) -> JobState:
    """The state after the user chose a bundle, until the backend says what it does with it."""
    return evolve(state, choosing=False)


def _after_event(state: JobState, event: Event, blobs: Sequence[Blob]) -> JobState:
    match event:
        case Queued():
            # A backend that was restarted in the middle of the job begins it again.
            return evolve(
                state,
                phase=Phase.QUEUED,
                position=event.position,
                stages=(),
                fraction=0.0,
                eta_seconds=None,
                bundles=(),
                choosing=False,
            )
        case StageStarted():
            line = StageLine(event.stage, event.title, event.time)
            return evolve(
                state,
                phase=Phase.RUNNING,
                stages=(*_closed(state.stages, event.time), line),
                stage_count=event.count,
                choosing=False,
            )
        case Progress():
            return evolve(
                state,
                phase=Phase.RUNNING,
                stages=_advanced(state.stages, event),
                fraction=event.fraction,
                eta_seconds=event.eta_seconds,
            )
        case Preview():
            key, title = f"{event.stage}-{event.number}", _title_of(state, event.stage)
            picture = _shown(event.image, blobs, key, title, event.text)
            return evolve(state, previews=tuple({**dict(state.previews), event.stage: picture}.items()))
        case BundlesReady():
            return evolve(state, bundles=_offered(event, blobs), choosing=event.waiting)
        case MeshReady():
            return evolve(state, quality=event.quality, updates=state.updates + 1)
        case WarningRaised():
            note = WarningNote(event.code, event.message, event.remedy)
            return evolve(state, warnings=(*state.warnings, note))
        case Finished():
            return _finished(state, event)
        case Failed():
            return failed(
                evolve(state, stages=_closed(state.stages, event.time)),
                error_from_wire(event.code, event.message, event.remedy),
            )
        case Cancelled():
            return evolve(
                state,
                phase=Phase.CANCELLED,
                stages=_closed(state.stages, event.time),
                error=JobCancelled(f"'{state.name}' was cancelled."),
                eta_seconds=None,
                choosing=False,
            )
        case _:
            return state


def _finished(state: JobState, event: Finished) -> JobState:
    report = event.report
    return evolve(
        state,
        phase=Phase.FINISHED,
        fraction=1.0,
        eta_seconds=None,
        choosing=False,
        report=report,
        warnings=report.warnings,
        stages=tuple(
            StageLine(line.stage, line.title, started=0.0, fraction=1.0, seconds=line.seconds) for line in report.stages
        ),
    )


def _offered(event: BundlesReady, blobs: Sequence[Blob]) -> tuple[OfferedBundle, ...]:
    return tuple(
        OfferedBundle(_shown(bundle.image, blobs, f"bundle-{event.number}-{index}", f"{index + 1}"), bundle.seed)
        for index, bundle in enumerate(event.bundles)
    )


def _shown(image: ImageRef, blobs: Sequence[Blob], key: str, title: str, text: str = "") -> ShownPicture:
    return ShownPicture(key, title, bytes(blobs[image.blob]), image.width, image.height, text)


def _title_of(state: JobState, stage: str) -> str:
    return next((line.title for line in state.stages if line.stage == stage), stage)


def _closed(stages: tuple[StageLine, ...], time: float) -> tuple[StageLine, ...]:
    if not stages or stages[-1].done:
        return stages
    last = stages[-1]
    return (*stages[:-1], evolve(last, fraction=1.0, seconds=max(time - last.started, 0.0)))


def _advanced(stages: tuple[StageLine, ...], event: Progress) -> tuple[StageLine, ...]:
    if not stages or stages[-1].stage != event.stage or stages[-1].done:
        return stages
    fraction = min(event.step / event.steps, 1.0)
    return (*stages[:-1], evolve(stages[-1], fraction=max(fraction, stages[-1].fraction)))
