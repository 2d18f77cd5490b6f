"""The reducer: news in, states out."""

from __future__ import annotations

from attrs import evolve
from blender_addon.job_state import JobState, Phase, cancel_requested, chosen, failed, reduce_job
from tests.fakes.meshes import sphere
from tests.protocol.samples import bundles_ready

from kiss3d_protocol.errors import JobCancelled, OutOfMemory, PresetUnavailable, StageFailed
from kiss3d_protocol.messages import (
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
    StageTime,
    WarningNote,
    WarningRaised,
    new_job_id,
)
from kiss3d_protocol.models import ModelList, PullFailed, PullProgress
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.session import LinkChanged, LinkState, Received

JOB = new_job_id()
REPORT = JobReport(
    recipe="draft",
    preset="draft",
    seed=3,
    picture_sha256="0" * 64,
    seconds=4.5,
    stages=(StageTime("shape", "Shape", 1.5), StageTime("texture", "Texture", 3.0)),
    warnings=(WarningNote("picture.background", "The background is busy."),),
    versions={"kiss3d": "0.1.0"},
)


def after(*events: Event, state: JobState | None = None) -> JobState:
    state = state or JobState(JOB, "chair")
    for event in events:
        state = reduce_job(state, Received(event))
    return state


def started(number: int, stage: str, at: float, index: int = 0) -> StageStarted:
    return StageStarted(job=JOB, number=number, time=at, stage=stage, title=stage.capitalize(), index=index, count=2)


def progress(stage: str, step: int, fraction: float, eta: float | None = None) -> Progress:
    return Progress(job=JOB, stage=stage, step=step, steps=4, fraction=fraction, eta_seconds=eta)


def test_a_job_from_start_to_end() -> None:
    state = after(Queued(job=JOB, number=1, position=2))
    assert (state.phase, state.position, state.last_number) == (Phase.QUEUED, 2, 1)

    state = after(started(2, "shape", 100.0), progress("shape", 1, 0.1, eta=9.0), state=state)
    assert (state.phase, state.fraction, state.eta_seconds) == (Phase.RUNNING, 0.1, 9.0)
    assert state.current_stage is not None and state.current_stage.fraction == 0.25
    assert state.last_number == 2, "passing events have no number to resume from"

    ref, _ = sphere(8, 6).message()
    state = after(
        MeshReady(job=JOB, number=3, quality="coarse", mesh=ref), started(4, "texture", 101.5, 1), state=state
    )
    assert state.quality == "coarse"
    assert [(line.title, line.seconds, line.fraction) for line in state.stages] == [
        ("Shape", 1.5, 1.0),
        ("Texture", None, 0.0),
    ]

    state = after(MeshReady(job=JOB, number=5, quality="final", mesh=ref), state=state)
    state = after(Finished(job=JOB, number=6, time=104.5, report=REPORT), state=state)
    assert (state.phase, state.quality, state.fraction, state.eta_seconds) == (Phase.FINISHED, "final", 1.0, None)
    assert [(line.stage, line.seconds) for line in state.stages] == [("shape", 1.5), ("texture", 3.0)]
    assert state.warnings == REPORT.warnings and state.report == REPORT and state.last_number == 6


def test_progress_never_runs_backwards_in_its_stage_and_ignores_other_stages() -> None:
    state = after(started(1, "shape", 0.0), progress("shape", 3, 0.5), progress("shape", 2, 0.4))
    assert state.stages[-1].fraction == 0.75
    assert after(progress("texture", 4, 0.9), state=state).stages == state.stages


def test_a_job_that_begins_again_after_a_restart_shows_no_old_stages() -> None:
    state = after(started(1, "shape", 0.0), progress("shape", 3, 0.5), Queued(job=JOB, number=2, position=0))
    assert (state.phase, state.stages, state.fraction) == (Phase.QUEUED, (), 0.0)


def test_failure_keeps_the_error_as_its_own_class() -> None:
    event = Failed(job=JOB, number=2, time=3.0, code="job.out_of_memory", message="Too big.", remedy="Less.")
    state = after(started(1, "shape", 1.0), event)
    assert state.phase is Phase.FAILED and isinstance(state.error, OutOfMemory)
    assert (state.error.message, state.error.remedy) == ("Too big.", "Less.")
    assert state.stages[-1].seconds == 2.0


