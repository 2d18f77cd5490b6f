"""A connection: starting the backend, losing it, and taking the jobs up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from blender_addon.connection import AddressTarget, Connection, LocalTarget
from blender_addon.link_state import Link
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Never, ScriptedBackend, ScriptedJob, Step

from kiss3d_backend.devices.budget import read_budget
from kiss3d_protocol.errors import AddressInvalid, BackendStartFailed, BackendUnreachable, Kiss3DError
from kiss3d_protocol.messages import Event, MeshReady, StageStarted, Submit, new_job_id
from kiss3d_protocol.models import ModelInfo
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.session import News, Received


class FakeLauncher:
    """Stands for the local backend's process; ``address`` and ``error`` say what becomes of it."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.error: Kiss3DError | None = None
        self.started = self.stopped = 0
        self.log = ["first line", "last words"]

    def start(self) -> None:
        self.started += 1

    def poll(self) -> str | None:
        if self.error is not None:
            raise self.error
        return self.address

    def stop(self) -> None:
        self.stopped += 1


def drain(connection: Connection, condition: Callable[[list[News]], bool], seconds: float = 10.0) -> list[News]:
    got: list[News] = []
    deadline = time.monotonic() + seconds
    while not condition(got):
        assert time.monotonic() < deadline, (connection.view, got)
        news = connection.poll()
        if news is None:
            time.sleep(0.002)
        else:
            got.append(news)
    return got


def numbers(news: list[News]) -> list[int]:
    return [
        one.message.number
        for one in news
        if isinstance(one, Received) and isinstance(one.message, Event) and one.message.number
    ]


def new_submit() -> tuple[Submit, list]:
    writer = BlobWriter()
    picture = writer.image(sphere(8, 6).texture, "image/png")
    return Submit(new_job_id(), "chair", GenerateParams(), picture), list(writer.blobs)


