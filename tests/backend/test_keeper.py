"""How long jobs are kept, what goes with them, and what a full disk does."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kiss3d_backend.broker.recorder import Recorder
from kiss3d_backend.config import DataDir
from kiss3d_backend.database import transaction
from kiss3d_backend.disk import disk_error
from kiss3d_backend.jobs.artifacts import SETTLING_SECONDS, Artifacts
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.keeper import DAY, FRESH_SECONDS, Keeper, Keeping
from kiss3d_backend.jobs.reserve import DiskReserve
from kiss3d_backend.jobs.store import JobStore
from kiss3d_backend.worker.supervisor import Interrupted
from kiss3d_protocol.errors import JobNotEnded, WorkerDied
from kiss3d_protocol.messages import Cancelled, Failed, Finished, JobReport, Preview, StageStarted
from kiss3d_protocol.payloads import ImageRef, sha256_of

NOW = 2_000_000_000.0


class House:
    """A data directory with jobs of known ages and sizes, and its keeper at a known time."""

    def __init__(self, data: DataDir, store: JobStore, make_submit: Any) -> None:
        self.data, self.store = data, store
        self.artifacts = Artifacts(data.artifacts)
        self.now = NOW
        self.keeper = Keeper(data, store, clock=lambda: self.now)
        self._make_submit = make_submit

    def job(self, age: float, results: tuple[bytes, ...] = (), *, ended: bool = True) -> str:
        """A job that ended ``age`` seconds ago with these blobs."""
        book = JobBook(self.store, self.artifacts, "backend-a", clock=lambda: NOW - age)
        submit, *blobs = self._make_submit()
        book.submit(submit, blobs)
        book.take_next()
        for blob in results:
            image = ImageRef(0, "image/png", 1, 1, sha256_of(blob))
            book.record(Posted(Preview(job=submit.job, stage="s", image=image), (self.artifacts.put(blob),)))
        if ended:
            report = JobReport("draft", "draft", 0, "0" * 64, 1.0, (), (), {})
            book.record(Posted(Finished(job=submit.job, report=report)))
        folder = self.data.reports / submit.job
        folder.mkdir(parents=True)
        (folder / "report.json").write_bytes(b"{}")
        return submit.job

    def age_files(self) -> None:
        """All blobs were written long ago."""
        for name in self.artifacts.names():
            os.utime(self.artifacts.path(name), (NOW - DAY, 0))

    def blobs(self) -> set[str]:
        return set(self.artifacts.names())

    def jobs(self) -> set[str]:
        return {record.job for record in self.store.newest(100)}


@pytest.fixture
def house(data_dir: DataDir, store: JobStore, make_submit: Any) -> House:
    return House(data_dir, store, make_submit)


class TestKeeping:
    def test_old_jobs_go_with_all_that_is_theirs_alone(self, house: House) -> None:
        old = house.job(31 * DAY, (b"shared", b"own"))
        young = house.job(29 * DAY, (b"shared",))
        running = house.job(90 * DAY, ended=False)
        kept = house.blobs() - {sha256_of(b"own")}
        house.age_files()
        assert house.keeper.expire() == [old]
        assert house.jobs() == {young, running}
        assert house.blobs() == kept, "the picture and the shared blob are needed by others"
        assert not (house.data.reports / old).exists() and (house.data.reports / young).exists()
        assert house.store.events_after(old, 0) == []

    def test_the_oldest_go_when_all_take_too_much(self, house: House) -> None:
        house.keeper.set_keeping(None, 250_000 / 1e9)
        ages = (5 * DAY, 4 * DAY, 3 * DAY, FRESH_SECONDS / 2, FRESH_SECONDS / 3)
        jobs = [house.job(age, (os.urandom(100_000),)) for age in ages]
        running = house.job(6 * DAY, (os.urandom(500_000),), ended=False)
        house.age_files()
        assert house.keeper.expire() == jobs[:3]
        assert house.jobs() == {*jobs[3:], running}
        # What has just ended stays even if that alone is too much.
        house.keeper.set_keeping(None, 0)
        assert house.keeper.expire() == []

    def test_what_is_kept_is_remembered_by_the_directory(self, house: House, data_dir: DataDir) -> None:
        assert house.keeper.keeping == Keeping(30, 20)
        house.keeper.set_keeping(7, None)
        house.keeper.set_keeping(None, 5)
        other = JobStore(data_dir.database)
        assert Keeper(data_dir, other).keeping == Keeping(7, 5)
        other.close()

    def test_a_job_that_has_not_ended_cannot_be_deleted(self, house: House) -> None:
        job = house.job(0, ended=False)
        with pytest.raises(JobNotEnded):
            house.keeper.delete(job)
        assert house.jobs() == {job}

    def test_a_blob_that_was_written_just_now_goes_later(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        # Another job's worker may have stored the same, and its event is still on the way.
        job, soon = house.job(DAY, (b"own",)), house.job(DAY, (b"again",))
        house.keeper.delete(job)
        house.keeper.delete(soon)
        assert {sha256_of(b"own"), sha256_of(b"again")} <= house.blobs()
        house.job(DAY, (b"again",))
        house.age_files()
        house.keeper.tick()
        assert sha256_of(b"own") not in house.blobs() and sha256_of(b"again") in house.blobs()
        assert SETTLING_SECONDS < FRESH_SECONDS

    def test_what_a_kill_left_is_swept(self, house: House) -> None:
        job = house.job(DAY, (b"own",))
        orphan = house.artifacts.put(b"of a job that was never accepted")
        (house.data.reports / "of-no-job").mkdir()
        old, new = (house.data.checkpoints / f"{name}.safetensors" for name in ("old", "new"))
        part = house.data.artifacts / "ab" / ".part-x"
        for path in (old, new, part):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
        house.age_files()
        for path, age in ((part, DAY), (old, 31 * DAY), (new, DAY), (house.data.reports / "of-no-job", DAY)):
            os.utime(path, (NOW - age, NOW - age))
        # Parts are as old as the clock of the file system says.
        os.utime(part, (0, 0))
        house.keeper.sweep()
        assert orphan not in house.blobs() and sha256_of(b"own") in house.blobs()
        assert [path.exists() for path in (part, old, new)] == [False, False, True]
        assert [path.name for path in house.data.reports.iterdir()] == [job]

    def test_jobs_of_a_directory_from_before_are_measured_and_their_blobs_known(self, house: House) -> None:
        old = house.job(31 * DAY, (b"own",))
        named = house.store.blobs_of(old)
        with sqlite3.connect(house.data.database) as db:
            for table in ("blobs", "keeping"):
                db.execute(f"DROP TABLE {table}")
            db.execute("ALTER TABLE jobs DROP COLUMN bytes")
            db.execute("PRAGMA user_version = 3")
        db.close()
        store = JobStore(house.data.database)
        assert set(store.blobs_of(old)) == set(named) and len(named) == 2
        house.age_files()
        assert Keeper(house.data, store, clock=lambda: NOW).expire() == [old]
        assert house.blobs() == set()
        store.close()


class FullDisk:
    """A store on a disk that takes nothing, until somebody gives room back."""

    def __init__(self, store: JobStore, monkeypatch: pytest.MonkeyPatch, reserve: Path) -> None:
        self.full = True
        self._reserve = reserve
        add_event, change_state = store.add_event, store.change_state

        def check() -> None:
            if self.full and self._reserve.exists():
                raise AssertionError("the reserve is of no use")
            if self.full:
                raise _sqlite_full()

        monkeypatch.setattr(store, "add_event", lambda *a: (check(), add_event(*a)))
        monkeypatch.setattr(store, "change_state", lambda *a, **k: (check(), change_state(*a, **k)))


def _sqlite_full() -> sqlite3.Error:
    """What SQLite itself raises: its database may not grow."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("CREATE TABLE t (x)")
    db.execute("PRAGMA max_page_count = 2")
    try:
        for _ in range(100):
            db.execute("INSERT INTO t VALUES (?)", ("x" * 1000,))
    except sqlite3.Error as error:
        return error
    finally:
        db.close()
    raise AssertionError("it was not full")


