"""What a client is told instead of something that is no longer on the disk."""

from __future__ import annotations

from kiss3d_backend.broker.outbox import Letter
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.fetching import JobResult
from kiss3d_protocol.framing import unpack_map
from kiss3d_protocol.messages import TAGS, Event, Refused, ReportFiles, ServerMessage, WarningRaised

_LOST = ArtifactLost("A part of this job is no longer on the backend's disk.")


def instead_of_lost(letter: Letter) -> ServerMessage:
    """For an event, a warning with its number: without one, the client would wait for that number for ever."""
    content = letter.content
    if isinstance(content, bytes):
        fields = unpack_map(content)
        job, number, time = str(fields["job"]), int(fields["number"]), float(fields["time"])
    elif isinstance(content, Event):
        job, number, time = content.job, content.number, content.time
    elif isinstance(content, ReportFiles):
        return Refused("get_report", content.job, _LOST.code, _LOST.message, _LOST.remedy)
    elif isinstance(content, JobResult):
        return Refused("get_results", content.job, _LOST.code, _LOST.message, _LOST.remedy)
    else:
        raise AssertionError(f"a {TAGS[type(content)]} names nothing that could be lost")
    return WarningRaised(job=job, number=number, time=time, code=_LOST.code, message=_LOST.message, remedy=_LOST.remedy)
