"""The one pull of a backend, with processes that the tests play, and one real one."""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from kiss3d_backend.broker.admission import Admission
from kiss3d_backend.broker.broker import Broker
from kiss3d_backend.broker.pulls import Pulls
from kiss3d_backend.broker.sessions import Sessions
from kiss3d_backend.clients.identity import ClientIdentity
from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_backend.executor.executor import Executor
from kiss3d_backend.executor.fleet import LocalFleet
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.keeper import Keeper
from kiss3d_backend.models.pull_process import STOP_SECONDS, PullNotice, PullProcess, read_line
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_protocol.errors import ModelDownloadFailed
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import ClientMessage, GetStatus, Hello, JobList, ListJobs, Refused, Welcome
from kiss3d_protocol.models import (
    CancelPull,
    ListModels,
    ModelList,
    PullCancelled,
    PullFailed,
    PullFinished,
    PullModels,
    PullProgress,
)

OWNER_KEY = "o" * 40
TOML = """
[one]
repository = "small/one"
purpose = "a test"
presets = ["draft"]
[one.files."a.bin"]
size = 10
[two]
repository = "small/two"
purpose = "a test"
[two.files."b.bin"]
size = 5
"""


def coming(done: int) -> PullProgress:
    return PullProgress("download", "one", "a.bin", done, 10, 1.0, None)


class FakeProcess:
    """A pull of which the test says what it tells."""

    def __init__(self, names: Sequence[str], start: int) -> None:
        self.names, self.start = list(names), start
        self.calls: list[str] = []

    def ask_to_stop(self) -> None:
        self.calls.append("ask")

    def kill(self) -> None:
        self.calls.append("kill")

    def close(self) -> None:
        self.calls.append("close")


class Rig:
    """A broker without worker and socket, a clock, and the processes that were started."""

    def __init__(self, book: JobBook, data_dir: DataDir) -> None:
        self.now = 0.0
        self.processes: list[FakeProcess] = []
        self.offered = False
        self.sessions = Sessions()
        self.registry = ClientRegistry(data_dir.clients, OWNER_KEY)
        self.pulls = Pulls(self._spawn, lambda: self.now)
        self.broker = Broker(
            book,
            ReportFolder(data_dir.reports),
            Keeper(data_dir, book.store),
            Executor(LocalFleet(["unused"]), lambda _: None),
            self.pulls,
            self.sessions,
            Admission(self.registry),
            "instance",
            data_dir.root,
            self._welcome,
            lambda submit, blobs: None,
            self._status,
        )

    def _spawn(self, names: Sequence[str], start: int) -> FakeProcess:
        self.processes.append(FakeProcess(names, start))
        return self.processes[-1]

    def _status(self, asker: ClientIdentity) -> Any:
        raise RuntimeError("a mistake")

    def _welcome(self) -> Any:
        from tests.protocol.samples import welcome

        return welcome(ram_free=int(self.offered))

    def say(self, client: bytes, *messages: ClientMessage) -> None:
        for message in messages:
            self.broker.receive(client, OWNER_KEY, [bytes(frame) for frame in encode(message)], self.now)

    def tell(self, *messages: Any) -> None:
        """What the newest process says, None for its end."""
        for message in messages:
            self.broker.hear(PullNotice(self.processes[-1].start, message))

    def heard(self, client: bytes) -> list[Any]:
        session = self.sessions.get(client, self.now)
        assert session is not None
        found = []
        while (letter := session.outbox.peek()) is not None:
            found.append(letter.content)
            session.outbox.drop()
        return found


@pytest.fixture
def rig(book: JobBook, data_dir: DataDir) -> Rig:
    (data_dir.root / "models.toml").write_text(TOML, encoding="utf-8")
    rig = Rig(book, data_dir)
    for client in (b"a", b"b", b"old"):
        rig.say(client, Hello("1.0" if client == b"old" else "1.1", "test/1"))
        rig.heard(client)
    return rig


def test_followers_hear_how_it_goes_and_everybody_what_is_offered_now(rig: Rig) -> None:
    rig.say(b"a", PullModels("draft", ("one",)))
    assert [process.names for process in rig.processes] == [["one"]]
    rig.tell(coming(3))
    rig.say(b"b", PullModels(None, ("one",)))
    assert len(rig.processes) == 1
    # Who joins hears at once how far it is; what passes by is coalesced.
    assert rig.heard(b"b") == [coming(3)]
    rig.tell(coming(5), coming(6))
    assert rig.heard(b"a") == [coming(6)]
    rig.offered = True
    rig.tell(PullFinished(("one",)))
    assert rig.heard(b"a") == []
    rig.tell(None)
    for client, follows in ((b"a", True), (b"old", False)):
        changed, *rest = rig.heard(client)
        assert isinstance(changed, Welcome) and changed.device.ram_free == 1
        assert rest == ([PullFinished(("one",))] if follows else [])
    assert (rig.pulls.entries, rig.pulls.last) == ((), None)


def test_more_entries_are_got_right_after_and_are_one_pull(rig: Rig) -> None:
    rig.say(b"a", PullModels(None, ("one",)))
    rig.say(b"b", PullModels(None, ("two", "one")))
    rig.say(b"b", ListModels())
    listed = next(each for each in rig.heard(b"b") if isinstance(each, ModelList))
    assert listed.pulling == ("one", "two")
    rig.tell(PullFinished(("one",)), None)
    assert [process.names for process in rig.processes] == [["one"], ["two"]]
    assert rig.heard(b"a") == []
    # The old process has nothing to say any more.
    rig.broker.hear(PullNotice(1, PullFailed("c", "M.")))
    rig.tell(PullFinished(("two",)), None)
    for client in (b"a", b"b"):
        assert rig.heard(client)[-1] == PullFinished(("one", "two"))


