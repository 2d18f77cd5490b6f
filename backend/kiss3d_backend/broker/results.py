"""What clients get of the results of jobs: meshes by request, and blobs in chunks. Only ever of their own jobs."""

from __future__ import annotations

from kiss3d_backend.broker.outbox import Letter
from kiss3d_backend.broker.sessions import Session
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.store import StoredEvent
from kiss3d_protocol.errors import ArtifactLost, JobWithoutResult
from kiss3d_protocol.fetching import Chunk, Fetch, FetchFailed, JobResult
from kiss3d_protocol.framing import structure, unpack_map
from kiss3d_protocol.messages import TAGS, MeshReady
from kiss3d_protocol.payloads import Blob, BlobWriter


class Results:
    """The results of the jobs in a book."""

    def __init__(self, book: JobBook) -> None:
        self._book = book

    def send_meshes(self, session: Session, job: str) -> None:
        """The newest mesh of each bundle of a job. Raises :class:`JobUnknown` and :class:`JobWithoutResult`."""
        self._book.get(job, session.owner)
        newest: dict[int, tuple[MeshReady, StoredEvent]] = {}
        for event in self._book.store.events_after(job, 0):
            fields = unpack_map(event.envelope) if event.artifacts else {}
            if fields.get("type") == TAGS[MeshReady]:
                mesh = structure(fields, MeshReady)
                newest[mesh.bundle] = mesh, event
        if not newest:
            raise JobWithoutResult("The job has not made a mesh.")
        for index, (_, (ready, event)) in enumerate(sorted(newest.items())):
            result = JobResult(job, index, len(newest), ready.quality, ready.mesh, ready.bundle)
            session.outbox.put(Letter(result, event.artifacts))

    def ask_chunk(self, session: Session, fetch: Fetch) -> None:
        """Notes a request for a chunk. Raises :class:`JobUnknown` and :class:`TooManyRequests`.

        The name of a blob is no key to it: an artifact that does not belong to a job of this client is as good as lost.
        """
        self._book.get(fetch.job, session.owner)
        if self._book.store.refers_to(fetch.job, fetch.sha256):
            session.outbox.put_fetch(fetch)
        else:
            lost = ArtifactLost("This is no part of the job's result.")
            session.outbox.put(Letter(FetchFailed(fetch.job, fetch.sha256, lost.code, lost.message, lost.remedy)))

    def chunk(self, fetch: Fetch) -> tuple[Chunk | FetchFailed, list[Blob]]:
        """The answer to a request that was noted."""
        try:
            data, total = self._book.artifacts.read_part(fetch.sha256, fetch.offset, fetch.length)
        except ArtifactLost as lost:
            return FetchFailed(fetch.job, fetch.sha256, lost.code, lost.message, lost.remedy), []
        writer = BlobWriter()
        return Chunk(fetch.job, fetch.sha256, fetch.offset, total, writer.piece(data)), writer.blobs
