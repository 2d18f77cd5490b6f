"""``kiss3d serve``: the ROUTER socket and the loop around the broker. Imports no torch and no numpy."""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import sys
import time
import uuid
from collections.abc import Callable, Sequence

import zmq
from attrs import field, frozen

from kiss3d_backend.broker.admission import Admission
from kiss3d_backend.broker.bell import Bell
from kiss3d_backend.broker.broker import Broker, KeyUnknown
from kiss3d_backend.broker.delivery import Delivery
from kiss3d_backend.broker.gate import Gate
from kiss3d_backend.broker.key_watch import KeyWatch
from kiss3d_backend.broker.metrics import EVERY_SECONDS, Metrics
from kiss3d_backend.broker.pulls import Pulls
from kiss3d_backend.broker.sessions import Sessions
from kiss3d_backend.broker.status import StatusDesk
from kiss3d_backend.broker.stopping import StopRequest
from kiss3d_backend.broker.welcome import make_welcome
from kiss3d_backend.clients.identity import OWNER
from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DEFAULT_RECIPES, DataDir, WorkerLimits
from kiss3d_backend.disk import DISK_ERRORS
from kiss3d_backend.executor.executor import Executor
from kiss3d_backend.executor.fleet import Fleet, LocalFleet
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook, JobEnd
from kiss3d_backend.jobs.instances import alive, is_dead
from kiss3d_backend.jobs.keeper import Keeper
from kiss3d_backend.jobs.store import JobRecord, JobStore
from kiss3d_backend.models.pull_process import PullNotice, PullProcess, pull_command
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.worker.supervisor import Notice
from kiss3d_protocol.address import Address
from kiss3d_protocol.errors import BindRefused
from kiss3d_protocol.framing import encode
from kiss3d_protocol.key_files import BackendKeys, backend_keys
from kiss3d_protocol.messages import Submit
from kiss3d_protocol.payloads import Blob

_log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
INTAKE = "kiss3d_backend.intake.submit"


@frozen
class ServeConfig:
    """How a backend runs. ``private``: its unfinished jobs are cancelled when it ends. ``vram_budget``: bytes of the
    graphics card that jobs are planned with; None leaves it to the machine. ``keep_days``, ``keep_gigabytes``: see
    :class:`kiss3d_backend.jobs.keeper.Keeping`; None leaves it as it was said before. ``grace``: seconds that the
    running jobs are given when the backend is told to stop. ``metrics``: where they are served."""

    bind: Address
    data_dir: DataDir
    recipes: str = DEFAULT_RECIPES
    private: bool = False
    vram_budget: int | None = None
    keep_days: float | None = None
    keep_gigabytes: float | None = None
    grace: float = 0.0
    metrics: Address | None = None
    worker: WorkerLimits = field(factory=WorkerLimits)


@frozen
class Ready:
    """What a backend tells when it can be talked to. ``metrics``: the address of its page for Prometheus, if any."""

    address: str
    instance: str
    metrics: str | None = None


def local_fleet(config: ServeConfig) -> Fleet:
    """One worker, beside the broker."""
    budget = () if config.vram_budget is None else ("--vram-budget", str(config.vram_budget))
    worker = (sys.executable, "-m", "kiss3d_backend.worker.main", "--data-dir", str(config.data_dir.root))
    return LocalFleet([*worker, "--recipes", config.recipes, *budget])


def serve(config: ServeConfig, ready: Callable[[Ready], None], stop: StopRequest, fleet: Fleet | None = None) -> None:
    """Runs a backend until it is asked to stop. ``fleet``: where its workers are; by default :func:`local_fleet`.

    Raises :class:`BindRefused`, :class:`AddressInUse`, :class:`AddressInvalid`, :class:`DataDirectoryUnusable`, and
    what :func:`backend_keys` and :class:`Metrics` raise.
    """
    instance = str(uuid.uuid4())
    fleet = local_fleet(config) if fleet is None else fleet
    with contextlib.ExitStack() as stack:
        stack.callback(fleet.close)
        data = config.data_dir.create()
        keys = backend_keys()
        registry = ClientRegistry(data.clients, keys.owner.public)
        stack.callback(registry.close)
        if not config.bind.is_loopback and not registry.expects_anybody():
            raise BindRefused(f"{config.bind} can be reached from other machines, but no client has a key yet.")
        gate = Gate(config.bind, keys.backend, lambda key: registry.who(key) is not None, registry.name_of)
        stack.callback(gate.close)
        stack.enter_context(alive(data.backends, instance))
        store = JobStore(data.database)
        stack.callback(store.close)
        reports = ReportFolder(data.reports)
        keeper = Keeper(data, store)
        keeper.set_keeping(config.keep_days, config.keep_gigabytes)

        def ended(record: JobRecord, end: JobEnd) -> None:
            reports.close(record, end)
            keeper.job_ended()

        book = JobBook(store, Artifacts(data.artifacts), instance, ended=ended)
        admission = Admission(registry)
        server = _Server(config, gate, book, reports, keeper, admission, KeyWatch(keys), instance, fleet)
        stack.callback(server.close)
        page = None
        if config.metrics is not None:
            metrics = server.serve_metrics(config.metrics)
            stack.callback(metrics.close)
            page = f"http://{config.metrics.host}:{metrics.port}/metrics"
        if not config.private:
            book.adopt(lambda backend: is_dead(data.backends, backend))
        ready(Ready(gate.address, instance, page))
        server.run(stop)