def test_a_failure_is_told_with_its_remedy(rig: Rig) -> None:
    rig.say(b"a", PullModels("draft"), PullModels(None, ("two",)))
    failed = PullFailed("model.gated", "It is gated.", "Accept.")
    rig.tell(failed, None)
    assert rig.heard(b"a")[-1] == failed
    assert len(rig.processes) == 1
    rig.say(b"a", PullModels("draft"))
    assert [process.names for process in rig.processes] == [["one"], ["one"]]


def test_a_cancel_ends_it_for_all_and_by_force_where_it_must(rig: Rig) -> None:
    rig.say(b"a", PullModels("draft"), PullModels(None, ("two",)))
    rig.say(b"b", CancelPull())
    (process,) = rig.processes
    assert process.calls == ["ask"]
    rig.broker.tick(rig.now)
    assert process.calls == ["ask"]
    rig.now += STOP_SECONDS + 0.1
    rig.broker.tick(rig.now)
    assert process.calls == ["ask", "kill"]
    rig.tell(PullFailed("model.download_failed", "It was killed."), None)
    assert rig.heard(b"a")[-1] == PullCancelled()
    assert rig.heard(b"b")[-1] == PullCancelled()
    assert len(rig.processes) == 1
    rig.say(b"b", CancelPull())
    assert rig.heard(b"b") == [PullCancelled()]


def test_nonsense_is_refused_and_starts_nothing(rig: Rig) -> None:
    for pull, code in (
        (PullModels(), "params.invalid"),
        (PullModels("draught"), "params.preset_unknown"),
        (PullModels(None, ("three",)), "model.catalogue_invalid"),
    ):
        rig.say(b"a", pull)
        (refused,) = rig.heard(b"a")
        assert isinstance(refused, Refused)
        assert (refused.about, refused.code) == ("pull_models", code)
    assert rig.processes == []


def test_a_pull_that_cannot_be_started_is_refused(book: JobBook, data_dir: DataDir) -> None:
    rig = Rig(book, data_dir)

    def broken(names: Sequence[str], start: int) -> FakeProcess:
        raise ModelDownloadFailed("There is no Python.")

    rig.pulls._spawn = broken
    rig.say(b"a", Hello("1.1", "test/1"), PullModels("fast"))
    assert rig.heard(b"a")[-1].code == "model.download_failed"
    assert rig.pulls.entries == ()


def test_a_pull_of_nothing_is_finished_by_its_process(rig: Rig) -> None:
    rig.say(b"a", PullModels(None, ("one",)))
    rig.tell(PullFinished(()), None)
    assert rig.heard(b"a")[-1] == PullFinished(("one",))


# ---------------------------------------------------------------------------------------------- the process


SCRIPT = """
import json, sys
line = {"event": "progress", "step": "download", "entry": "one", "file": "a.bin", "bytes": 3, "total": 10,
        "bytes_per_second": 1.5, "eta_seconds": None}
print(json.dumps(line), flush=True)
print("not for us", flush=True)
sys.stdin.read()
if sys.argv[1] == "dies":
    print("no more", file=sys.stderr)
    sys.exit(3)
print(json.dumps({"event": "cancelled"}), flush=True)
print(json.dumps(line), flush=True)
"""


@pytest.mark.parametrize("how", ["dies", "stops"])
def test_a_real_process_is_understood_and_asked_to_stop(how: str) -> None:
    notices: queue.SimpleQueue[PullNotice] = queue.SimpleQueue()
    process = PullProcess([sys.executable, "-S", "-c", SCRIPT, how], 4, notices.put)
    first = PullProgress("download", "one", "a.bin", 3, 10, 1.5, None)
    assert notices.get(timeout=10) == PullNotice(4, first)
    process.ask_to_stop()
    end = notices.get(timeout=10).message
    if how == "dies":
        assert isinstance(end, PullFailed)
        assert end.code == "model.download_failed" and "code 3" in end.message and "no more" in end.message
    else:
        assert end == PullCancelled()
    assert notices.get(timeout=10) == PullNotice(4, None)
    process.close()


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(ModelDownloadFailed, match="cannot be started"):
        PullProcess(["/no/such/program"], 1, lambda _: None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"words\n",
        b"[1]\n",
        b'{"event": "else"}\n',
        b'{"event": "progress"}\n',
        b'{"event": "error", "code": 5}',
        b"\xff",
    ],
)
def test_lines_that_say_nothing(line: bytes) -> None:
    assert read_line(line) is None


def test_the_errors_line_of_the_command_line_is_understood() -> None:
    told = {"event": "error", "code": "model.gated", "message": "No.", "remedy": "Accept."}
    assert read_line(json.dumps(told).encode()) == PullFailed("model.gated", "No.", "Accept.")


def test_a_mistake_with_one_message_ends_nobody_elses_work(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.say(b"a", GetStatus(), ListJobs())
    refused, listed = rig.heard(b"a")
    assert (refused.about, refused.code) == ("get_status", "backend.fault")
    assert isinstance(listed, JobList)
    assert "RuntimeError: a mistake" in caplog.text
