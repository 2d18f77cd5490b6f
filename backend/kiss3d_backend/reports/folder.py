"""The folder of each job: what the worker notes while it runs, small pictures, and the report at the end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from cattrs.errors import BaseValidationError, StructureHandlerNotFoundError

from kiss3d_backend.jobs.store import JobRecord
from kiss3d_backend.reports.close import close_account
from kiss3d_backend.reports.page import make_page
from kiss3d_backend.reports.record import Report, RunRecord, run_from_json, to_json
from kiss3d_backend.whole_file import write_whole
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.messages import Cancelled, Failed, Finished, is_job_id
from kiss3d_protocol.payloads import FileRef, sha256_of

_log = logging.getLogger(__name__)

_RUN = "run.json"
_DATA = "report.json"
_PAGE = "report.html"


class ReportFolder:
    """Reports below ``root``, one folder a job. The worker writes what it knows; the broker closes the account."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, job: str) -> Path:
        """Where the files of a job lie, or would lie. Raises ValueError for what is no job id."""
        if not is_job_id(job):
            raise ValueError(f"not a job id: {job!r:.80}")
        return self._root / job

    def save_run(self, job: str, run: RunRecord) -> None:
        """Notes how far a run is; the next note replaces it. Raises OSError."""
        write_whole(self.folder(job) / _RUN, to_json(run).encode())

    def read_run(self, job: str) -> RunRecord:
        """The last note; an empty one when there is none that can be read."""
        try:
            return run_from_json((self.folder(job) / _RUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return RunRecord()
        except (OSError, ValueError, TypeError, KeyError, BaseValidationError, StructureHandlerNotFoundError) as error:
            _log.warning("the notes of job %s cannot be read: %s", job, error)
            return RunRecord()

    def save_picture(self, job: str, name: str, data: bytes) -> None:
        """Puts a picture beside the report. Raises OSError."""
        write_whole(self.folder(job) / name, data)

    def save(self, report: Report) -> None:
        """Writes ``report.json`` and ``report.html``. Raises OSError."""
        folder = self.folder(report.job.id)
        pictures: dict[str, bytes] = {}
        for picture in report.run.pictures:
            path = folder / picture.file
            if path.parent == folder and path.is_file():
                pictures[picture.file] = path.read_bytes()
        write_whole(folder / _DATA, to_json(report).encode())
        write_whole(folder / _PAGE, make_page(report, pictures).encode())

    def close(self, record: JobRecord, end: Finished | Failed | Cancelled) -> None:
        """Writes the report of a job that has ended. What goes wrong with it costs the report and nothing else."""
        try:
            self.save(close_account(record, end, self.read_run(record.job)))
        except Exception:
            # The broker lives on: a full disk, or a mistake in the page, must not end every other job.
            _log.exception("the report of job %s cannot be written", record.job)

    def paths(self, job: str) -> tuple[Path, Path]:
        """``report.json`` and ``report.html`` of a job. Raises :class:`ArtifactLost` when they are not there."""
        folder = self.folder(job)
        data, page = folder / _DATA, folder / _PAGE
        if not (data.is_file() and page.is_file()):
            raise ArtifactLost(
                "The backend has no report of this job.",
                "Jobs of older versions have none, and their folders may have been deleted; run the job again.",
            )
        return data, page


def file_ref(blob: int, kind: Literal["json", "html"], path: Path) -> FileRef:
    """What describes a file in a message. Raises OSError."""
    data = path.read_bytes()
    return FileRef(blob, kind, len(data), sha256_of(data))
