"""What is known about a job and about the connection, as pure functions of the news (no bpy, no clock).

``JobState`` and ``LinkView`` are values: a panel draws them, a test compares them. Only :func:`reduce_job` and
:func:`reduce_link` make new ones.
"""

from __future__ import annotations

from enum import Enum

from attrs import evolve, frozen

from kiss3d_protocol.errors import JobCancelled, Kiss3DError, error_from_wire
from kiss3d_protocol.messages import (
    Cancelled,
    Event,
    Failed,
    Finished,
    JobReport,
    MeshReady,
    PresetOffer,
    Progress,
    Queued,
    Refused,
    StageStarted,
    WarningNote,
    WarningRaised,
    Welcome,
)
from kiss3d_protocol.session import LinkChanged, LinkState, News, Received


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


@frozen
class JobState:
    """All that the panel shows of a job. ``fraction`` is 0 to 1 of the whole job; ``quality`` that of the newest mesh
    that came; ``last_number`` the number of the last stored event, from which a new connection resumes."""

    job: str
    name: str = ""
    phase: Phase = Phase.SUBMITTED
    position: int = 0
    stages: tuple[StageLine, ...] = ()
    stage_count: int = 0
    fraction: float = 0.0
    eta_seconds: float | None = None
    quality: str | None = None
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
    after = _after_event(state, message)
    return evolve(after, last_number=message.number) if message.number else after


def failed(state: JobState, error: Kiss3DError) -> JobState:
    """The state of a job that ended with ``error``, which may also have come from this side."""
    if state.ended:
        return state
    return evolve(state, phase=Phase.FAILED, error=error, eta_seconds=None)


def cancel_requested(state: JobState) -> JobState:
    """The state after the user asked for the end, until the backend confirms it."""
    return state if state.ended else evolve(state, cancel_requested=True)


def _after_event(state: JobState, event: Event) -> JobState:
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
            )
        case StageStarted():
            line = StageLine(event.stage, event.title, event.time)
            return evolve(
                state,
                phase=Phase.RUNNING,
                stages=(*_closed(state.stages, event.time), line),
                stage_count=event.count,
            )
        case Progress():
            return evolve(
                state,
                phase=Phase.RUNNING,
                stages=_advanced(state.stages, event),
                fraction=event.fraction,
                eta_seconds=event.eta_seconds,
            )
        case MeshReady():
            return evolve(state, quality=event.quality)
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
        report=report,
        warnings=report.warnings,
        stages=tuple(
            StageLine(line.stage, line.title, started=0.0, fraction=1.0, seconds=line.seconds) for line in report.stages
        ),
    )


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


class Link(Enum):
    """How things stand with a backend. FAILED stays until the user does something."""

    OFF = "off"
    STARTING = "starting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    FAILED = "failed"


@frozen
class LinkView:
    """The connection as the panel shows it. ``error`` is the reason why it does not stand, if one is known."""

    link: Link = Link.OFF
    error: Kiss3DError | None = None
    welcome: Welcome | None = None

    def offer(self, preset: str) -> PresetOffer | None:
        """What the connected backend says about a preset; None while nobody is connected or it does not know it."""
        if self.link is not Link.CONNECTED or self.welcome is None:
            return None
        return next((offer for offer in self.welcome.presets if offer.name == preset), None)


_LINKS = {
    LinkState.CONNECTING: Link.CONNECTING,
    LinkState.CONNECTED: Link.CONNECTED,
    LinkState.LOST: Link.LOST,
    LinkState.FAILED: Link.FAILED,
}


def reduce_link(view: LinkView, news: News) -> LinkView:
    """The view after ``news``. The last welcome is kept through a loss, to name the backend that was there."""
    if not isinstance(news, LinkChanged):
        return view
    return LinkView(_LINKS[news.state], news.error, news.welcome or view.welcome)
