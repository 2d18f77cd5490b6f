"""The account of a job that has ended: what the broker knows of it and what the worker noted."""

from __future__ import annotations

import attrs

from kiss3d_backend.jobs.store import JobRecord
from kiss3d_backend.reports.advice import advise
from kiss3d_backend.reports.record import (
    ErrorRecord,
    InputsRecord,
    JobPart,
    Report,
    RunRecord,
    StageRecord,
)
from kiss3d_protocol.messages import Cancelled, Failed, Finished


def close_account(record: JobRecord, end: Finished | Failed | Cancelled, run: RunRecord) -> Report:
    """The report of a job that ``end`` has ended. ``run``: the worker's last note, which may be from the middle of a
    stage when its process died: that stage then lasted until the end."""
    finished = record.finished if record.finished is not None else end.time
    run = attrs.evolve(run, stages=tuple(_ended(stage, finished) for stage in run.stages))
    error = None
    if isinstance(end, Failed):
        stage = next((stage.stage for stage in run.stages if not stage.completed), "")
        error = ErrorRecord(end.code, end.message, end.remedy, stage)
    mesh = record.inputs.mesh
    job = JobPart(
        id=record.job,
        name=record.name,
        state=record.state,
        params=record.params,
        inputs=InputsRecord(
            record.inputs.picture,
            record.inputs.views,
            None if mesh is None else mesh.positions.shape[0],
            None if mesh is None else mesh.triangles.shape[0],
        ),
        created=record.created,
        started=record.started,
        finished=finished,
        attempts=record.attempts,
        seconds=None if record.started is None else max(finished - record.started, 0.0),
    )
    report = Report(job, run, error)
    return attrs.evolve(report, advice=advise(report))


def _ended(stage: StageRecord, finished: float) -> StageRecord:
    if stage.seconds is not None:
        return stage
    return attrs.evolve(stage, seconds=max(finished - stage.started, 0.0))