def test_refusal_of_the_job_fails_it_and_that_of_another_does_not() -> None:
    refused = Refused("submit", JOB, "params.preset_unavailable", "No GPU.", "Use draft.")
    state = reduce_job(JobState(JOB), Received(refused))
    assert state.phase is Phase.FAILED and isinstance(state.error, PresetUnavailable)
    for other in (evolve(refused, job=new_job_id()), evolve(refused, about="cancel")):
        assert reduce_job(JobState(JOB), Received(other)) == JobState(JOB)


def test_cancelled() -> None:
    state = cancel_requested(after(started(1, "shape", 1.0)))
    assert state.cancel_requested and not state.ended
    state = after(Cancelled(job=JOB, number=2, time=2.0), state=state)
    assert state.phase is Phase.CANCELLED and isinstance(state.error, JobCancelled)


def test_warnings_add_up() -> None:
    state = after(
        WarningRaised(job=JOB, number=1, code="a", message="A."),
        WarningRaised(job=JOB, number=2, code="b", message="B."),
    )
    assert [note.code for note in state.warnings] == ["a", "b"]


def test_nothing_changes_after_the_end_or_for_others() -> None:
    state = after(Finished(job=JOB, number=1, report=REPORT))
    assert reduce_job(state, Received(Cancelled(job=JOB, number=2))) is state
    assert failed(state, StageFailed("late")) is state and cancel_requested(state) is state
    fresh = JobState(JOB)
    assert reduce_job(fresh, Received(Cancelled(job=new_job_id(), number=1))) is fresh
    assert reduce_job(fresh, LinkChanged(LinkState.LOST)) is fresh


def picture(number: int, stage: str, data: bytes, text: str = "") -> Received:
    image = BlobWriter().image(data, "image/png", 8, 4)
    return Received(Preview(job=JOB, number=number, stage=stage, image=image, text=text), [data])


def test_each_stage_shows_its_newest_picture() -> None:
    state = after(started(1, "shape", 1.0))
    for news in (picture(2, "shape", b"a"), picture(3, "other", b"b"), picture(4, "shape", b"c")):
        state = reduce_job(state, news)
    assert [(stage, shown.data, shown.title) for stage, shown in state.previews] == [
        ("shape", b"c", "Shape"),
        ("other", b"b", "other"),
    ]
    assert reduce_job(state, picture(5, "shape", b"c", "a chair")).previews[0][1].text == "a chair"
    assert len({shown.key for _, shown in state.previews}) == 2
    assert reduce_job(state, picture(5, "shape", b"c")).previews[0][1].key != state.previews[0][1].key


def test_bundles_wait_for_a_choice_until_it_is_made_or_the_job_goes_on_or_ends() -> None:
    event, blobs = bundles_ready(JOB, number=7)
    state = reduce_job(JobState(JOB, "chair", Phase.RUNNING), Received(evolve(event, waiting=True), blobs))
    assert state.choosing and [bundle.seed for bundle in state.bundles] == [one.seed for one in event.bundles]
    assert [bundle.picture.data for bundle in state.bundles] == [bytes(blobs[one.image.blob]) for one in event.bundles]
    for later in (
        chosen(state),
        after(started(8, "texture", 9.0), state=state),
        after(Cancelled(job=JOB, number=8), state=state),
        after(Finished(job=JOB, number=8, report=REPORT), state=state),
        failed(state, StageFailed("late")),
    ):
        assert not later.choosing and later.bundles == state.bundles
    assert after(Queued(job=JOB, number=8, position=0), state=state).bundles == (), "it draws them anew"
    going_on = Received(evolve(event, waiting=False), blobs)
    assert not reduce_job(JobState(JOB), going_on).choosing, "it goes on with all of them"


def test_words_of_version_1_1_do_not_disturb_a_job() -> None:
    event, blobs = bundles_ready(JOB, number=7)
    running = JobState(JOB, "chair", Phase.RUNNING, last_number=6)
    after = reduce_job(running, Received(event, blobs))
    assert (after.phase, after.last_number, after.error) == (Phase.RUNNING, 7, None)
    for message in (ModelList(()), PullProgress("download", "one", "a", 1, 2, 3.0), PullFailed("c", "M.")):
        assert reduce_job(running, Received(message)) is running
