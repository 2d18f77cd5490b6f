"""The jobs whose events the user wants: which event is the next one, and what is said again after a loss.

Pure, as the session is that uses it (SPEC.md, sections 3 and 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define

from kiss3d_protocol.messages import TERMINAL_EVENTS, Attach, Cancel, Choose, ClientMessage, Event, Submit
from kiss3d_protocol.payloads import Blob


@define
class _Followed:
    """A job whose events the user wants. ``submit`` is kept until it has been answered.

    ``asked``: missing events have been asked for. ``cancel``: the user wants its end; said again after every loss.
    ``choice``: what the user chose, said again until an event has answered it.
    """

    last_number: int
    submit: Submit | None = None
    blobs: Sequence[Blob] = ()
    asked: bool = False
    cancel: bool = False
    choice: Choose | None = None


class FollowedJobs:
    """By their ids."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Followed] = {}

    def submit(self, submit: Submit, blobs: Sequence[Blob]) -> None:
        """A new job."""
        self._jobs[submit.job] = _Followed(0, submit, blobs)

    def attach(self, job: str, after: int) -> None:
        """A job that the backend knows, from the event after number ``after``."""
        self._jobs[job] = _Followed(after)

    def cancel(self, job: str) -> bool:
        """The user wants the end of a job; False when it is not followed."""
        followed = self._jobs.get(job)
        if followed is not None:
            followed.cancel = True
        return followed is not None

    def choose(self, choice: Choose) -> bool:
        """The user has chosen; False when the job is not followed."""
        followed = self._jobs.get(choice.job)
        if followed is not None:
            followed.choice = choice
        return followed is not None

    def forget(self, job: str) -> None:
        """Follows a job no more."""
        self._jobs.pop(job, None)

    def forget_choice(self, job: str) -> None:
        """The choice was refused."""
        if job in self._jobs:
            self._jobs[job].choice = None

    def again(self) -> Iterator[tuple[ClientMessage, Sequence[Blob]]]:
        """What has to be said over a new connection."""
        for job, followed in self._jobs.items():
            followed.asked = False
            if followed.submit is not None:
                yield followed.submit, followed.blobs
            else:
                yield Attach(job, followed.last_number), ()
            if followed.cancel:
                yield Cancel(job), ()
            elif followed.choice is not None:
                yield followed.choice, ()

    def take(self, event: Event) -> bool | Attach:
        """Whether an event is the next one of a job that is followed, or what to send for those that are missing."""
        followed = self._jobs.get(event.job)
        if followed is None:
            return False
        followed.submit, followed.blobs = None, ()
        if event.number:
            if event.number <= followed.last_number:
                return False
            if event.number > followed.last_number + 1:
                # Once only: each answer is everything that is missing, meshes too.
                asked, followed.asked = followed.asked, True
                return False if asked else Attach(event.job, followed.last_number)
            followed.last_number, followed.asked, followed.choice = event.number, False, None
        if isinstance(event, TERMINAL_EVENTS):
            del self._jobs[event.job]
        return True
