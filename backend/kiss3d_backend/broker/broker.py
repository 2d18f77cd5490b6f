"""The broker: what each message of a client does, and what each word of the worker means for clients.

It owns no socket: :mod:`kiss3d_backend.broker.server` feeds it and sends what it leaves in the outboxes.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Generator, Sequence

from kiss3d_backend.broker.outbox import Letter
from kiss3d_backend.broker.sessions import Session, Sessions
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.models.offers import check_preset
from kiss3d_backend.worker.messages import StartJob, WorkerEvent
from kiss3d_backend.worker.supervisor import Notice, Supervisor, WorkerState
from kiss3d_protocol.errors import DataDirectoryUnusable, HelloRequired, Kiss3DError
from kiss3d_protocol.framing import decode_client, peek, version_mismatch
from kiss3d_protocol.messages import (
    TAGS,
    Attach,
    Cancel,
    ClientMessage,
    Failed,
    Hello,
    JobList,
    ListJobs,
    Ping,
    Pong,
    Refused,
    ServerMessage,
    Submit,
    Welcome,
)
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.version import PROTOCOL_MAJOR, major_of

_log = logging.getLogger(__name__)


class Broker:
    """Joins clients, jobs and the worker.

    ``welcome`` makes the present welcome message; ``check_picture`` raises for bytes that are no usable picture.
    """

    def __init__(
        self,
        book: JobBook,
        supervisor: Supervisor,
        sessions: Sessions,
        instance: str,
        welcome: Callable[[], Welcome],
        check_picture: Callable[[bytes], object],
    ) -> None:
        self.sessions = sessions
        self._book = book
        self._supervisor = supervisor
        self._instance = instance
        self._welcome = welcome
        self._check_picture = check_picture

    def receive(self, identity: bytes, frames: Sequence[Blob], now: float) -> ServerMessage | None:
        """Carries out a client's message. Returns an answer for a peer that has no session, and no other."""
        session = self.sessions.get(identity, now)
        message: ClientMessage | None = None
        try:
            message, blobs = decode_client(frames)
            if session is None and not isinstance(message, Hello):
                raise HelloRequired("The backend does not know this connection (any more).")
            with _disk_trouble_named():
                self._carry_out(identity, session, message, blobs, now)
        except Kiss3DError as error:
            _log.warning("a message was refused: %s %s", error.code, error.message)
            about, job = peek(frames) if message is None else (TAGS[type(message)], getattr(message, "job", None))
            refused = Refused(about=about, job=job, code=error.code, message=error.message, remedy=error.remedy)
            if session is None:
                return refused
            session.outbox.put(Letter(refused))
        return None

    def hear(self, notice: Notice) -> None:
        """Takes a word of the worker."""
        self._take(self._supervisor.handle(notice))

    def tick(self, now: float) -> None:
        """Does what is due: the worker's care, the next job, silent clients."""
        self._take(self._supervisor.tick())
        self._start_next()
        for session in self.sessions.expire(now):
            _log.info("client %s has gone", session.client)

    def _carry_out(
        self, identity: bytes, session: Session | None, message: ClientMessage, blobs: Sequence[Blob], now: float
    ) -> None:
        if isinstance(message, Hello):
            if major_of(message.protocol) != PROTOCOL_MAJOR:
                raise version_mismatch(message.protocol)
            session = self.sessions.open(identity, message.client, now)
            # A client that waited for this backend repeated its hello; one welcome answers them all.
            if not session.outbox.holds(Welcome):
                session.outbox.put(Letter(self._welcome()))
                _log.info("client %s says hello", message.client)
            return
        assert session is not None
        match message:
            case Ping():
                session.outbox.put(Letter(Pong(self._instance)))
            case Submit():
                self._submit(session, message, blobs[0])
            case Cancel():
                self._cancel(message.job)
            case Attach():
                self._attach(session, message)
            case ListJobs():
                jobs = tuple(record.summary() for record in self._book.summaries(message.limit))
                session.outbox.put(Letter(JobList(jobs)))

    def _submit(self, session: Session, submit: Submit, picture: Blob) -> None:
        check_preset(submit.params.preset)
        self._check_picture(bytes(picture))
        session.follows.add(submit.job)
        posted = self._book.submit(submit, picture)
        if not posted:
            self._attach(session, Attach(submit.job))
            return
        _log.info("job %s: accepted from %s", submit.job, session.client)
        self._publish(posted)
        self._start_next()

    def _cancel(self, job: str) -> None:
        posted = self._book.cancel_waiting(job)
        if posted:
            self._publish([*posted, *self._book.positions()])
        elif not self._supervisor.cancel(job):
            # Raises when nobody knows it; a job that has ended stays as it is.
            self._book.store.get(job)

    def _attach(self, session: Session, attach: Attach) -> None:
        events, progress = self._book.history(attach.job, attach.after)
        for event in events:
            session.outbox.put(Letter(event.envelope, event.artifacts))
        if progress is not None:
            session.outbox.put(Letter(progress))
        session.follows.add(attach.job)

    def _start_next(self) -> None:
        problem = self._supervisor.start_problem
        if self._supervisor.state is not WorkerState.IDLE and problem is None:
            return
        record = self._book.take_next()
        if record is None:
            return
        if problem is not None:
            failed = Failed(job=record.job, code=problem.code, message=problem.message, remedy=problem.remedy)
            self._publish(self._book.record(Posted(failed)))
            return
        self._supervisor.run(StartJob(record.job, GenerateParams(record.preset, record.seed), record.picture))
        self._publish(self._book.positions())

    def _take(self, events: Sequence[WorkerEvent]) -> None:
        for event in events:
            self._publish(self._book.record(Posted(event.event, event.artifacts)))
        if events:
            self._start_next()

    def _publish(self, posted: Sequence[Posted]) -> None:
        for each in posted:
            self.sessions.publish(each.event.job, Letter(each.event, each.artifacts))


@contextlib.contextmanager
def _disk_trouble_named() -> Generator[None]:
    """A full or broken disk refuses one message; it must not end the broker."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        _log.exception("the data directory failed")
        raise DataDirectoryUnusable(
            f"The backend could not store that ({error}).", "Free disk space on the backend's machine, then try again."
        ) from error
