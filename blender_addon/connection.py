"""A connection to one backend, local or at an address, with all that happens to it (no bpy).

A local backend is started when it is first needed. When it ends, or the connection is opened anew, the jobs that are
still followed are taken up again from where they were: nothing is lost by a restart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from attrs import define, frozen

from kiss3d_protocol.client import Client
from kiss3d_protocol.deletion import Deleted
from kiss3d_protocol.errors import BackendUnreachable, Kiss3DError
from kiss3d_protocol.messages import TERMINAL_EVENTS, Event, JobList, JobSummary, Refused, Submit
from kiss3d_protocol.models import PULL_ENDS
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.servers import address_of
from kiss3d_protocol.session import LinkChanged, LinkState, News, Received

from .launcher import LocalBackend
from .link_state import Link, LinkView, reduce_link
from .models_state import ModelsView, asked, reduce_models

LOOK_AFTER_BACKEND_SECONDS = 0.5
LISTED_JOBS = 50


@frozen
class LocalTarget:
    """A backend on this machine, started with the Python executable of its environment. ``vram_budget``: GB (10^9
    bytes) of the graphics card's memory that it may take; None leaves that to the backend."""

    python: str
    vram_budget: float | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What it is started with, as ``kiss3d serve`` takes it."""
        return () if self.vram_budget is None else ("--vram-budget", f"{self.vram_budget:.1f}GB")


@frozen
class AddressTarget:
    """A backend that runs already, at ``tcp://HOST:PORT``, or the name of one that this computer was paired with."""

    address: str


BackendTarget = LocalTarget | AddressTarget


@define
class _Followed:
    """``submit`` is None for a job that the backend has already."""

    submit: Submit | None = None
    blobs: Sequence[Blob] = ()
    last_number: int = 0


def _start_of(target: LocalTarget) -> LocalBackend:
    return LocalBackend(target.python, arguments=target.arguments)


