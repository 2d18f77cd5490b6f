"""How a backend is: counted, judged, and told to the terminal and to programs by its exit code."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from kiss3d_backend.broker.disk_use import DiskUse, folder_bytes
from kiss3d_backend.broker.sessions import Sessions
from kiss3d_backend.broker.status import LITTLE_ROOM, StatusDesk
from kiss3d_backend.clients.identity import OWNER, ClientIdentity
from kiss3d_backend.commands import status as command
from kiss3d_backend.config import DataDir
from kiss3d_backend.executor.affinity import SlotState
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.worker.messages import WorkerAlive
from kiss3d_backend.worker.supervisor import WorkerState
from kiss3d_protocol.errors import BackendStartFailed
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Connection, Device, Status, WorkerStatus

INSTANCE = "9d6b8a44-7a0c-4f0e-8f57-ba9876543210"
ANNA, BEN = ClientIdentity("id-a", "anna"), ClientIdentity("id-b", "ben")


class Desk:
    """A desk whose worker, disk and clock are the test's."""

    def __init__(self, data_dir: DataDir, book: JobBook) -> None:
        self.now = 1000.0
        self.workers = [SlotState("local", WorkerState.IDLE)]
        self.executor: Any = SimpleNamespace(slots=lambda: tuple(self.workers), problems=[])
        self.sessions = Sessions()
        self.desk = StatusDesk(INSTANCE, data_dir.root, book, self.executor, self.sessions, lambda: self.now)


@pytest.fixture
def desk(data_dir: DataDir, book: JobBook) -> Desk:
    return Desk(data_dir, book)


def test_jobs_are_counted_for_all_and_named_to_their_own(desk: Desk, book: JobBook, make_submit: Any) -> None:
    submits = [make_submit() for _ in range(3)]
    for (submit, blob), owner in zip(submits, (ANNA, BEN, BEN), strict=True):
        book.submit(submit, [blob], owner)
    book.take_next()
    desk.sessions.open(b"1", "blender/1", 1000.0, key="k", owner=ANNA)
    desk.now = 1060.5
    to_ben, to_owner = desk.desk.status(BEN), desk.desk.status(OWNER)
    assert (to_ben.running, to_ben.waiting, to_ben.clients, to_ben.uptime_seconds) == (1, 2, 1, 60.5)
    assert [job.job for job in to_ben.jobs] == [submit.job for submit, _ in submits[1:]]
    assert to_ben.connections == ()
    assert [job.state for job in to_owner.jobs] == ["running", "queued", "queued"]
    assert to_owner.connections == (Connection("anna", "blender/1", 60.5),)
    assert to_owner.problems == () and to_owner.worker == "idle"


def test_workers_are_told_and_whose_jobs_they_do_to_their_own(desk: Desk, book: JobBook, make_submit: Any) -> None:
    submits = [make_submit() for _ in range(2)]
    for (submit, blob), owner in zip(submits, (ANNA, BEN), strict=True):
        book.submit(submit, [blob], owner)
        book.take_next()
    device = Device("cuda", "a card", 24, 20, 64, 32)
    desk.workers = [
        SlotState("box/1/0", WorkerState.BUSY, submits[0][0].job, frozenset({"lrm", "cut"}), WorkerAlive(device, 7)),
        SlotState("box/2/0", WorkerState.BUSY, submits[1][0].job),
        SlotState("box/3/0", WorkerState.STARTING),
    ]
    to_anna, to_owner = desk.desk.status(ANNA), desk.desk.status(OWNER)
    assert to_anna.workers == (
        WorkerStatus("box/1/0", "busy", device, 7, ("cut", "lrm"), submits[0][0].job),
        WorkerStatus("box/2/0", "busy"),
        WorkerStatus("box/3/0", "starting"),
    )
    assert [worker.job for worker in to_owner.workers] == [submits[0][0].job, submits[1][0].job, None]
    assert to_anna.worker == "busy" and to_anna.memory > 7
    desk.workers = desk.workers[2:]
    assert desk.desk.status(OWNER).worker == "starting"
    desk.workers = []
    assert desk.desk.status(OWNER).worker == "stopped"


def test_it_fits_into_a_message_whatever_the_others_are_called(desk: Desk, book: JobBook, make_submit: Any) -> None:
    for number in range(120):
        submit, blob = make_submit()
        book.submit(attrs.evolve(submit, name="\U0001f3fa" * 256), [blob], ClientIdentity(f"id-{number}", "x" * 64))
    for number in range(300):
        owner = ClientIdentity(f"id-{number}", "x" * 64)
        desk.sessions.open(b"%d" % number, "\U0001f3fa" * 256, 0.0, key="k", owner=owner)
    device = Device("cuda", "\U0001f3fa" * 256, 2**40, 2**40, 2**40, 2**40)
    desk.workers = [
        SlotState("\U0001f3fa" * 90, WorkerState.IDLE, None, frozenset(f"{n} transformer" for n in range(30)), alive)
        for alive in [WorkerAlive(device, 2**40)] * 80
    ]
    status = desk.desk.status(OWNER)
    assert (status.waiting, len(status.jobs), status.clients, len(status.connections)) == (120, 100, 300, 256)
    assert len(status.workers) == 64
    encode(status)


def test_a_worker_that_does_not_start_and_a_full_disk_are_problems(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.executor.problems = [BackendStartFailed("The worker does not start.")]
    usage = shutil.disk_usage(Path.cwd())._replace(free=LITTLE_ROOM - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    status = desk.desk.status(ANNA)
    assert [problem.code for problem in status.problems] == ["backend.disk_full", "backend.start_failed"]
    assert status.disk_free == LITTLE_ROOM - 1

    def gone(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", gone)
    assert desk.desk.status(ANNA).problems[0].code == "backend.data_directory"


def test_a_folder_is_counted_once_in_a_while(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(1000))
    (tmp_path / "file").write_bytes(bytes(24))
    with contextlib.suppress(OSError):  # Windows lets few people make one
        (tmp_path / "link").symlink_to(tmp_path)
    assert 1024 <= folder_bytes(tmp_path) < 1024 + 500
    now = [0.0]
    use = DiskUse(tmp_path, lambda: now[0])
    use.known()
    assert use._thread is not None
    use._thread.join()
    first = use.known()
    (tmp_path / "more").write_bytes(bytes(4096))
    assert use.known() == first == folder_bytes(tmp_path) - 4096
    now[0] = 61.0
    use.known()
    use._thread.join()
    assert use.known() == folder_bytes(tmp_path)
    assert folder_bytes(tmp_path / "nowhere") == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_tells_programs_and_names_steer_no_terminal(
    desk: Desk, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy = attrs.evolve(
        desk.desk.status(OWNER), problems=(), connections=(Connection("anna", "[/b]\x1b]0;owned\x07", 2.0),)
    )
    desk.executor.problems = [BackendStartFailed("The worker does not start.")]
    ill = attrs.evolve(desk.desk.status(OWNER), jobs=healthy.jobs)
    answers: dict[str, Status] = {"healthy:1": healthy, "ill:1": ill}
    monkeypatch.setattr(command, "status_of", lambda address, timeout: answers[address])
    assert command.run_status(connect="healthy:1", timeout=1.0, as_json=as_json) == 0
    said = capsys.readouterr().out
    assert json.loads(said)["healthy"] if as_json else "[/b]\\x1b]0;owned\\x07" in said
    assert command.run_status(connect="ill:1", timeout=1.0, as_json=as_json) == 3
    said = capsys.readouterr().out
    assert not json.loads(said)["healthy"] if as_json else "backend.start_failed" in said
