"""The messages by which a job goes for good (SPEC.md, section 4)."""

from __future__ import annotations

from attrs import field, frozen

from kiss3d_protocol.validation import uuid_text as job_text


@frozen
class Delete:
    """Deletes a job with its results and its report; one that waits or runs is cancelled first."""

    job: str = field(validator=job_text)


@frozen
class Deleted:
    """The answer to :class:`Delete`, also to others who follow the job: there is no such job any more."""

    job: str = field(validator=job_text)
