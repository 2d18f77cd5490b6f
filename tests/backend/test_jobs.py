"""Jobs on their own: states, queue, artifacts, store, book."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
import threading

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.samples import submit_of_everything

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import MOST_ATTEMPTS, JobBook, Posted
from kiss3d_backend.jobs.inputs import StoredInputs, inputs_of, mesh_blobs
from kiss3d_backend.jobs.queue import JobQueue
from kiss3d_backend.jobs.states import ENDED, LEGAL, check_transition
from kiss3d_backend.jobs.store import JobStore
from kiss3d_backend.whole_file import sweep_parts
from kiss3d_protocol.errors import (
    ArtifactLost,
    DataDirectoryUnusable,
    DiskFull,
    JobConflict,
    JobUnknown,
    QueueFull,
    TooManyJobs,
    WorkerDied,
)
from kiss3d_protocol.framing import MAGIC, decode_server, encode
from kiss3d_protocol.messages import (
    Cancelled,
    Failed,
    Finished,
    JobReport,
    Progress,
    Queued,
    StageStarted,
    WarningRaised,
    new_job_id,
)
from kiss3d_protocol.params import GenerateParams


def finished(job: str) -> Posted:
    report = JobReport("draft", "draft", 0, "0" * 64, 1.0, (), (), {})
    return Posted(Finished(job=job, report=report))


def failed(job: str) -> Posted:
    return Posted(Failed(job=job, code="job.worker_died", message="It died."))


def started(job: str) -> Posted:
    return Posted(StageStarted(job=job, stage="inflate", title="Inflating", index=0, count=1))


SCHEMA_OF_VERSION_1 = """
CREATE TABLE jobs (
    job TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, preset TEXT NOT NULL, seed INTEGER NOT NULL,
    picture TEXT NOT NULL, backend TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL,
    started REAL, finished REAL, stage TEXT NOT NULL DEFAULT '', fraction REAL NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (job) ON DELETE CASCADE, number INTEGER NOT NULL, envelope BLOB NOT NULL,
    artifacts TEXT NOT NULL, PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_state ON jobs (state, created);
PRAGMA user_version = 1;
"""
"""As version 0.1.0 made it."""


class TestStates:
    def test_ended_states_lead_nowhere(self):
        assert {"finished", "failed", "cancelled"} == ENDED
        for old, new in itertools.product(LEGAL, LEGAL):
            if new in LEGAL[old]:
                check_transition(old, new)
            else:
                with pytest.raises(ValueError, match=f"{old} job cannot become {new}"):
                    check_transition(old, new)


def queue_of(**jobs: str) -> JobQueue:
    """A queue to which each client added jobs named by one letter, client after client."""
    queue = JobQueue()
    for client, names in jobs.items():
        for name in names:
            queue.add(name, client)
    return queue


class TestQueue:
    def test_jobs_of_one_client_run_first_come_first_served(self):
        queue = queue_of(one="abc")
        assert queue.remove("b")
        assert not queue.remove("b")
        assert queue.positions() == [("a", 0), ("c", 1)]
        assert [queue.take(), queue.take(), queue.take()] == ["a", "c", None]

    def test_one_job_does_not_wait_for_five_hundred_of_another_client(self):
        queue = JobQueue()
        for number in range(500):
            queue.add(f"batch {number}", "a")
        assert queue.take() == "batch 0"
        assert queue.place_of_next("b") == 0
        queue.add("click", "b")
        assert queue.positions()[:2] == [("click", 0), ("batch 1", 1)]
        assert [queue.take(), queue.take()] == ["click", "batch 1"]
        # Somebody who had a turn already comes behind those who wait for longer, but never behind a whole batch.
        queue.add("another click", "b")
        queue.add("first click", "c")
        assert [queue.take(), queue.take(), queue.take()] == ["first click", "another click", "batch 2"]

    def test_clients_take_turns(self):
        queue = queue_of(one="abc", two="d", three="ef")
        order = [job for job, _ in queue.positions()]
        assert order == list("adebfc")
        assert [queue.take() for _ in order] == order

    @given(st.lists(st.tuples(st.sampled_from(["add", "take", "remove"]), st.sampled_from("abcd")), max_size=40))
    def test_places_are_the_order_in_which_jobs_run(self, steps: list[tuple[str, str]]):
        queue = JobQueue()
        for number, (step, client) in enumerate(steps):
            if step == "add":
                place = queue.place_of_next(client)
                queue.add(f"{client}{number}", client)
                assert (f"{client}{number}", place) in queue.positions()
            elif step == "take":
                expected = queue.positions()
                assert queue.take() == (expected[0][0] if expected else None)
            elif (waiting := queue.positions()) and waiting[0][0].startswith(client):
                assert queue.remove(waiting[0][0])
        order = [job for job, _ in queue.positions()]
        assert [queue.take() for _ in order] == order and len(queue) == 0

    def test_full(self):
        queue = JobQueue(limit=3, limit_of_one=2)
        queue.add("a", "one")
        queue.add("b", "one")
        with pytest.raises(TooManyJobs):
            queue.check_room("one")
        queue.check_room("two")
        queue.add("c", "two")
        with pytest.raises(QueueFull):
            queue.check_room("two")


class TestArtifacts:
    def test_same_content_is_stored_once(self, data_dir: DataDir):
        artifacts = Artifacts(data_dir.artifacts)
        names = {artifacts.put(b"abc"), artifacts.put(memoryview(b"abc"))}
        assert len(names) == 1
        (name,) = names
        assert artifacts.read(name) == b"abc"
        assert [path.name for path in data_dir.artifacts.rglob("*") if path.is_file()] == [name]

    def test_names_are_no_paths(self, data_dir: DataDir):
        with pytest.raises(ValueError, match="not a sha256"):
            Artifacts(data_dir.artifacts).read("../../etc/passwd")

    def test_a_part_of_one(self, data_dir: DataDir):
        artifacts = Artifacts(data_dir.artifacts)
        name = artifacts.put(b"abcdef")
        assert [artifacts.read_part(name, at, 4) for at in (0, 4, 6, 9)] == [
            (b"abcd", 6),
            (b"ef", 6),
            (b"", 6),
            (b"", 6),
        ]
        with pytest.raises(ArtifactLost):
            artifacts.read_part("0" * 64, 0, 1)

    def test_lost(self, data_dir: DataDir):
        with pytest.raises(ArtifactLost):
            Artifacts(data_dir.artifacts).read("0" * 64)

    def test_nothing_is_left_of_a_failed_write(self, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch):
        def full(*args: object) -> None:
            raise OSError(28, "No space left on device")

        artifacts = Artifacts(data_dir.artifacts)
        monkeypatch.setattr("pathlib.Path.replace", full)
        with pytest.raises(DiskFull):
            artifacts.put(b"abc")
        assert not [path for path in data_dir.artifacts.rglob("*") if path.is_file()]

    def test_a_damaged_blob_is_not_given_out_and_can_be_stored_again(self, data_dir: DataDir):
        artifacts = Artifacts(data_dir.artifacts)
        name = artifacts.put(b"abc")
        artifacts.path(name).write_bytes(b"abd")
        with pytest.raises(ArtifactLost, match="damaged"):
            artifacts.read(name)
        assert artifacts.read(artifacts.put(b"abc")) == b"abc"
        artifacts.path(name).write_bytes(b"")
        assert artifacts.read(artifacts.put(b"abc")) == b"abc"

    def test_what_was_written_just_now_is_not_discarded(self, data_dir: DataDir):
        # The worker has stored it, and the broker does not know of it yet.
        artifacts = Artifacts(data_dir.artifacts)
        name = artifacts.put(b"abc")
        assert not artifacts.discard(name)
        os.utime(artifacts.path(name), (0, 0))
        artifacts.put(b"abc")
        assert not artifacts.discard(name)
        os.utime(artifacts.path(name), (0, 0))
        assert artifacts.discard(name)
        assert artifacts.size(name) == 0 and artifacts.discard(name)

    def test_half_written_files_of_the_killed_are_swept(self, data_dir: DataDir):
        old, new = (data_dir.artifacts / "ab" / f".part-{name}" for name in ("old", "new"))
        whole = Artifacts(data_dir.artifacts).path(Artifacts(data_dir.artifacts).put(b"abc"))
        old.parent.mkdir(exist_ok=True)
        for path in (old, new, whole):
            path.write_bytes(b"abc")
        for path in (old, whole):
            os.utime(path, (0, 0))
        assert sweep_parts(data_dir.root) == 1
        assert not old.exists() and new.exists() and whole.exists()

    def test_many_writers(self, data_dir: DataDir):
        artifacts = Artifacts(data_dir.artifacts)
        blob = os.urandom(1 << 20)
        threads = [threading.Thread(target=artifacts.put, args=(blob,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert artifacts.read(artifacts.put(blob)) == blob


class TestStore:
    def test_a_newer_schema_is_refused(self, data_dir: DataDir):
        JobStore(data_dir.database).close()
        with sqlite3.connect(data_dir.database) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(DataDirectoryUnusable, match="newer version"):
            JobStore(data_dir.database)

    def test_a_directory_of_the_first_version_is_taken_over(self, data_dir: DataDir):
        job = "00000000-0000-4000-8000-000000000000"
        with sqlite3.connect(data_dir.database) as db:
            db.executescript(SCHEMA_OF_VERSION_1)
            row = (job, "chair.png", "queued", "draft", 2**32 - 1, "ab" * 32, "backend-a", 5.0, 1)
            columns = "job, name, state, preset, seed, picture, backend, created, last_number"
            db.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            envelope = bytes(encode(Queued(job=job, number=1, position=0))[1])
            db.execute("INSERT INTO events VALUES (?, 1, ?, '[]')", (job, envelope))
        db.close()
        for _ in range(2):
            store = JobStore(data_dir.database)
            (record,) = store.unfinished()
            assert record.params == GenerateParams("draft", 2**32 - 1)
            assert record.inputs == StoredInputs("ab" * 32)
            assert (record.summary().recipe, record.last_number, record.created) == ("image_to_3d", 1, 5.0)
            assert [event.envelope for event in store.events_after(job, 0)] == [envelope]
            store.close()
        book = JobBook(JobStore(data_dir.database), Artifacts(data_dir.artifacts), "backend-b")
        book.adopt(lambda backend: True)
        assert book.take_next().job == job
        book.store.close()

    def test_a_new_directory_has_the_schema_that_a_migrated_one_has(self, data_dir: DataDir, store: JobStore):
        old = data_dir.root / "old.sqlite3"
        with sqlite3.connect(old) as db:
            db.executescript(SCHEMA_OF_VERSION_1)
        db.close()
        migrated = JobStore(old)
        columns = [{row["name"] for row in each._db.execute("PRAGMA table_info(jobs)")} for each in (migrated, store)]
        assert columns[0] == columns[1]
        migrated.close()

    def test_a_file_that_is_no_database_is_refused(self, data_dir: DataDir):
        data_dir.database.write_bytes(b"not a database at all" * 100)
        with pytest.raises(DataDirectoryUnusable):
            JobStore(data_dir.database)

    def test_a_transaction_is_kept_whole_or_not_at_all(self, store: JobStore, book: JobBook, make_submit):
        submit, *blobs = make_submit()
        book.submit(submit, blobs)

        def half() -> None:
            with store.transaction():
                store.update(submit.job, stage="half")
                raise KeyError

        with pytest.raises(KeyError):
            half()
        assert store.get(submit.job).stage == ""


class TestBook:
    def test_life_of_a_job(self, book: JobBook, make_submit):
        submit, *blobs = make_submit(seed=5)
        (queued,) = book.submit(submit, blobs)
        assert isinstance(queued.event, Queued)
        assert queued.event.number == 1
        record = book.take_next()
        assert record is not None
        assert (record.state, record.attempts, record.params.seed) == ("running", 1, 5)
        assert book.record(started(submit.job))[0].event.number == 2
        progress = Progress(job=submit.job, stage="inflate", step=1, steps=2, fraction=0.5)
        (passing,) = book.record(Posted(progress))
        assert passing.event.number == 0
        assert book.summaries(10)[0].fraction == 0.5
        (end,) = book.record(finished(submit.job))
        assert end.event.number == 3
        assert book.store.get(submit.job).summary().state == "finished"
        assert book.store.get(submit.job).fraction == 1.0

    def test_stored_events_are_the_messages_that_were_sent(self, book: JobBook, make_submit):
        submit, *blobs = make_submit()
        sent = book.submit(submit, blobs)
        book.take_next()
        sent += book.record(started(submit.job)) + book.record(failed(submit.job))
        stored, progress = book.history(submit.job, after=0)
        assert [decode_server([MAGIC, event.envelope])[0] for event in stored] == [each.event for each in sent]
        assert progress is None
        assert [event.number for event in book.history(submit.job, after=2)[0]] == [3]

    def test_submit_is_idempotent(self, book: JobBook, make_submit):
        submit, *blobs = make_submit(seed=1)
        assert book.submit(submit, blobs)
        assert book.submit(submit, blobs) == []
        other, _ = make_submit(seed=2, job=submit.job)
        with pytest.raises(JobConflict):
            book.submit(other, blobs)
        assert len(book.positions()) == 1

    def test_every_input_is_kept_and_told_apart(self, book: JobBook):
        submit, blobs = submit_of_everything()
        assert book.submit(submit, blobs)
        record = book.store.get(submit.job)
        assert (record.params, record.inputs) == (submit.params, inputs_of(submit))
        assert record.summary().recipe == submit.params.recipe
        assert book.artifacts.read(record.inputs.views[2]) == blobs[3]
        wanted = {ref.blob: blobs[ref.blob] for ref in submit.mesh.refs()}
        assert mesh_blobs(record.inputs.mesh, book.artifacts) == wanted
        assert book.submit(submit, blobs) == []
        for other in (
            attrs.evolve(submit, picture=None),
            attrs.evolve(submit, views=submit.views[:3]),
            attrs.evolve(submit, mesh=None),
            attrs.evolve(submit, mesh=attrs.evolve(submit.mesh, colours=None)),
            attrs.evolve(submit, params=attrs.evolve(submit.params, prompt="another")),
        ):
            with pytest.raises(JobConflict):
                book.submit(other, blobs)

    def test_only_the_first_end_counts(self, book: JobBook, make_submit):
        submit, *blobs = make_submit()
        book.submit(submit, blobs)
        book.take_next()
        book.record(failed(submit.job))
        assert book.record(finished(submit.job)) == []
        assert book.record(started(submit.job)) == []
        record = book.store.get(submit.job)
        assert (record.state, record.error) == ("failed", "job.worker_died")

    def test_cancel_waiting(self, book: JobBook, make_submit):
        first, *blobs = make_submit()
        second, _ = make_submit()
        book.submit(first, blobs)
        book.submit(second, blobs)
        (cancelled,) = book.cancel_waiting(first.job)
        assert isinstance(cancelled.event, Cancelled)
        assert book.cancel_waiting(first.job) == []
        assert [(each.event.job, each.event.position) for each in book.positions()] == [(second.job, 0)]

    def test_a_full_queue_stores_nothing(self, store: JobStore, data_dir: DataDir, make_submit):
        book = JobBook(store, Artifacts(data_dir.artifacts), "a", queue=JobQueue(limit=1))
        submit, *blobs = make_submit()
        book.submit(submit, blobs)
        refused, *blobs = make_submit()
        with pytest.raises(QueueFull):
            book.submit(refused, blobs)
        assert store.find(refused.job) is None

    def test_unknown_job(self, book: JobBook):
        with pytest.raises(JobUnknown):
            book.history(new_job_id(), 0)


class TestRestart:
    def crash(self, store: JobStore, data_dir: DataDir, instance: str) -> JobBook:
        """A new backend on the directory that the old one left."""
        book = JobBook(store, Artifacts(data_dir.artifacts), instance)
        book.adopt(lambda backend: backend != instance)
        return book

    def test_waiting_and_running_jobs_go_on(self, book: JobBook, store, data_dir, make_submit):
        running, *blobs = make_submit()
        waiting, _ = make_submit()
        book.submit(running, blobs)
        book.submit(waiting, blobs)
        book.take_next()
        after = self.crash(store, data_dir, "backend-b")
        assert [after.take_next().job, after.take_next().job] == [running.job, waiting.job]
        # Event 2 said that it goes on.
        assert after.record(started(running.job))[0].event.number == 3

    def test_a_poison_job_does_not_loop(self, book: JobBook, store, data_dir, make_submit):
        submit, *blobs = make_submit()
        book.submit(submit, blobs)
        for attempt in range(MOST_ATTEMPTS):
            assert book.take_next() is not None, attempt
            book = self.crash(store, data_dir, f"backend-{attempt}")
        assert book.take_next() is None
        assert store.get(submit.job).error == "job.interrupted"
        events = [decode_server([MAGIC, each.envelope])[0] for each in store.events_after(submit.job, 0)]
        assert [event.number for event in events] == [1, 2, 3, 4]
        assert [type(event) for event in events] == [Queued, WarningRaised, WarningRaised, Failed]
        assert f"{MOST_ATTEMPTS} times" in events[-1].message

    def test_an_interrupted_job_goes_before_those_that_wait(self, book: JobBook, store, make_submit):
        first, second, third = (make_submit() for _ in range(3))
        for submit, *blobs in (first, second, third):
            book.submit(submit, blobs)
        first, second, third = (submit.job for submit, _ in (first, second, third))
        assert book.take_next().job == first
        (told,) = book.interrupted(first, WorkerDied("It was killed."))
        assert (told.event.number, told.event.code) == (2, "job.worker_died")
        assert [(each.event.job, each.event.position) for each in book.positions()] == [
            (first, 0), (second, 1), (third, 2)
        ]  # fmt: skip
        assert (store.get(first).state, store.get(first).attempts) == ("queued", 1)
        assert book.take_next().attempts == 2
        book.interrupted(first, WorkerDied("It was killed."))
        assert isinstance(book.cancel_waiting(first)[0].event, Cancelled)
        assert [book.take_next().job, book.take_next().job, book.take_next()] == [second, third, None]

    def test_an_end_of_the_backend_as_it_should_be_costs_no_attempt(self, book: JobBook, store, data_dir, make_submit):
        submit, *blobs = make_submit()
        book.submit(submit, blobs)
        for attempt in range(MOST_ATTEMPTS + 1):
            record = book.take_next()
            assert record is not None and record.attempts == 1
            book.put_back(submit.job)
            book = self.crash(store, data_dir, f"backend-{attempt}")
        book.put_back(submit.job)
        assert store.get(submit.job).attempts == 0

    def test_jobs_of_living_backends_are_left_alone(self, book: JobBook, store, data_dir, make_submit):
        submit, *blobs = make_submit()
        book.submit(submit, blobs)
        other = JobBook(store, Artifacts(data_dir.artifacts), "backend-b")
        other.adopt(lambda backend: False)
        assert other.take_next() is None
        assert store.get(submit.job).backend == "backend-a"

    def test_abandon(self, book: JobBook, store, make_submit):
        submit, *blobs = make_submit()
        book.submit(submit, blobs)
        book.abandon()
        assert store.get(submit.job).state == "cancelled"

    def test_what_was_accepted_outlives_kill_9(self, data_dir: DataDir):
        script = f"""
import os
from pathlib import Path
from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.messages import Submit
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
data = DataDir(Path({str(data_dir.root)!r}))
book = JobBook(JobStore(data.database), Artifacts(data.artifacts), "killed")
writer = BlobWriter()
image = writer.image(b"picture", "image/png")
job = "00000000-0000-4000-8000-000000000000"
book.submit(Submit(job, "n", GenerateParams(), image), [b"picture"])
os.kill(os.getpid(), 9)
"""
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
        store = JobStore(data_dir.database)
        (record,) = store.unfinished()
        assert (record.state, record.last_number) == ("queued", 1)
        assert Artifacts(data_dir.artifacts).read(record.inputs.picture) == b"picture"
        store.close()
