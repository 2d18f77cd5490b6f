"""The limits of the page are those of the backend, and lists that are too long do not end it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.backend.test_pulls import Rig

import kiss3d_protocol
from kiss3d_backend.broker import delivery, gate, outbox, sessions
from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs import queue
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.inputs import StoredInputs
from kiss3d_backend.jobs.store import JobRecord
from kiss3d_protocol.fetching import MAX_CHUNK
from kiss3d_protocol.messages import MAX_LISTED_JOBS, MAX_NAME, Hello, JobList, ListJobs, Welcome, new_job_id
from kiss3d_protocol.params import GenerateParams

SPEC = (Path(kiss3d_protocol.__file__).parent / "SPEC.md").read_text(encoding="utf-8")


def test_the_limits_of_the_page_are_those_of_the_backend() -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", SPEC, re.MULTILINE))
    assert rows["bytes of a chunk"] == f"{MAX_CHUNK >> 20} MiB"
    assert rows["chunks that a client has asked for and not got"] == str(outbox.MOST_FETCHES)
    assert rows["queued jobs of a backend"] == str(queue.MAX_QUEUED)
    assert rows["queued jobs of a client"] == str(queue.MAX_QUEUED_OF_ONE)
    assert rows["connections of a client"] == str(sessions.MOST_CONNECTIONS_OF_ONE)
    letters = f"{outbox.MOST_LETTERS:,}, and {outbox.MOST_BYTES >> 20} MiB of envelopes"
    assert rows["messages that wait for a client"] == letters
    assert f"blobs of more than {delivery.INLINE_MOST >> 10} KiB" in SPEC
    assert "within five seconds" in SPEC and gate.HANDSHAKE_SECONDS == 5.0


def test_a_list_that_does_not_fit_into_a_message_is_shortened(book: JobBook, data_dir: DataDir) -> None:
    jobs = [new_job_id() for _ in range(MAX_LISTED_JOBS)]
    with book.store.transaction():
        for number, job in enumerate(jobs):
            record = JobRecord(
                job=job,
                name="\U0001f600" * MAX_NAME,
                state="queued",
                params=GenerateParams(),
                inputs=StoredInputs("0" * 64),
                backend="backend-a",
                attempts=0,
                created=float(number),
                started=None,
                finished=None,
                stage="",
                fraction=0.0,
                last_number=0,
                error="",
                owner="local",
            )
            book.store.add(record)
    rig = Rig(book, data_dir)
    rig.say(b"\0one", Hello("1.3", "test/1"), ListJobs(MAX_LISTED_JOBS))
    welcome, listed = rig.heard(b"\0one")
    assert isinstance(welcome, Welcome) and isinstance(listed, JobList)
    assert [summary.job for summary in listed.jobs] == jobs[: -len(listed.jobs) - 1 : -1]
    assert 100 < len(listed.jobs) < MAX_LISTED_JOBS
