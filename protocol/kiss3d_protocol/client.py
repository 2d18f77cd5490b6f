"""A client of a backend: one thread owns the connection, news come through a queue.

The user's side never blocks unless it asks to: :meth:`Client.poll` looks, :meth:`Client.wait` waits.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.deletion import Delete
from kiss3d_protocol.diagnose import diagnose
from kiss3d_protocol.errors import ConnectionFailed, ConnectionLost, Kiss3DError
from kiss3d_protocol.fetching import GetResults
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Attach, Cancel, Choose, GetReport, ListJobs, Submit, Welcome
from kiss3d_protocol.models import PullModels
from kiss3d_protocol.parts import FolderParts, Parts, downloads_dir
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.servers import Endpoint, find_endpoint, keep_backend_key
from kiss3d_protocol.session import ClientSession, LinkChanged, LinkState, News
from kiss3d_protocol.transport import Transport
from kiss3d_protocol.transport.zeromq import ZeroMQTransport

DIAGNOSE_AFTER_SECONDS = 2.5
"""How long a backend may stay silent at first before the reason is looked for."""

LOOK_FOR_KEYS_SECONDS = 2.0


class Client:
    """Talks to one backend until :meth:`close`; reconnects and resumes by itself.

    ``backend`` is ``tcp://HOST:PORT`` or the name of a backend that this computer was paired with; ``client_name`` is
    name/version. Raises what :func:`find_endpoint` raises. With a ``transport`` of one's own no keys are looked for.
    ``parts`` keeps what has come of a result, by default in a folder, so that the next client goes on from there.

    News are :class:`LinkChanged` and :class:`Received`, in the order in which they happened. While the backend has
    never answered, a LinkChanged with an ``error`` says why, again each time that the reason changes; the client
    goes on trying.
    """

    def __init__(
        self,
        backend: str,
        client_name: str,
        *,
        transport: Callable[[Address], Transport] | None = None,
        parts: Parts | None = None,
        diagnosis: Callable[[Address], ConnectionFailed] = diagnose,
        diagnose_after: float = DIAGNOSE_AFTER_SECONDS,
    ) -> None:
        self._session = ClientSession(client_name, FolderParts(downloads_dir()) if parts is None else parts)
        self._backend = backend
        self._endpoint: Endpoint | None = None
        if transport is None:
            self._endpoint = find_endpoint(backend)
            self.address = self._endpoint.address
            self._transport: Transport = ZeroMQTransport(self.address, self._endpoint.keys)
        else:
            self.address = parse_address(backend)
            self._transport = transport(self.address)
        self._next_look = 0.0
        self._diagnosis = diagnosis
        self._diagnose_after = diagnose_after
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kiss3d-client", daemon=True)
        self._thread.start()

    def poll(self) -> News | None:
        """The next piece of news, or None; never blocks."""
        try:
            return self._news.get_nowait()
        except queue.Empty:
            return None

    def wait(self, timeout: float) -> News | None:
        """The next piece of news, or None after ``timeout`` seconds."""
        try:
            return self._news.get(timeout=timeout)
        except queue.Empty:
            return None

    def connected(self, timeout: float) -> Welcome:
        """Waits for the backend's welcome.

        For programs that cannot do anything without a backend. Raises the reason: a :class:`ConnectionFailed` or
        :class:`ProtocolVersionMismatch`. News other than those of the connection must not be expected yet.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            news = self.wait(left)
            if isinstance(news, LinkChanged):
                if news.welcome is not None:
                    return news.welcome
                if news.error is not None:
                    raise news.error
        raise self._diagnosis(self.address)

    def submit(self, submit: Submit, blobs: Sequence[Blob]) -> None:
        """Makes a job and follows it.

        Raises :class:`MessageTooLarge` or :class:`MessageMalformed` at once for what cannot be sent.
        """
        encode(submit, blobs)
        self._command(lambda: self._session.submit(submit, blobs))

    def attach(self, job: str, after: int = 0) -> None:
        """Follows a job from the event after number ``after``. Raises ValueError for what is no job id or number."""
        attach = Attach(job, after)
        self._command(lambda: self._session.attach(attach.job, attach.after))

    def cancel(self, job: str) -> None:
        """Asks for the end of a job; its ``cancelled`` event says that it has ended. Raises ValueError for a bad id."""
        cancel = Cancel(job)
        self._command(lambda: self._session.cancel(cancel.job))

    def delete(self, job: str) -> None:
        """Asks for a job to be deleted with its results; one that runs is cancelled first. The answer is a
        :class:`Deleted` or a :class:`Refused`. Raises ValueError for a bad id."""
        request = Delete(job)
        self._command(lambda: self._session.delete(request.job))

    def list_jobs(self, limit: int = 100) -> None:
        """Asks for the newest jobs; the answer is a :class:`JobList`. Raises ValueError for a limit out of range."""
        request = ListJobs(limit)
        self._command(lambda: self._session.list_jobs(request.limit))

    def get_report(self, job: str) -> None:
        """Asks for the report of a job that has ended; the answer is a :class:`ReportFiles` with its two blobs, or a
        :class:`Refused`. Raises ValueError for what is no job id."""
        request = GetReport(job)
        self._command(lambda: self._session.get_report(request.job))

    def get_results(self, job: str) -> None:
        """Asks for the meshes of a job, also of one that this program did not follow; it is not followed.

        The answer is a :class:`JobResult` with its blobs for each mesh (the newest of each bundle, whatever its
        quality), or a :class:`Refused`; a :class:`FetchFailed` stands for one that is not on the backend's disk any
        more. After a loss a result may come twice. Raises ValueError for what is no job id.
        """
        request = GetResults(job)
        self._command(lambda: self._session.get_results(request.job))

    def choose(self, job: str, indices: Sequence[int]) -> None:
        """Chooses among the bundles of a job that waits for it (:class:`BundlesReady`); indices count from 0.

        Raises ValueError for what is no job id or index.
        """
        choice = Choose(job, tuple(indices))
        self._command(lambda: self._session.choose(choice.job, choice.indices))

    def get_status(self) -> None:
        """Asks how the backend is; the answer is a :class:`Status`."""
        self._command(self._session.get_status)

    def list_models(self) -> None:
        """Asks for the backend's models; the answer is a :class:`ModelList`."""
        self._command(self._session.list_models)

    def pull_models(self, preset: str | None = None, entries: Sequence[str] = ()) -> None:
        """Gets what is missing of a preset's models and of the named entries; joins a pull that runs.

        News are :class:`PullProgress` and one of :data:`kiss3d_protocol.models.PULL_ENDS`, or a :class:`Refused`.
        """
        pull = PullModels(preset, tuple(entries))
        self._command(lambda: self._session.pull_models(pull))

    def cancel_pull(self) -> None:
        """Asks for the end of the pull; :class:`PullCancelled` says that it has ended."""
        self._command(self._session.cancel_pull)

    def close(self) -> None:
        """Ends the thread and the connection. What was asked before still leaves."""
        if self._thread.is_alive():
            self._commands.put(None)
            self._transport.wake()
            self._thread.join(timeout=5.0)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _command(self, command: Callable[[], None]) -> None:
        self._commands.put(command)
        self._transport.wake()

    def _run(self) -> None:
        session = self._session
        doctor = _Diagnosis(self.address, self._diagnosis, self._diagnose_after)
        try:
            while self._carry_out_commands():
                self._keep_new_key()
                if session.state is not LinkState.CONNECTED:
                    self._look_for_keys()
                transport = self._transport
                pause = session.tick(time.monotonic())
                while session.outgoing:
                    transport.send(session.outgoing.popleft())
                try:
                    frames = transport.receive(min(pause, 0.5))
                except ConnectionLost:
                    session.interrupted(time.monotonic())
                except ConnectionFailed as error:
                    session.turned_away(error, time.monotonic())
                else:
                    if frames is not None:
                        session.receive(frames, time.monotonic())
                while session.news:
                    self._news.put(session.news.popleft())
                found = doctor.look(session.state is LinkState.CONNECTING and not session.was_turned_away)
                if found is not None:
                    self._news.put(LinkChanged(LinkState.CONNECTING, None, found))
            while session.outgoing:
                self._transport.send(session.outgoing.popleft())
        finally:
            self._transport.close()

    def _keep_new_key(self) -> None:
        key, self._session.new_backend_key = self._session.new_backend_key, None
        if key is not None and self._endpoint is not None:
            with contextlib.suppress(Kiss3DError):
                keep_backend_key(self._endpoint, key)
            self._next_look = 0.0

    def _look_for_keys(self) -> None:
        """While there is no connection: the backend may have other keys by now, and the user's files know them."""
        now = time.monotonic()
        if self._endpoint is None or now < self._next_look:
            return
        self._next_look = now + LOOK_FOR_KEYS_SECONDS
        try:
            found = find_endpoint(self._backend)
        except Kiss3DError:
            return
        if found != self._endpoint and found.address == self.address:
            self._transport.close()
            self._transport, self._endpoint = ZeroMQTransport(found.address, found.keys), found

    def _carry_out_commands(self) -> bool:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return True
            if command is None:
                return False
            command()


class _Diagnosis:
    """Looks for the reason of a silence in a thread of its own, and tells it when it is a new one."""

    def __init__(self, address: Address, diagnosis: Callable[[Address], ConnectionFailed], after: float) -> None:
        self._address = address
        self._diagnosis = diagnosis
        self._pause = after
        self._due = time.monotonic() + after
        self._found: queue.SimpleQueue[ConnectionFailed] = queue.SimpleQueue()
        self._told: str | None = None
        self._running = False

    def look(self, silent: bool) -> ConnectionFailed | None:
        """Starts a look when one is due; returns its finding once while the silence lasts."""
        if not silent:
            return None
        if not self._running and time.monotonic() >= self._due:
            self._running = True
            threading.Thread(target=self._search, name="kiss3d-diagnosis", daemon=True).start()
        try:
            found = self._found.get_nowait()
        except queue.Empty:
            return None
        self._running, self._due = False, time.monotonic() + self._pause
        if found.message == self._told:
            return None
        self._told = found.message
        return found

    def _search(self) -> None:
        self._found.put(self._diagnosis(self._address))