class Connection:
    """Nothing here blocks, except :meth:`close` with ``wait``. ``view`` says how things stand, ``models`` what is known
    of the backend's model files, ``jobs_there`` its newest jobs as they were when :meth:`list_jobs` last asked, and
    ``lists`` how many answers to that have come.

    ``network_allowed`` is asked before anything but this machine is contacted, and as long as that goes on.
    """

    def __init__(
        self,
        target: BackendTarget,
        client_name: str,
        *,
        network_allowed: Callable[[], bool],
        make_client: Callable[[str, str], Client] = Client,
        make_backend: Callable[[LocalTarget], LocalBackend] = _start_of,
    ) -> None:
        self.target = target
        self.view = LinkView()
        self.models = ModelsView()
        self.jobs_there: tuple[JobSummary, ...] = ()
        self.lists = 0
        self._client_name = client_name
        self._network_allowed = network_allowed
        self._make_client = make_client
        self._make_backend = make_backend
        self._backend: LocalBackend | None = None
        self._client: Client | None = None
        self._jobs: dict[str, _Followed] = {}
        self._to_cancel: set[str] = set()
        self._over_network = False
        self._look_after_backend = 0.0
        self._old_log: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether it is on its way to a connection, follows jobs or waits for models."""
        return bool(self._jobs) or self.models.pulling or self.view.link in (Link.STARTING, Link.CONNECTING)

    def open(self) -> None:
        """Starts to connect, unless that was done already; after a failure it tries anew."""
        if self.view.link not in (Link.OFF, Link.FAILED):
            return
        self._drop(wait=False)
        try:
            if isinstance(self.target, LocalTarget):
                self._backend = self._make_backend(self.target)
                self._backend.start()
                self.view = LinkView(Link.STARTING)
            else:
                self._over_network = not address_of(self.target.address).is_loopback
                self._check_allowed()
                self._connect(self.target.address)
        except Kiss3DError as error:
            self._fail(error)

    def poll(self) -> News | None:
        """The next piece of news, or None."""
        try:
            if self._client is not None:
                self._check_allowed()
            self._watch_backend()
        except Kiss3DError as error:
            return self._fail(error)
        news = self._client.poll() if self._client is not None else None
        if isinstance(news, LinkChanged):
            self.view = reduce_link(self.view, news)
            if news.welcome is not None and news.welcome.missing_models and self._client is not None:
                self._client.list_models()
        elif isinstance(news, Received):
            self.models = reduce_models(self.models, news)
            if isinstance(news.message, PULL_ENDS) and self._client is not None:
                self._client.list_models()
            self._note(news)
        return news

    def submit(self, submit: Submit, blobs: Sequence[Blob]) -> None:
        """Makes a job, as soon as there is a connection."""
        self._jobs[submit.job] = _Followed(submit, blobs)
        if self._client is not None:
            self._client.submit(submit, blobs)

    def attach(self, job: str) -> None:
        """Follows a job that the backend has, from its first event on, as soon as there is a connection."""
        self._jobs[job] = _Followed()
        if self._client is not None:
            self._client.attach(job)

    def list_jobs(self, limit: int = LISTED_JOBS) -> bool:
        """Asks for the newest ``limit`` jobs; ``jobs_there`` has them when they have come. False when nobody hears it
        now."""
        if self._client is None or self.view.link is not Link.CONNECTED:
            return False
        self._client.list_jobs(limit)
        return True

    def delete(self, job: str) -> bool:
        """Asks for a job to be deleted with its results, for good; ``jobs_there`` lacks it when that is done. False
        when nobody hears it now."""
        if self._client is None or self.view.link is not Link.CONNECTED:
            return False
        self._client.delete(job)
        return True

    def cancel(self, job: str) -> bool:
        """Asks for the end of a job. False when nobody hears it now; then it is not followed any more.

        A backend that is lost before it has confirmed is told again by the next connection.
        """
        self._to_cancel.add(job)
        if self._client is not None:
            self._client.cancel(job)
        if self.view.link is Link.CONNECTED:
            return True
        self.forget(job)
        return False

    def get_report(self, job: str) -> bool:
        """Asks for the report of a job; the answer is news. False when nobody hears it now."""
        if self._client is None or self.view.link is not Link.CONNECTED:
            return False
        self._client.get_report(job)
        return True

    def choose(self, job: str, bundle: int) -> bool:
        """Lets a job that waits go on with one of its bundles, by index. False when nobody hears it now."""
        if self._client is None or self.view.link is not Link.CONNECTED:
            return False
        self._client.choose(job, (bundle,))
        return True

    def pull_models(self, preset: str) -> bool:
        """Asks the backend to download what a preset lacks; ``models`` follows it. False when nobody hears it now."""
        if self._client is None or self.view.link is not Link.CONNECTED:
            return False
        self._client.pull_models(preset)
        self.models = asked(self.models)
        return True

    def cancel_pull(self) -> None:
        """Asks for the end of the download; what has come stays with the backend."""
        if self._client is not None:
            self._client.cancel_pull()

    def forget(self, job: str) -> None:
        """Does not take the job up again after a restart."""
        self._jobs.pop(job, None)

    def close(self, *, wait: bool) -> None:
        """Ends the connection, and the local backend if there is one. With ``wait`` both have ended on return."""
        self._drop(wait=wait)
        self._jobs.clear()
        self._to_cancel.clear()
        self.view, self.models, self.jobs_there = LinkView(), ModelsView(), ()

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that the local backend wrote, also when it has ended by itself."""
        return self._old_log if self._backend is None else tuple(self._backend.log)

    def _check_allowed(self) -> None:
        if isinstance(self.target, AddressTarget) and self._over_network and not self._network_allowed():
            raise BackendUnreachable(
                f"Blender is not allowed to use the network, so '{self.target.address}' cannot be reached.",
                "Turn on 'Allow Online Access' in Preferences > System, or start Blender with --online-mode.",
            )

    def _connect(self, address: str) -> None:
        self._client = self._make_client(address, self._client_name)
        self.view = LinkView(Link.CONNECTING)
        for job, followed in self._jobs.items():
            if followed.last_number or followed.submit is None:
                self._client.attach(job, followed.last_number)
            else:
                self._client.submit(followed.submit, followed.blobs)
        for job in self._to_cancel:
            self._client.cancel(job)
        self._to_cancel &= self._jobs.keys()

    def _watch_backend(self) -> None:
        backend = self._backend
        if backend is None or self.view.link is Link.FAILED:
            return
        now = time.monotonic()
        if self._client is not None and now < self._look_after_backend:
            return
        self._look_after_backend = now + LOOK_AFTER_BACKEND_SECONDS
        address = backend.poll()
        if self._client is None and address is not None:
            self._connect(address)

    def _note(self, news: Received) -> None:
        message = news.message
        if isinstance(message, Event) and (followed := self._jobs.get(message.job)) is not None:
            followed.last_number = max(followed.last_number, message.number)
            if isinstance(message, TERMINAL_EVENTS):
                del self._jobs[message.job]
                self._to_cancel.discard(message.job)
        elif isinstance(message, JobList):
            self.jobs_there = message.jobs
            self.lists += 1
        elif isinstance(message, Deleted):
            self.jobs_there = tuple(job for job in self.jobs_there if job.job != message.job)
        elif isinstance(message, Refused) and message.about == "delete":
            self.list_jobs()
        elif isinstance(message, Refused) and message.job is not None and message.about in ("submit", "attach"):
            self._jobs.pop(message.job, None)

    def _fail(self, error: Kiss3DError) -> LinkChanged:
        self._drop(wait=False)
        self.view = LinkView(Link.FAILED, error)
        return LinkChanged(LinkState.FAILED, None, error)

    def _drop(self, *, wait: bool) -> None:
        endings = [client.close] if (client := self._client) is not None else []
        if (backend := self._backend) is not None:
            endings.append(backend.stop)
            self._old_log = tuple(backend.log)
        self._client = self._backend = None
        if not endings:
            return
        if wait:
            _each(endings)
        else:
            threading.Thread(target=_each, args=(endings,), name="kiss3d-closing", daemon=True).start()


def _each(endings: Sequence[Callable[[], None]]) -> None:
    for end in endings:
        end()
