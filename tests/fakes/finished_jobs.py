"""Jobs that have ended before a backend starts: their events and results, as a real one leaves them on the disk."""

from __future__ import annotations

import random

from kiss3d_backend.clients.identity import OWNER, ClientIdentity
from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.messages import Finished, JobReport, MeshReady, Submit, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, BlobWriter, MeshRef


def noise_mesh(size: int, seed: int = 0) -> tuple[MeshRef, list[Blob]]:
    """A mesh of about ``size`` bytes that no network could make smaller; no two blobs are alike."""
    rows, noise, writer = size // 24, random.Random(seed), BlobWriter()
    positions, triangles = (noise.randbytes(12 * rows) for _ in range(2))
    return MeshRef(writer.array(positions, "<f4", (rows, 3)), writer.array(triangles, "<u4", (rows, 3))), writer.blobs


def finished_job(
    data_dir: DataDir, mesh: tuple[MeshRef, list[Blob]], *, bundles: int = 1, owner: ClientIdentity = OWNER
) -> str:
    """Makes a job of ``owner`` that has a coarse and a final mesh of each of its bundles; returns its id."""
    data_dir.create()
    store = JobStore(data_dir.database)
    book = JobBook(store, Artifacts(data_dir.artifacts), "a backend of before")
    writer = BlobWriter()
    job = new_job_id()
    book.submit(Submit(job, "chair.png", GenerateParams(), writer.image(b"picture", "image/png")), writer.blobs, owner)
    book.take_next()
    ref, blobs = mesh
    names = tuple(book.artifacts.put(blob) for blob in blobs)
    for quality in ("coarse", "final"):
        for bundle in range(bundles):
            book.record(Posted(MeshReady(job=job, quality=quality, mesh=ref, bundle=bundle), names))
    report = JobReport("draft", "draft", 0, "0" * 64, 1.0, (), (), {})
    book.record(Posted(Finished(job=job, report=report)))
    store.close()
    return job