class _Server:
    """The loop: socket to broker, workers' words to broker, outboxes to socket."""

    def __init__(
        self,
        config: ServeConfig,
        gate: Gate,
        book: JobBook,
        reports: ReportFolder,
        keeper: Keeper,
        admission: Admission,
        keys: KeyWatch,
        instance: str,
        fleet: Fleet,
    ) -> None:
        self._config = config
        self._gate = gate
        self._book = book
        self._keeper = keeper
        self._admission = admission
        self._keys = keys
        self._notices: queue.SimpleQueue[Notice | PullNotice] = queue.SimpleQueue()
        self._bell = Bell()
        self._executor = Executor(fleet, self._notify, config.worker)
        self._metrics: Metrics | None = None
        self._metrics_due = float("-inf")
        self._end_by: float | None = None
        root = config.data_dir.root
        sessions = Sessions()
        self._desk = StatusDesk(instance, root, book, self._executor, sessions)
        command = pull_command(root)
        self._pulls = Pulls(lambda names, start: PullProcess([*command, *names], start, self._notify))
        self._broker = Broker(
            book,
            reports,
            keeper,
            self._executor,
            self._pulls,
            sessions,
            admission,
            instance,
            root,
            lambda: make_welcome(instance, root),
            _check_submit,
            self._desk.status,
        )
        self._delivery = Delivery(gate, self._broker.sessions, self._broker.results, book.artifacts)

    def serve_metrics(self, bind: Address) -> Metrics:
        """Begins to serve them; they are renewed by the loop."""
        self._metrics = Metrics(bind)
        return self._metrics

    def run(self, stop: StopRequest) -> None:
        poller = self._poller()
        self._broker.tick(time.monotonic())
        # Needed at the first submit; loaded now, while the worker starts, it delays neither that nor readiness.
        importlib.import_module(INTAKE)
        self._keeper.sweep()
        pause: float | None = None
        while not (stop.asked and self._may_end(stop, time.monotonic())):
            ready = dict(poller.poll(int(1000 * (TICK_SECONDS if pause is None else pause))))
            if self._bell.socket in ready:
                self._bell.silence()
            self._gate.attend()
            self._receive_all()
            while not self._notices.empty():
                self._broker.hear(self._notices.get_nowait())
            self._broker.tick(time.monotonic())
            self._keeper.tick()
            pause = self._delivery.send_all()
            self._show_metrics(time.monotonic())
            keys = self._keys.changed()
            if keys is not None:
                self._take_keys(keys)
                poller = self._poller()

    def _may_end(self, stop: StopRequest, now: float) -> bool:
        """Whether the running jobs have ended, or have had their time; what remains of them is put back."""
        jobs = self._executor.jobs
        if self._end_by is None:
            self._end_by = now + self._config.grace
            self._desk.stopping = True
            self._broker.start_no_more()
            if self._config.grace and not stop.at_once:
                for job in jobs:
                    words = "stopping: job %s has %.0f s to end; asked again, the backend stops at once"
                    _log.info(words, job, self._config.grace, extra={"job": job})
        return stop.at_once or not jobs or now >= self._end_by

    def _show_metrics(self, now: float) -> None:
        if self._metrics is not None and now >= self._metrics_due:
            self._metrics_due = now + EVERY_SECONDS
            self._metrics.show(self._desk.status(OWNER), self._book.counts())

    def close(self) -> None:
        self._pulls.close()
        running = self._executor.jobs
        self._executor.close()
        try:
            if self._config.private:
                self._book.abandon()
                return
            for job in running:
                self._book.put_back(job)
                _log.info("job %s: put back; it goes on at the next start", job, extra={"job": job})
        except DISK_ERRORS as error:
            # The next backend finds the job as if this one had been killed.
            _log.error("jobs that ran cannot be put back: %s", error)
        finally:
            self._bell.close()

    def _poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        self._gate.register(poller)
        poller.register(self._bell.socket, zmq.POLLIN)
        return poller

    def _take_keys(self, keys: BackendKeys) -> None:
        """Goes on with other keys, and the same jobs: clients are told, and come back."""
        _log.warning("there are new keys: every client has to connect anew")
        sessions = self._broker.sessions
        sessions.publish_key(keys.backend.public)
        self._delivery.send_all()
        for session in sessions:
            sessions.close(session)
        self._admission.change_owner_key(keys.owner.public)
        self._gate.rebind(keys.backend)

    def _notify(self, notice: Notice | PullNotice) -> None:
        self._notices.put(notice)
        self._bell.ring()

    def _receive_all(self) -> None:
        # At most so many in a row, so that a flood of one client does not keep workers waiting.
        for _ in range(64):
            arrival = self._gate.receive()
            if arrival is None:
                return
            try:
                answer = self._broker.receive(arrival.connection, arrival.key, arrival.frames, time.monotonic())
            except KeyUnknown:
                self._gate.refuse(arrival.key, "in a connection from before")
                continue
            if answer is not None:
                with contextlib.suppress(zmq.ZMQError):
                    self._gate.send(arrival.connection, encode(answer))


def _check_submit(submit: Submit, blobs: Sequence[Blob]) -> None:
    importlib.import_module(INTAKE).check_submit(submit, blobs)