def mesh_then_stand_still(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", sphere(8, 6))
    yield Never()


MODEL = ModelInfo("flux", "FLUX", "some/where", "1", "mit", False, ("fast",), 8 << 30, 0, "missing", "known")


def test_local_backend_is_started_with_its_budget() -> None:
    assert LocalTarget("python").arguments == ()
    assert LocalTarget("python", 7.5).arguments == ("--vram-budget", "7.5GB")
    assert read_budget(LocalTarget("python", 12).arguments[1]) == 12 * 10**9


def remote(address: str) -> Connection:
    return Connection(AddressTarget(address), "test/1", network_allowed=lambda: False)


def local(launcher: FakeLauncher) -> Connection:
    return Connection(
        LocalTarget("python"),
        "test/1",
        network_allowed=lambda: False,
        make_backend=lambda target: launcher,  # pyright: ignore[reportArgumentType]
    )


def test_local_backend_is_started_once_and_jobs_wait_for_it() -> None:
    launcher = FakeLauncher()
    connection = local(launcher)
    assert connection.view.link is Link.OFF
    connection.open()
    connection.open()
    assert (launcher.started, connection.view.link) == (1, Link.STARTING)
    submit, blobs = new_submit()
    connection.submit(submit, blobs)
    assert connection.poll() is None and connection.busy
    with ScriptedBackend() as backend:
        launcher.address = backend.address
        drain(connection, lambda got: 1 in numbers(got))
        assert connection.view.link is Link.CONNECTED
        connection.close(wait=True)
    assert launcher.stopped == 1 and connection.view.link is Link.OFF


def test_backend_that_ends_is_told_and_its_job_goes_on_with_the_next_one() -> None:
    launcher = FakeLauncher()
    connection = local(launcher)
    connection.open()
    submit, blobs = new_submit()
    connection.submit(submit, blobs)
    with ScriptedBackend(default=mesh_then_stand_still) as backend:
        launcher.address = backend.address
        first = drain(connection, lambda got: any(isinstance(getattr(one, "message", None), MeshReady) for one in got))
        assert numbers(first) == [1, 2, 3]

        launcher.error = BackendStartFailed("The local backend ended unexpectedly.")
        drain(connection, lambda got: connection.view.link is Link.FAILED)
        assert connection.view.error is launcher.error and connection.busy

        launcher.error = None
        connection.open()
        drain(connection, lambda got: connection.view.link is Link.CONNECTED)
        # It is attached from event 3 on: nothing comes twice.
        connection.cancel(submit.job)
        rest = drain(connection, lambda got: bool(numbers(got)))
        assert numbers(rest) == [4]
        connection.close(wait=True)
    assert not connection.busy


def test_job_that_was_never_heard_of_is_submitted_again() -> None:
    launcher = FakeLauncher()
    connection = local(launcher)
    connection.open()
    submit, blobs = new_submit()
    connection.submit(submit, blobs)
    launcher.error = BackendStartFailed("Broken.")
    drain(connection, lambda got: connection.view.link is Link.FAILED)
    launcher.error = None
    with ScriptedBackend(default=mesh_then_stand_still) as backend:
        launcher.address = backend.address
        connection.open()
        got = drain(connection, lambda got: 2 in numbers(got))
        assert any(isinstance(getattr(one, "message", None), StageStarted) for one in got)
        connection.close(wait=True)


def test_cancel_that_nobody_heard_is_told_later() -> None:
    launcher = FakeLauncher()
    connection = local(launcher)
    connection.open()
    submit, blobs = new_submit()
    with ScriptedBackend(default=mesh_then_stand_still) as backend:
        launcher.address = backend.address
        connection.submit(submit, blobs)
        drain(connection, lambda got: 3 in numbers(got))
        launcher.error = BackendStartFailed("Gone.")
        drain(connection, lambda got: connection.view.link is Link.FAILED)
        assert connection.cancel(submit.job) is False and not connection.busy
        launcher.error = None
        connection.open()
        deadline = time.monotonic() + 10
        while not backend.cancels:
            connection.poll()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert backend.cancels == [submit.job]
        connection.close(wait=True)


def test_cancel_that_was_not_confirmed_is_told_again() -> None:
    launcher = FakeLauncher()
    connection = local(launcher)
    connection.open()
    submit, blobs = new_submit()
    connection.submit(submit, blobs)
    with ScriptedBackend(default=mesh_then_stand_still) as backend:
        launcher.address = backend.address
        drain(connection, lambda got: connection.view.link is Link.CONNECTED)
    # It has gone, and nobody has noticed yet.
    assert connection.cancel(submit.job) is True
    launcher.error = BackendStartFailed("Gone.")
    drain(connection, lambda got: connection.view.link is Link.FAILED)
    launcher.error = None
    with ScriptedBackend(default=mesh_then_stand_still) as backend:
        launcher.address = backend.address
        connection.open()
        drain(connection, lambda got: bool(backend.cancels) and not connection.busy)
        assert backend.cancels == [submit.job]
        connection.close(wait=True)


def test_only_this_machine_without_leave_to_use_the_network() -> None:
    connection = Connection(AddressTarget("tcp://192.0.2.1:47800"), "test/1", network_allowed=lambda: False)
    connection.open()
    assert connection.view.link is Link.FAILED
    assert isinstance(connection.view.error, BackendUnreachable)
    assert "Allow Online Access" in connection.view.error.remedy


class FakeClient:
    """Stands for a client of a backend on another machine."""

    closed = 0

    def poll(self) -> None:
        return None

    def close(self) -> None:
        self.closed += 1


def test_leave_to_use_the_network_that_is_taken_back_ends_the_connection() -> None:
    client, leave = FakeClient(), [True]
    connection = Connection(
        AddressTarget("tcp://192.0.2.1:47800"),
        "test/1",
        network_allowed=lambda: leave[0],
        make_client=lambda address, name: client,  # pyright: ignore[reportArgumentType]
    )
    connection.open()
    assert connection.poll() is None and connection.view.link is Link.CONNECTING
    leave[0] = False
    assert connection.poll() is not None and connection.view.link is Link.FAILED
    assert connection.view.error is not None and "Allow Online Access" in connection.view.error.remedy
    deadline = time.monotonic() + 5
    while not client.closed:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    leave[0] = True
    connection.open()
    assert connection.view.link is Link.CONNECTING
    connection.close(wait=True)


def test_address_that_is_none() -> None:
    connection = Connection(AddressTarget("somewhere"), "test/1", network_allowed=lambda: True)
    connection.open()
    assert isinstance(connection.view.error, AddressInvalid)


@pytest.mark.usefixtures("quick_diagnosis")
def test_nobody_there_keeps_trying_and_says_why() -> None:
    connection = Connection(AddressTarget("tcp://127.0.0.1:9"), "test/1", network_allowed=lambda: False)
    connection.open()
    drain(connection, lambda got: connection.view.error is not None)
    assert connection.view.link is Link.CONNECTING and isinstance(connection.view.error, BackendUnreachable)
    connection.close(wait=True)


def test_models_that_are_missing_are_listed_and_downloaded() -> None:
    with ScriptedBackend(missing_models=[MODEL]) as backend:
        connection = remote(backend.address)
        connection.open()
        assert not connection.pull_models("fast"), "nobody hears it yet"
        drain(connection, lambda _: bool(connection.models.models))
        assert connection.models.named(("flux",)) == (MODEL,)
        offer = connection.view.offer("fast")
        assert offer is not None and not offer.offered and offer.bytes_to_get == MODEL.size

        assert connection.pull_models("fast") and connection.busy
        drain(connection, lambda _: connection.models.progress is not None)
        connection.cancel_pull()
        drain(connection, lambda _: not connection.models.pulling)

        assert connection.pull_models("fast")
        backend.let_download_end.set()
        drain(connection, lambda _: not connection.models.pulling and connection.models.named(("flux",))[0].have > 0)
        offer = connection.view.offer("fast")
        assert offer is not None and offer.offered, "the backend says again what it offers"
        connection.close(wait=True)


def test_last_words_of_a_backend_that_has_ended_are_kept() -> None:
    launcher = FakeLauncher()
    connection = local(launcher)
    connection.open()
    assert connection.log[-1] == "last words"
    launcher.error = BackendStartFailed("It has ended.")
    drain(connection, lambda got: len(got) == 1)
    assert connection.view.link is Link.FAILED and connection.log[-1] == "last words"