class TestFullDisk:
    def test_a_full_database_rolls_back_and_takes_the_next_transaction(self, tmp_path: Path) -> None:
        db = sqlite3.connect(tmp_path / "small.sqlite3", isolation_level=None)
        db.execute("CREATE TABLE t (x)")
        db.execute("PRAGMA max_page_count = 4")

        def write(size: int) -> None:
            with transaction(db):
                db.execute("INSERT INTO t VALUES (?)", ("x" * size,))

        write(10)
        with pytest.raises(sqlite3.Error) as full:
            write(100_000)
        assert disk_error(full.value).code == "backend.disk_full"
        write(10)
        assert db.execute("SELECT count(*) FROM t").fetchone()[0] == 2
        db.close()

    @pytest.fixture
    def recorder(self, house: House, store: JobStore, monkeypatch: pytest.MonkeyPatch, make_submit: Any) -> Any:
        self.book = JobBook(store, house.artifacts, "backend-a")
        self.stopped: list[str] = []
        self.seconds = 0.0
        submit, *blobs = make_submit()
        self.book.submit(submit, blobs)
        self.job = submit.job
        self.waiting, *blobs = make_submit()
        self.book.submit(self.waiting, blobs)
        self.book.take_next()
        reserve = DiskReserve(house.data.reserve, 1000)
        self.disk = FullDisk(store, monkeypatch, house.data.reserve)
        return Recorder(self.book, reserve, self.stopped.append, clock=lambda: self.seconds)

    def test_an_event_that_cannot_be_stored_ends_its_job_and_is_not_told(self, recorder: Recorder) -> None:
        started = Posted(StageStarted(job=self.job, stage="s", title="S", index=0, count=1))
        assert recorder.record(started) == []
        assert self.stopped == [self.job]
        # What the worker still says of it counts no more, and nothing begins that could not be written down.
        assert recorder.record(Posted(Cancelled(job=self.job))) == []
        assert recorder.take_next() is None
        self.disk.full = False
        self.seconds = 10
        (end,) = recorder.tick()
        assert isinstance(end.event, Failed)
        assert (end.event.number, end.event.code) == (2, "backend.disk_full")
        assert end.event.remedy
        assert recorder.tick() == []
        record = recorder.take_next()
        assert record is not None and record.job == self.waiting.job

    @pytest.mark.parametrize("what", ["finished", "interrupted"])
    def test_an_end_that_cannot_be_stored_is_stored_later(self, recorder: Recorder, store: JobStore, what: str) -> None:
        report = JobReport("draft", "draft", 0, "0" * 64, 1.0, (), (), {})
        if what == "finished":
            assert recorder.record(Posted(Finished(job=self.job, report=report))) == []
        else:
            assert recorder.interrupted(Interrupted(self.job, WorkerDied("It died."))) == []
        assert store.get(self.job).state == "running" and self.stopped == []
        self.disk.full = False
        self.seconds = 10
        (told,) = recorder.tick()
        assert told.event.number == 2
        assert store.get(self.job).state == ("finished" if what == "finished" else "queued")

    def test_a_job_whose_start_cannot_be_stored_is_not_lost(self, recorder: Recorder) -> None:
        for _ in range(3):
            self.seconds += 10
            assert recorder.take_next() is None
        self.disk.full = False
        self.seconds += 10
        assert recorder.take_next() is not None

    def test_the_reserve_is_what_the_end_is_stored_with(self, house: House, recorder: Recorder) -> None:
        reserve = DiskReserve(house.data.reserve, 1000)
        reserve.fill()
        assert house.data.reserve.stat().st_size == 1000
        self.disk.full = False
        with pytest.MonkeyPatch.context() as patch:
            # The disk is full as long as the reserve lies on it.
            store, add_event = self.book.store, self.book.store.add_event

            def tight(*args: Any) -> None:
                if house.data.reserve.exists():
                    raise _sqlite_full()
                add_event(*args)

            patch.setattr(store, "add_event", tight)
            started = Posted(StageStarted(job=self.job, stage="s", title="S", index=0, count=1))
            (end,) = recorder.record(started)
        assert isinstance(end.event, Failed) and end.event.code == "backend.disk_full"
        assert not house.data.reserve.exists()

    def test_other_trouble_is_not_called_a_full_disk(self) -> None:
        assert disk_error(OSError(errno.EDQUOT, "quota")).code == "backend.disk_full"
        assert disk_error(OSError(errno.EIO, "broken")).code == "backend.data_directory"
