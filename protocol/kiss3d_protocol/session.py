"""The client's half of a connection as a pure state machine: frames and seconds in, frames and news out.

It holds no socket, no thread and no clock, so that every order of events can be tested. It carries out SPEC.md,
sections 3 and 4: hello, heartbeats, attaching again after a loss, sending unanswered submits again, dropping doubled
events, asking for missing ones, and fetching blobs that did not come with their events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from kiss3d_protocol.deletion import Delete, Deleted
from kiss3d_protocol.downloads import Downloads
from kiss3d_protocol.errors import (
    HelloRequired,
    Kiss3DError,
    ProtocolError,
    ProtocolVersionMismatch,
    TooManyRequests,
    error_from_wire,
)
from kiss3d_protocol.fetching import Chunk, FetchFailed, GetResults, JobResult
from kiss3d_protocol.following import FollowedJobs
from kiss3d_protocol.framing import decode_server, encode, version_mismatch
from kiss3d_protocol.messages import (
    Attach,
    Cancel,
    Choose,
    ClientMessage,
    Event,
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
from kiss3d_protocol.models import PULL_ENDS, CancelPull, ListModels, ModelList, PullModels
from kiss3d_protocol.news import LinkChanged as LinkChanged
from kiss3d_protocol.news import LinkState as LinkState
from kiss3d_protocol.news import News as News
from kiss3d_protocol.news import Received as Received
from kiss3d_protocol.pairing import NewBackendKey
from kiss3d_protocol.parts import MemoryParts, Parts
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.version import HEARTBEAT_SECONDS, PROTOCOL_MAJOR, PROTOCOL_VERSION, major_of

HELLO_EVERY_SECONDS = 1.0
LOST_AFTER_HEARTBEATS = 3


class ClientSession:
    """Feed it with :meth:`receive` and :meth:`tick`; then take :attr:`outgoing` and :attr:`news`.

    ``parts``: where blobs are kept while they are fetched.
    """

    def __init__(self, client_name: str, parts: Parts | None = None) -> None:
        self.client_name = client_name
        self.state = LinkState.CONNECTING
        self.welcome: Welcome | None = None
        self.new_backend_key: str | None = None
        self.outgoing: deque[list[Blob]] = deque()
        self.news: deque[News] = deque()
        self._downloads = Downloads(MemoryParts() if parts is None else parts)
        self._followed = FollowedJobs()
        self._results: dict[str, None] = {}
        self._deletions: dict[str, None] = {}
        self._pulls: list[PullModels] = []
        self._cancel_pull = False
        self._waiting: deque[ClientMessage] = deque()
        self._next_hello = 0.0
        self._last_heard = 0.0
        self._last_sent = 0.0
        self._turned_away = ""

    # -- what the user wants ------------------------------------------------------------------------

    def submit(self, submit: Submit, blobs: Sequence[Blob]) -> None:
        """Makes a job; sent again after a loss until the backend has answered."""
        self._followed.submit(submit, blobs)
        if self.state is LinkState.CONNECTED:
            self._send(submit, blobs)

    def attach(self, job: str, after: int) -> None:
        """Follows a job from the event after number ``after``."""
        self._followed.attach(job, after)
        self._downloads.forget(job)
        if self.state is LinkState.CONNECTED:
            self._send(Attach(job, after))

    def cancel(self, job: str) -> None:
        """Asks the backend to stop a job; asks again after a loss while the job is followed and has not ended."""
        if not self._followed.cancel(job):
            self._send_or_keep(Cancel(job))
        elif self.state is LinkState.CONNECTED:
            self._send(Cancel(job))

    def delete(self, job: str) -> None:
        """Asks the backend to delete a job; asks again after a loss until that has been answered."""
        self._deletions[job] = None
        if self.state is LinkState.CONNECTED:
            self._send(Delete(job))

    def list_jobs(self, limit: int) -> None:
        """Asks for a job list."""
        self._send_or_keep(ListJobs(limit))

    def get_report(self, job: str) -> None:
        """Asks for the report of a job that has ended."""
        self._send_or_keep(GetReport(job))

    def get_results(self, job: str) -> None:
        """Asks for the meshes of a job; asks again after a loss until they have been named."""
        self._results[job] = None
        if self.state is LinkState.CONNECTED:
            self._send(GetResults(job))

    def choose(self, job: str, indices: Sequence[int]) -> None:
        """Chooses among the bundles of a job; said again after a loss while nothing has answered it."""
        choice = Choose(job, tuple(indices))
        if not self._followed.choose(choice):
            self._send_or_keep(choice)
        elif self.state is LinkState.CONNECTED:
            self._send(choice)

    def get_status(self) -> None:
        """Asks how the backend is."""
        self._send_or_keep(GetStatus())

    def list_models(self) -> None:
        """Asks for a model list."""
        self._send_or_keep(ListModels())

    def pull_models(self, pull: PullModels) -> None:
        """Gets models and follows the pull to its end, also over losses."""
        self._cancel_pull = False
        if pull not in self._pulls:
            self._pulls.append(pull)
        if self.state is LinkState.CONNECTED:
            self._send(pull)

    def cancel_pull(self) -> None:
        """Asks the backend to stop the pull; asks again after a loss until its end has come."""
        self._pulls.clear()
        self._cancel_pull = True
        if self.state is LinkState.CONNECTED:
            self._send(CancelPull())

    # -- what happens -------------------------------------------------------------------------------

    def tick(self, now: float) -> float:
        """Does what is due at ``now`` (seconds of any steady clock); returns the seconds until the next call."""
        if self.state is LinkState.FAILED:
            return 3600.0
        if self.state is not LinkState.CONNECTED:
            if now >= self._next_hello:
                self._next_hello = now + HELLO_EVERY_SECONDS
                self._send(Hello(PROTOCOL_VERSION, self.client_name))
            return self._next_hello - now
        heartbeat = self.welcome.heartbeat_seconds if self.welcome else HEARTBEAT_SECONDS
        if now - self._last_heard > LOST_AFTER_HEARTBEATS * heartbeat:
            self._lose(now)
            return self.tick(now)
        if now - self._last_sent >= heartbeat:
            self._last_sent = now
            self._send(Ping())
        self._fetch(now)
        return heartbeat / 4

    def receive(self, frames: Sequence[Blob], now: float) -> None:
        """Takes one message from the backend. Messages that break the protocol are dropped."""
        if self.state is LinkState.FAILED:
            return
        try:
            message, blobs = decode_server(frames)
        except ProtocolVersionMismatch as error:
            self._fail(error)
            return
        except ProtocolError as error:
            # A stranger's bytes must not end a session; a backend's must not be lost in silence.
            if self.state is LinkState.CONNECTED:
                self.news.append(LinkChanged(self.state, self.welcome, error))
            return
        self._last_heard = now
        match message:
            case Welcome():
                self._welcomed(message, now)
            case Refused():
                self._refused(message, now)
            case Chunk():
                # Whatever the connection has come to meanwhile: what is here need not be fetched again.
                self._downloads.take(message, blobs[message.piece.blob], now)
            case NewBackendKey():
                # The end of the connection may be noticed before the last thing that was said over it.
                self.new_backend_key = message.public_key
                self.interrupted(now)
            case _ if self.state is not LinkState.CONNECTED:
                # Too late or too early: after the welcome everything that matters is asked for again.
                pass
            case Pong():
                if self.welcome is not None and message.instance != self.welcome.instance:
                    self._lose(now)
            case JobList() | ModelList() | Status():
                self.news.append(Received(message))
            case ReportFiles():
                self.news.append(Received(message, blobs))
            case Deleted():
                self._deletions.pop(message.job, None)
                self._followed.forget(message.job)
                self._downloads.forget(message.job)
                self.news.append(Received(message))
            case Event():
                self._event(message, blobs)
            case JobResult():
                self._result(message, blobs)
            case FetchFailed():
                self._downloads.fail(message)
            case _:
                self._pull_news(message)
        while self._downloads.whole:
            self.news.append(Received(*self._downloads.whole.popleft()))  # pyright: ignore[reportArgumentType]
        self._fetch(now)

    def interrupted(self, now: float) -> None:
        """The transport's connection has ended; it makes another one. There is no need to wait for a silence."""
        if self.state is LinkState.CONNECTED:
            self._lose(now)

    def turned_away(self, error: Kiss3DError, now: float) -> None:
        """This client was turned away and will try again. Told once for each reason, until a welcome comes."""
        if self.state is LinkState.FAILED:
            return
        if self.state is LinkState.CONNECTED:
            self.state, self._next_hello = LinkState.LOST, now
        if error.message != self._turned_away:
            self._turned_away = error.message
            self.news.append(LinkChanged(self.state, None, error))

    @property
    def was_turned_away(self) -> bool:
        """Whether the reason of the silence is known."""
        return bool(self._turned_away)

    def _welcomed(self, welcome: Welcome, now: float) -> None:
        if major_of(welcome.protocol) != PROTOCOL_MAJOR:
            self._fail(version_mismatch(welcome.protocol))
            return
        before = self.welcome if self.state is LinkState.CONNECTED else None
        self.state, self.welcome, self._last_sent, self._turned_away = LinkState.CONNECTED, welcome, now, ""
        if before is not None and before.instance == welcome.instance:
            # The same backend. Its free memory may have changed, which is no news; what it offers is.
            if (before.presets, before.missing_models) != (welcome.presets, welcome.missing_models):
                self.news.append(LinkChanged(self.state, welcome))
            return
        self.news.append(LinkChanged(self.state, welcome))
        self._downloads.lost()
        for message, blobs in self._followed.again():
            self._send(message, blobs)
        for job in self._results:
            self._send(GetResults(job))
        for job in self._deletions:
            self._send(Delete(job))
        for pull in self._pulls:
            self._send(pull)
        if self._cancel_pull:
            self._send(CancelPull())
        while self._waiting:
            self._send(self._waiting.popleft())

    def _refused(self, refused: Refused, now: float) -> None:
        if refused.code == ProtocolVersionMismatch.code:
            self._fail(error_from_wire(refused.code, refused.message, refused.remedy))
        elif refused.code == HelloRequired.code:
            if self.state is LinkState.CONNECTED:
                self._lose(now)
        elif refused.about == "hello":
            self.turned_away(error_from_wire(refused.code, refused.message, refused.remedy), now)
        elif refused.about == "fetch" and refused.code == TooManyRequests.code:
            self._downloads.lost()
        elif refused.about == "fetch" and refused.job is not None:
            self._downloads.refused(refused.job, refused)
        else:
            if refused.job is not None and refused.about in ("submit", "attach"):
                self._followed.forget(refused.job)
            elif refused.job is not None and refused.about == "choose":
                self._followed.forget_choice(refused.job)
            elif refused.job is not None and refused.about == "get_results":
                self._results.pop(refused.job, None)
            elif refused.job is not None and refused.about == "delete":
                self._deletions.pop(refused.job, None)
            elif refused.about == "pull_models" and self._pulls:
                # They are answered in order, and those that were not refused are the backend's business now.
                self._pulls.pop()
            self.news.append(Received(refused))

    def _event(self, event: Event, blobs: Sequence[Blob]) -> None:
        taken = self._followed.take(event)
        if isinstance(taken, Attach):
            self._send(taken)
        elif taken:
            self._downloads.add(event, blobs)

    def _result(self, result: JobResult, blobs: Sequence[Blob]) -> None:
        if result.job not in self._results:
            return
        if result.index == result.count - 1:
            del self._results[result.job]
        self._downloads.add(result, blobs)

    def _pull_news(self, message: ServerMessage) -> None:
        if not self._pulls and not self._cancel_pull:
            return
        if isinstance(message, PULL_ENDS):
            self._pulls.clear()
            self._cancel_pull = False
        elif self._cancel_pull:
            return
        self.news.append(Received(message))

    def _fetch(self, now: float) -> None:
        if self.state is LinkState.CONNECTED:
            for fetch in self._downloads.requests(now):
                self._send(fetch)

    def _lose(self, now: float) -> None:
        self.state, self._next_hello = LinkState.LOST, now
        self.news.append(LinkChanged(self.state))

    def _fail(self, error: Kiss3DError) -> None:
        self.state = LinkState.FAILED
        self.news.append(LinkChanged(self.state, None, error))

    def _send_or_keep(self, message: ClientMessage) -> None:
        if self.state is LinkState.CONNECTED:
            self._send(message)
        elif message not in self._waiting:
            self._waiting.append(message)

    def _send(self, message: ClientMessage, blobs: Sequence[Blob] = ()) -> None:
        self.outgoing.append(encode(message, blobs))
