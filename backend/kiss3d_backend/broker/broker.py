"""The broker: what each message of a client does, and what is told to whom.

It owns no socket: :mod:`kiss3d_backend.broker.server` feeds it and sends what it leaves in the outboxes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from kiss3d_backend.broker.admission import Admission
from kiss3d_backend.broker.dispatch import Dispatch
from kiss3d_backend.broker.model_desk import ModelDesk
from kiss3d_backend.broker.outbox import Letter
from kiss3d_backend.broker.places import Places
from kiss3d_backend.broker.pulls import Pulls
from kiss3d_backend.broker.results import Results
from kiss3d_backend.broker.sessions import Session, Sessions
from kiss3d_backend.clients.identity import ClientIdentity
from kiss3d_backend.clients.registry import Pairing
from kiss3d_backend.disk import DISK_ERRORS, disk_error, naming_disk_errors
from kiss3d_backend.executor.executor import Executor
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.keeper import Keeper
from kiss3d_backend.models.offers import check_offer
from kiss3d_backend.models.pull_process import PullNotice
from kiss3d_backend.reports.folder import ReportFolder, file_ref
from kiss3d_backend.worker.supervisor import Notice
from kiss3d_protocol.deletion import Delete
from kiss3d_protocol.errors import (
    BackendFault,
    HelloRequired,
    JobNotEnded,
    JobNotWaiting,
    Kiss3DError,
    MessageTooLarge,
    PairingRefused,
)
from kiss3d_protocol.fetching import Fetch, GetResults
from kiss3d_protocol.framing import decode_client, peek, version_mismatch
from kiss3d_protocol.inputs import check_inputs
from kiss3d_protocol.messages import (
    TAGS,
    TERMINAL_EVENTS,
    Attach,
    Cancel,
    Choose,
    ClientMessage,
    GetReport,
    GetStatus,
    Hello,
    JobList,
    ListJobs,
    Ping,
    Pong,
    Refused,
    ReportFiles,
    ServerMessage,
    Status,
    Submit,
    Welcome,
)
from kiss3d_protocol.models import CancelPull, ListModels, PullModels
from kiss3d_protocol.pairing import Pair
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.version import PROTOCOL_MAJOR, major_of, minor_of

_log = logging.getLogger(__name__)


def _fault(owner: ClientIdentity, unexpected: Exception) -> BackendFault:
    """One client's message must not end everybody's backend."""
    _log.error("a message of %s could not be carried out", owner.name, exc_info=unexpected)
    return BackendFault("The backend has made a mistake with this message.")


class KeyUnknown(Exception):
    """The key of a connection was taken off the allow list while the connection stood."""


class Broker:
    """Joins clients, jobs, workers and the pull of model files.

    ``admission`` knows the clients. ``data_dir`` is where the models' own files lie. ``welcome`` makes the present
    welcome message; ``check_submit`` raises for pictures and meshes that nobody could use; ``status`` says how the
    backend is, as a client may know it.
    """

    def __init__(
        self,
        book: JobBook,
        reports: ReportFolder,
        keeper: Keeper,
        executor: Executor,
        pulls: Pulls,
        sessions: Sessions,
        admission: Admission,
        instance: str,
        data_dir: Path,
        welcome: Callable[[], Welcome],
        check_submit: Callable[[Submit, Sequence[Blob]], object],
        status: Callable[[ClientIdentity], Status],
    ) -> None:
        self.sessions = sessions
        self.results = Results(book)
        self._book = book
        self._places = Places(book.positions)
        self._keeper = keeper
        self._deleting: set[str] = set()
        self._reports = reports
        self._executor = executor
        self._dispatch = Dispatch(book, keeper.reserve, executor, self._publish, self._places.change)
        self._models = ModelDesk(pulls, sessions, data_dir, welcome)
        self._admission = admission
        self._data_dir = data_dir
        self._instance = instance
        self._welcome = welcome
        self._check_submit = check_submit
        self._status = status

    def receive(self, identity: bytes, key: str, frames: Sequence[Blob], now: float) -> ServerMessage | None:
        """Carries out a message that came over the connection ``identity``, which proved ``key``.

        Returns an answer for a peer that has no session, and no other. Raises :class:`KeyUnknown` for a key that is
        on the allow list no more: such a one gets no answer.
        """
        owner = self._admission.who(key)
        if owner is None:
            raise KeyUnknown
        if isinstance(owner, Pairing):
            return self._admission.pair(owner, frames)
        session = self.sessions.get(identity, now)
        message: ClientMessage | None = None
        try:
            message, blobs = decode_client(frames)
            if session is None and not isinstance(message, Hello):
                raise HelloRequired("The backend does not know this connection (any more).")
            # A full or broken disk refuses one message; it must not end the broker.
            with naming_disk_errors():
                if isinstance(message, Hello):
                    self._greet(identity, key, owner, message, now)
                else:
                    assert session is not None
                    self._carry_out(session, message, blobs)
        except Exception as unexpected:
            error = unexpected if isinstance(unexpected, Kiss3DError) else _fault(owner, unexpected)
            about, job = peek(frames) if message is None else (TAGS[type(message)], getattr(message, "job", None))
            words = "%s: a message (%s) was refused: %s %s"
            _log.warning(words, owner.name, about or "unreadable", error.code, error.message, extra={"job": job})
            refused = Refused(about=about, job=job, code=error.code, message=error.message, remedy=error.remedy)
            if session is None:
                return refused
            session.outbox.put(Letter(refused))
        return None

    def hear(self, notice: Notice | PullNotice) -> None:
        """Takes a word of a worker, or of the pull."""
        if isinstance(notice, Notice):
            self._dispatch.hear(notice)
            return
        self._models.hear(notice)

    def start_no_more(self) -> None:
        """Jobs that run go on; those that wait, and those still to come, are for the next backend."""
        self._dispatch.close()

    def tick(self, now: float) -> None:
        """Does what is due: the workers' care, the next jobs, the pull, silent clients."""
        self._dispatch.tick()
        self._models.tick()
        self._publish(self._places.due(now))
        if self._admission.has_changed():
            self._part_with_revoked()
        for session in self.sessions.expire(now):
            _log.info("client %s has gone", session.client)

    def _part_with_revoked(self) -> None:
        for session in self.sessions:
            if self._admission.who(session.key) != session.owner:
                _log.info("client %s (%s): its key is not valid any more", session.owner.name, session.client)
                self.sessions.close(session)

    def _greet(self, identity: bytes, key: str, owner: ClientIdentity, hello: Hello, now: float) -> None:
        if major_of(hello.protocol) != PROTOCOL_MAJOR:
            raise version_mismatch(hello.protocol)
        session = self.sessions.open(identity, hello.client, now, minor_of(hello.protocol), key=key, owner=owner)
        # It asks again for what has not come.
        session.outbox.forget_fetches()
        # A client that waited for this backend repeated its hello; one welcome answers them all.
        if not session.outbox.holds(Welcome):
            session.outbox.put(Letter(self._welcome()))
            self._admission.greet(owner)
            _log.info("client %s (%s) says hello", owner.name, hello.client)

    def _carry_out(self, session: Session, message: ClientMessage, blobs: Sequence[Blob]) -> None:
        match message:
            case Ping():
                session.outbox.put(Letter(Pong(self._instance)))
            case Submit():
                self._submit(session, message, blobs)
            case Cancel():
                self._book.get(message.job, session.owner)
                self._cancel(message.job)
            case Delete():
                self._delete(session, message.job)
            case Attach():
                self._attach(session, message)
            case ListJobs():
                self._list(session, message.limit)
            case Choose():
                self._choose(session, message)
            case GetReport():
                self._report(session, message.job)
            case GetResults():
                self.results.send_meshes(session, message.job)
            case Fetch():
                self.results.ask_chunk(session, message)
            case GetStatus():
                session.outbox.put(Letter(self._status(session.owner)))
            case ListModels():
                self._models.list_models(session)
            case PullModels():
                self._models.pull(session, message)
            case CancelPull():
                self._models.cancel(session)
            case Pair():
                raise PairingRefused("This client has been paired already.")
            case Hello():
                raise AssertionError("a hello is carried out elsewhere")

    def _submit(self, session: Session, submit: Submit, blobs: Sequence[Blob]) -> None:
        check_inputs(submit)
        check_offer(submit.params, self._data_dir)
        self._check_submit(submit, blobs)
        posted = self._book.submit(submit, blobs, session.owner)
        session.follows.add(submit.job)
        if not posted:
            self._attach(session, Attach(submit.job))
            return
        words = "job %s: accepted from %s (%s)"
        _log.info(words, submit.job, session.owner.name, session.client, extra={"job": submit.job})
        self._publish(posted)
        # Jobs of others may come behind this one now.
        self._places.change()
        self._dispatch.start_jobs()

    def _cancel(self, job: str) -> None:
        posted = self._book.cancel_waiting(job)
        if posted:
            self._publish(posted)
            self._places.change()
        else:
            # A job that has ended stays as it is.
            self._executor.cancel(job)

    def _delete(self, session: Session, job: str) -> None:
        record = self._book.get(job, session.owner)
        session.follows.add(job)
        if record.ended:
            self._remove(job)
        else:
            # Its end, whichever that is, removes it.
            self._deleting.add(job)
            self._cancel(job)

    def _remove(self, job: str) -> None:
        self._deleting.discard(job)
        self._keeper.delete(job)
        _log.info("job %s: deleted", job)
        self.sessions.publish_deleted(job)

    def _attach(self, session: Session, attach: Attach) -> None:
        self._book.get(attach.job, session.owner)
        events, progress = self._book.history(attach.job, attach.after)
        for event in events:
            session.post(Letter(event.envelope, event.artifacts))
        if progress is not None:
            session.outbox.put(Letter(progress))
        session.follows.add(attach.job)

    def _list(self, session: Session, limit: int) -> None:
        jobs = tuple(record.summary() for record in self._book.summaries(limit, session.owner))
        while True:
            try:
                session.outbox.put(Letter(JobList(jobs)))
            except MessageTooLarge:
                # Jobs with long names; the newest are what is wanted most.
                jobs = jobs[: len(jobs) // 2]
            else:
                return

    def _choose(self, session: Session, choose: Choose) -> None:
        if self._book.get(choose.job, session.owner).ended:
            raise JobNotWaiting("The job has ended; there is nothing to choose any more.")
        self._executor.choose(choose.job, choose.indices)

    def _report(self, session: Session, job: str) -> None:
        if not self._book.get(job, session.owner).ended:
            raise JobNotEnded("The job has not ended, so there is no report yet.")
        data, page = self._reports.paths(job)
        files = ReportFiles(job, file_ref(0, "json", data), file_ref(1, "html", page))
        session.outbox.put(Letter(files, files=(data, page)))

    def _publish(self, posted: Sequence[Posted]) -> None:
        for each in posted:
            event = each.event
            self.sessions.publish(event.job, Letter(event, each.artifacts))
            if event.job in self._deleting and isinstance(event, TERMINAL_EVENTS):
                try:
                    self._remove(event.job)
                except DISK_ERRORS as error:
                    named = disk_error(error)
                    refused = Refused("delete", event.job, named.code, named.message, named.remedy)
                    self.sessions.publish(event.job, Letter(refused))
