"""Jobs and their events in SQLite (WAL): what was accepted outlives every process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

from attrs import frozen

from kiss3d_backend.database import made_by_a_newer_version, transaction
from kiss3d_backend.jobs.inputs import (
    StoredInputs,
    inputs_from_text,
    inputs_to_text,
    params_from_text,
    params_to_text,
)
from kiss3d_backend.jobs.states import ENDED, check_transition
from kiss3d_protocol.errors import DataDirectoryUnusable, JobUnknown
from kiss3d_protocol.messages import JobState, JobSummary
from kiss3d_protocol.params import GenerateParams

SCHEMA_VERSION = 4
_SCHEMA = """
CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    params TEXT NOT NULL,
    inputs TEXT NOT NULL,
    backend TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    stage TEXT NOT NULL DEFAULT '',
    fraction REAL NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT 'local',
    bytes INTEGER
) STRICT;
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    artifacts TEXT NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_state ON jobs (state, created);
CREATE INDEX jobs_by_owner ON jobs (owner, created);
"""

_BLOBS = """
CREATE TABLE blobs (
    job TEXT NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (job, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_sha256 ON blobs (sha256);
CREATE TABLE keeping (days REAL NOT NULL, gigabytes REAL NOT NULL) STRICT
"""
"""Which jobs need which artifacts, and for how long jobs are kept."""

_NAME_BLOBS = """
INSERT OR IGNORE INTO blobs SELECT job, value FROM events, json_each(events.artifacts);
INSERT OR IGNORE INTO blobs SELECT job, json_extract(inputs, '$.picture') FROM jobs
    WHERE json_extract(inputs, '$.picture') IS NOT NULL;
INSERT OR IGNORE INTO blobs SELECT job, value FROM jobs, json_each(jobs.inputs, '$.views');
INSERT OR IGNORE INTO blobs
    SELECT job, json_extract(value, '$.sha256') FROM jobs, json_each(jobs.inputs, '$.mesh') WHERE type = 'object'
"""

_MIGRATIONS = {
    # Jobs had a preset, a seed and a picture, and nothing else.
    1: """
ALTER TABLE jobs ADD COLUMN params TEXT NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN inputs TEXT NOT NULL DEFAULT '{}';
UPDATE jobs SET params = json_object('preset', preset, 'seed', seed), inputs = json_object('picture', picture);
ALTER TABLE jobs DROP COLUMN preset;
ALTER TABLE jobs DROP COLUMN seed;
ALTER TABLE jobs DROP COLUMN picture
""",
    # There were no keys: every job was of the user whose backend it is.
    2: """
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';
CREATE INDEX jobs_by_owner ON jobs (owner, created)
""",
    # Everything was kept for ever.
    3: "ALTER TABLE jobs ADD COLUMN bytes INTEGER;" + _BLOBS + ";" + _NAME_BLOBS,
}
"""From each older version of the schema to the next one."""


@frozen
class JobRecord:
    """One row of the jobs table. ``backend`` is an instance's UUID, ``owner`` the id of the client whose job it is.

    ``bytes``: what an ended job takes on the disk; None while nobody has looked.
    """

    job: str
    name: str
    state: JobState
    params: GenerateParams
    inputs: StoredInputs
    backend: str
    attempts: int
    created: float
    started: float | None
    finished: float | None
    stage: str
    fraction: float
    last_number: int
    error: str
    owner: str
    bytes: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in ENDED

    def summary(self) -> JobSummary:
        """What a job list tells of it."""
        return JobSummary(
            job=self.job,
            name=self.name,
            state=self.state,
            preset=self.params.preset,
            seed=self.params.seed,
            created=self.created,
            started=self.started,
            finished=self.finished,
            stage=self.stage,
            fraction=self.fraction,
            last_number=self.last_number,
            error=self.error,
            recipe=self.params.recipe,
        )


@frozen
class EndedJob:
    """When a job ended, in seconds since 1970, and what it takes on the disk."""

    job: str
    finished: float
    bytes: int


@frozen
class StoredEvent:
    """A numbered event as it goes over the wire: its envelope, and its blobs by sha256."""

    number: int
    envelope: bytes
    artifacts: tuple[str, ...]


class JobStore:
    """One connection to the database; belongs to one thread. Raises :class:`DataDirectoryUnusable`."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            # What was accepted, and numbers that were told, outlive a loss of power too.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except sqlite3.Error as error:
            raise DataDirectoryUnusable(f"The job database {path} cannot be used ({error}).") from error

    def _migrate(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        version = cast(int, self._db.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            self._run(_SCHEMA + _BLOBS)
        for older in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
            self._run(_MIGRATIONS[older])
        if version < SCHEMA_VERSION:
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._db.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise made_by_a_newer_version()

    def _run(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._db.execute(statement)

    def close(self) -> None:
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All that is written inside is kept, or nothing."""
        return transaction(self._db)

    def add(self, record: JobRecord) -> None:
        """A new job."""
        self._db.execute(
            "INSERT INTO jobs (job, name, state, params, inputs, backend, created, owner) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.job,
                record.name,
                record.state,
                params_to_text(record.params),
                inputs_to_text(record.inputs),
                record.backend,
                record.created,
                record.owner,
            ),
        )
        self._name_blobs(record.job, record.inputs.blobs())

    def find(self, job: str) -> JobRecord | None:
        """The job, or None."""
        row = self._db.execute("SELECT * FROM jobs WHERE job = ?", (job,)).fetchone()
        return None if row is None else _record(row)

    def get(self, job: str) -> JobRecord:
        """The job. Raises :class:`JobUnknown`."""
        record = self.find(job)
        if record is None:
            raise job_unknown()
        return record

    def newest(self, limit: int, owner: str | None = None) -> list[JobRecord]:
        """The newest jobs first: those of one client, or of all."""
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE ?1 IS NULL OR owner = ?1 ORDER BY created DESC, rowid DESC LIMIT ?2",
            (owner, limit),
        )
        return [_record(row) for row in rows]

    def unfinished(self) -> list[JobRecord]:
        """Jobs that wait or run, oldest first, of every backend that uses this directory."""
        rows = self._db.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY created, rowid")
        return [_record(row) for row in rows]

    def unfinished_of(self, backend: str, owner: str | None, limit: int) -> list[JobRecord]:
        """Of one backend the jobs of one client, or of all: the running one first, then those that wait, by age."""
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE backend = ?1 AND state IN ('queued', 'running') AND (?2 IS NULL OR owner = ?2) "
            "ORDER BY state = 'queued', created, rowid LIMIT ?3",
            (backend, owner, limit),
        )
        return [_record(row) for row in rows]

    def counts(self, backend: str) -> dict[str, int]:
        """How many jobs of a backend are in each state."""
        rows = self._db.execute("SELECT state, COUNT(*) FROM jobs WHERE backend = ? GROUP BY state", (backend,))
        return {str(state): int(count) for state, count in rows}

    def change_state(self, job: str, state: JobState, **columns: object) -> None:
        """A legal transition (else :class:`ValueError`), and other columns with it."""
        check_transition(self.get(job).state, state)
        self.update(job, state=state, **columns)

    def update(self, job: str, **columns: object) -> None:
        """Sets columns of a job."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(
            f"UPDATE jobs SET {assignments} WHERE job = ?",  # noqa: S608 (column names are ours)
            (*columns.values(), job),
        )

    def add_event(self, job: str, event: StoredEvent) -> None:
        """Appends an event; its number must be the next one."""
        self._db.execute(
            "INSERT INTO events (job, number, envelope, artifacts) VALUES (?, ?, ?, ?)",
            (job, event.number, event.envelope, json.dumps(event.artifacts)),
        )
        self._name_blobs(job, event.artifacts)
        self.update(job, last_number=event.number)

    def events_after(self, job: str, number: int) -> list[StoredEvent]:
        """The events of a job with a greater number, in order."""
        rows = self._db.execute(
            "SELECT number, envelope, artifacts FROM events WHERE job = ? AND number > ? ORDER BY number",
            (job, number),
        )
        return [StoredEvent(row["number"], row["envelope"], tuple(json.loads(row["artifacts"]))) for row in rows]

    def delete(self, job: str) -> None:
        """Takes a job and its events out. Its artifacts are not touched."""
        self._db.execute("DELETE FROM jobs WHERE job = ?", (job,))

    def blobs_of(self, job: str) -> list[str]:
        """The artifacts that a job was made from and has made."""
        return [row[0] for row in self._db.execute("SELECT sha256 FROM blobs WHERE job = ?", (job,))]

    def is_needed(self, sha256: str) -> bool:
        """Whether any job needs this artifact."""
        return self._db.execute("SELECT 1 FROM blobs WHERE sha256 = ? LIMIT 1", (sha256,)).fetchone() is not None

    def ended(self) -> list[EndedJob]:
        """Jobs that have ended, the first of them first."""
        rows = self._db.execute(
            "SELECT job, finished, bytes FROM jobs WHERE finished IS NOT NULL ORDER BY finished, rowid"
        )
        return [EndedJob(row["job"], row["finished"], row["bytes"] or 0) for row in rows]

    def unmeasured(self) -> list[str]:
        """Ended jobs of which nobody knows yet what they take on the disk."""
        rows = self._db.execute("SELECT job FROM jobs WHERE finished IS NOT NULL AND bytes IS NULL")
        return [row[0] for row in rows]

    def keeping(self) -> tuple[float, float] | None:
        """For how many days and in how many gigabytes jobs are kept, if somebody has said so."""
        row = self._db.execute("SELECT days, gigabytes FROM keeping").fetchone()
        return None if row is None else (row["days"], row["gigabytes"])

    def set_keeping(self, days: float, gigabytes: float) -> None:
        """Remembers it for all backends of the directory."""
        with self.transaction():
            self._db.execute("DELETE FROM keeping")
            self._db.execute("INSERT INTO keeping VALUES (?, ?)", (days, gigabytes))

    def _name_blobs(self, job: str, names: Iterable[str]) -> None:
        rows = [(job, name) for name in names]
        self._db.executemany("INSERT OR IGNORE INTO blobs (job, sha256) VALUES (?, ?)", rows)

    def refers_to(self, job: str, artifact: str) -> bool:
        """Whether an event of the job has this artifact among its blobs."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM events, json_each(events.artifacts) AS named "
            "WHERE events.job = ? AND named.value = ?)",
            (job, artifact),
        ).fetchone()
        return bool(row[0])


def job_unknown() -> JobUnknown:
    """The error for a job that is not there, or not for whoever asks."""
    return JobUnknown("The backend does not know this job.")


def _record(row: sqlite3.Row) -> JobRecord:
    columns = dict(row)
    params, inputs = params_from_text(columns.pop("params")), inputs_from_text(columns.pop("inputs"))
    return JobRecord(**columns, params=params, inputs=inputs)
