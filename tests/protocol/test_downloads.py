"""Blobs that are fetched: in order, once, whole, in small steps, and on from where they were."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.samples import JOB, OTHER_INSTANCE, OTHER_JOB, mesh_ready, preview, result, welcome
from tests.protocol.test_session import Rig, progress, stage

from kiss3d_protocol.downloads import LEAST_CHUNK, MOST_ASKED, Downloads
from kiss3d_protocol.fetching import MAX_CHUNK, Chunk, Fetch, FetchFailed, GetResults
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Attach, Cancelled, MeshReady, Refused, WarningRaised, blob_refs
from kiss3d_protocol.parts import KEPT_SECONDS, FolderParts, MemoryParts, Parts, downloads_dir
from kiss3d_protocol.payloads import Blob, BlobWriter, MeshRef
from kiss3d_protocol.session import Received


def big_mesh(job: str = JOB, number: int = 1, vertices: int = 20_000, seed: int = 0) -> tuple[MeshReady, list[Blob]]:
    """Two arrays of ``12 * vertices`` bytes of noise, and a picture of which the descriptor tells no length."""
    noise, writer = random.Random(seed), BlobWriter()
    mesh = MeshRef(
        writer.array(noise.randbytes(12 * vertices), "<f4", (vertices, 3)),
        writer.array(noise.randbytes(12 * vertices), "<u4", (vertices, 3)),
        texture=writer.image(noise.randbytes(100_000), "image/png", 64, 64),
    )
    return MeshReady(job=job, number=number, quality="final", mesh=mesh), writer.blobs


class Shelf:
    """The backend's blobs. ``sent``: bytes that were sent in all."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.sent = 0

    def keep(self, message: Any, blobs: Sequence[Blob]) -> list[Blob]:
        """What goes over the wire in the place of the blobs."""
        self.blobs |= {ref.sha256: bytes(blobs[ref.blob]) for ref in blob_refs(message)}
        return [b""] * len(blobs)

    def answer(self, fetch: Fetch) -> tuple[Chunk, bytes]:
        blob = self.blobs[fetch.sha256]
        data = blob[fetch.offset : fetch.offset + fetch.length]
        self.sent += len(data)
        writer = BlobWriter()
        return Chunk(fetch.job, fetch.sha256, fetch.offset, len(blob), writer.piece(data)), data


def fetched(downloads: Downloads, shelf: Shelf, *, speed: float = 1e6) -> int:
    """Fetches all that is missing over a line of ``speed`` bytes a second; returns the number of chunks."""
    now, count = 0.0, 0
    waiting: list[Fetch] = list(downloads.requests(now))
    while waiting:
        chunk, data = shelf.answer(waiting.pop(0))
        now, count = now + len(data) / speed, count + 1
        downloads.take(chunk, data, now)
        waiting += downloads.requests(now)
    return count


@pytest.fixture(params=["memory", "folder"])
def parts(request: pytest.FixtureRequest, tmp_path: Path) -> Parts:
    return MemoryParts() if request.param == "memory" else FolderParts(tmp_path / "parts")


def test_a_message_is_whole_when_all_its_blobs_have_come(parts: Parts) -> None:
    downloads, shelf = Downloads(parts), Shelf()
    message, blobs = big_mesh()
    downloads.add(message, shelf.keep(message, blobs))
    assert not downloads.whole
    assert fetched(downloads, shelf) > 3
    assert list(downloads.whole) == [(message, blobs)]
    assert shelf.sent == sum(len(blob) for blob in blobs)
    assert list(downloads.requests(0.0)) == []


def test_what_follows_in_the_same_job_waits_and_of_what_passes_only_the_newest_is_kept() -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    first, second = big_mesh(number=1), big_mesh(number=3, seed=1)
    downloads.add(first[0], shelf.keep(*first))
    late = attrs.evolve(progress(), step=2)
    for event in (progress(), stage(2), late):
        downloads.add(event, ())
    downloads.add(second[0], shelf.keep(*second))
    downloads.add(stage(1, OTHER_JOB), ())
    assert [message for message, _ in downloads.whole] == [stage(1, OTHER_JOB)]
    downloads.whole.clear()
    fetched(downloads, shelf)
    assert [message for message, _ in downloads.whole] == [first[0], stage(2), late, second[0]]


def test_a_blob_that_several_messages_share_comes_once() -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    first, again = big_mesh(number=1), big_mesh(number=2)
    for message, blobs in (first, again):
        downloads.add(message, shelf.keep(message, blobs))
    fetched(downloads, shelf)
    assert [list(blobs) for _, blobs in downloads.whole] == [first[1], again[1]]
    assert shelf.sent == sum(len(blob) for blob in first[1])


def test_jobs_take_turns() -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    for message, blobs in (big_mesh(vertices=200_000), preview(OTHER_JOB, number=1)):
        downloads.add(message, shelf.keep(message, blobs))
    assert [fetch.job for fetch in downloads.requests(0.0)] == [JOB, OTHER_JOB, JOB, JOB, JOB, JOB]


@pytest.mark.parametrize(("speed", "expected"), [(125_000, LEAST_CHUNK), (1e6, 125_000), (1e9, MAX_CHUNK)])
def test_chunks_are_as_long_as_the_line_is_fast(speed: float, expected: int) -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    message, blobs = big_mesh(vertices=2_000_000)
    downloads.add(message, shelf.keep(message, blobs))
    now, lengths = 0.0, []
    waiting: list[Fetch] = []
    for _ in range(40):
        waiting += downloads.requests(now)
        assert len(waiting) == MOST_ASKED
        lengths.append(waiting[-1].length)
        chunk, data = shelf.answer(waiting.pop(0))
        now += len(data) / speed
        downloads.take(chunk, data, now)
    assert lengths[0] == LEAST_CHUNK
    assert lengths[-1] == pytest.approx(expected, rel=0.01)


def test_after_a_loss_it_goes_on_from_where_it_was(parts: Parts) -> None:
    downloads, shelf = Downloads(parts), Shelf()
    message, blobs = big_mesh()
    downloads.add(message, shelf.keep(message, blobs))
    total = sum(len(blob) for blob in blobs)
    for _ in range(5):
        first, *_rest = list(downloads.requests(0.0))
        downloads.take(*shelf.answer(first), now=1.0)
        downloads.lost()
    fetched(downloads, shelf)
    assert list(downloads.whole) == [(message, blobs)]
    assert shelf.sent == total


def test_chunks_that_are_late_or_doubled_do_no_harm(parts: Parts) -> None:
    downloads, shelf = Downloads(parts), Shelf()
    message, blobs = big_mesh()
    downloads.add(message, shelf.keep(message, blobs))
    before = list(downloads.requests(0.0))
    downloads.lost()
    for fetch in [*reversed(before), *before]:
        downloads.take(*shelf.answer(fetch), now=1.0)
    fetched(downloads, shelf)
    assert list(downloads.whole) == [(message, blobs)]


def assert_fetched_once(folder: Path, message: MeshReady, blobs: list[Blob], shelf: Shelf) -> None:
    """Another program gets the message with what is left to fetch, and nothing came twice or stays on the disk."""
    second = Downloads(FolderParts(folder))
    second.add(message, [b""] * len(blobs))
    fetched(second, shelf)
    assert list(second.whole) == [(message, blobs)]
    assert shelf.sent == sum(len(blob) for blob in blobs)
    assert list(folder.iterdir()) == []


def test_another_program_goes_on_from_what_is_on_the_disk(tmp_path: Path) -> None:
    message, blobs = big_mesh(vertices=100_000)
    first, shelf = Downloads(FolderParts(tmp_path)), Shelf()
    first.add(message, shelf.keep(message, blobs))
    for _ in range(6):
        fetch, *_rest = list(first.requests(0.0))
        first.take(*shelf.answer(fetch), now=1.0)
        first.lost()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert_fetched_once(tmp_path, message, blobs, shelf)


@pytest.mark.parametrize("chunks", range(1, 37, 2))
def test_a_program_that_ends_anywhere_loses_nothing_also_not_the_blobs_that_were_whole(
    tmp_path: Path, chunks: int
) -> None:
    message, blobs = big_mesh()
    first, shelf = Downloads(FolderParts(tmp_path)), Shelf()
    first.add(message, shelf.keep(message, blobs))
    for _ in range(chunks):
        fetch, *_rest = list(first.requests(0.0))
        first.take(*shelf.answer(fetch), now=0.5)
        first.lost()
    assert not first.whole
    assert_fetched_once(tmp_path, message, blobs, shelf)


def test_of_a_mesh_that_cannot_be_had_nothing_stays_on_the_disk(tmp_path: Path) -> None:
    message, blobs = big_mesh()
    downloads, shelf = Downloads(FolderParts(tmp_path)), Shelf()
    downloads.add(message, shelf.keep(message, blobs))
    while not any(part.stat().st_size == len(blobs[0]) for part in tmp_path.iterdir()):
        fetch, *_rest = list(downloads.requests(0.0))
        downloads.take(*shelf.answer(fetch), now=0.5)
        downloads.lost()
    downloads.fail(FetchFailed(JOB, message.mesh.triangles.sha256, "gone", "It is gone."))
    assert isinstance(downloads.whole[0][0], WarningRaised)
    assert list(tmp_path.iterdir()) == []


def test_two_programs_may_fetch_the_same_blob_into_the_same_file(tmp_path: Path) -> None:
    message, blobs = big_mesh(vertices=100_000)
    shelf, both = Shelf(), [Downloads(FolderParts(tmp_path)) for _ in range(2)]
    for downloads in both:
        downloads.add(message, shelf.keep(message, blobs))
    choice, waiting = random.Random(5), ([], [])
    for step in itertools.count():
        which = choice.randrange(2)
        waiting[which].extend(both[which].requests(step))
        if waiting[which]:
            both[which].take(*shelf.answer(waiting[which].pop(0)), now=step + 1.0)
        if all(downloads.whole for downloads in both):
            break
        assert step < 1000
    assert [list(downloads.whole) for downloads in both] == [[(message, blobs)]] * 2


def test_what_is_on_the_disk_is_not_believed(tmp_path: Path) -> None:
    message, blobs = big_mesh()
    positions = message.mesh.positions
    (tmp_path / f"{positions.sha256}.part").write_bytes(b"x" * positions.nbytes)
    downloads, shelf = Downloads(FolderParts(tmp_path)), Shelf()
    downloads.add(message, shelf.keep(message, blobs))
    fetched(downloads, shelf)
    assert list(downloads.whole) == [(message, blobs)]


def test_a_disk_that_cannot_be_written_to_costs_nothing_but_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for parts in (FolderParts(tmp_path / "file"), FolderParts(tmp_path / "good")):
        downloads, shelf = Downloads(parts), Shelf()
        message, blobs = big_mesh()
        downloads.add(message, shelf.keep(message, blobs))
        first = next(downloads.requests(0.0))
        downloads.take(*shelf.answer(first), now=1.0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            downloads.lost()
            fetched(downloads, shelf)
        assert list(downloads.whole) == [(message, blobs)]


def test_parts_that_nobody_goes_on_with_are_forgotten(tmp_path: Path) -> None:
    old, new = tmp_path / f"{'0' * 64}.part", tmp_path / f"{'1' * 64}.part"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, path.stat().st_mtime - KEPT_SECONDS - 60))
    FolderParts(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_blob_that_comes_wrong_twice_is_given_up() -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    message, blobs = big_mesh(number=1)
    downloads.add(message, shelf.keep(message, blobs))
    downloads.add(stage(2), ())
    sha256 = message.mesh.triangles.sha256
    shelf.blobs[sha256] = bytes(len(shelf.blobs[sha256]))
    fetched(downloads, shelf)
    (warning, _), (after, _) = downloads.whole
    assert isinstance(warning, WarningRaised)
    assert (warning.job, warning.number, warning.code) == (JOB, 1, "protocol.malformed")
    assert after == stage(2)


def strange_chunks(fetch: Fetch, total: int) -> Iterator[Chunk]:
    """Answers to the fetch that no backend gives."""
    writer = BlobWriter()
    some, nothing = writer.piece(b"some"), writer.piece(b"")
    yield Chunk(fetch.job, fetch.sha256, fetch.offset, total, nothing)
    yield Chunk(fetch.job, fetch.sha256, fetch.offset, total + 1, some)
    yield Chunk(fetch.job, fetch.sha256, total, total, some)


@pytest.mark.parametrize("which", range(3))
def test_a_piece_that_cannot_be_of_the_blob_ends_the_fetching(which: int) -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    message, blobs = big_mesh(number=1)
    downloads.add(message, shelf.keep(message, blobs))
    fetch = next(downloads.requests(0.0))
    strange = list(strange_chunks(fetch, message.mesh.positions.nbytes))[which]
    downloads.take(strange, b"some"[: strange.piece.size], now=1.0)
    ((warning, _),) = downloads.whole
    assert isinstance(warning, WarningRaised) and warning.code == "protocol.malformed"
    downloads.lost()
    assert list(downloads.requests(2.0)) == []


def test_a_cancelled_job_does_not_wait_for_its_meshes() -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    message, blobs = big_mesh(number=1)
    downloads.add(message, shelf.keep(message, blobs))
    downloads.add(stage(2), ())
    end = Cancelled(job=JOB, number=3)
    downloads.add(end, ())
    assert [message for message, _ in downloads.whole] == [stage(2), end]
    assert list(downloads.requests(0.0)) == []


@given(st.data())
def test_whatever_is_lost_every_message_comes_whole_and_in_order(data: st.DataObject) -> None:
    downloads, shelf = Downloads(MemoryParts()), Shelf()
    jobs = {JOB: 0, OTHER_JOB: 0}
    waiting: list[Fetch] = []
    sent: list[tuple[Any, list[Blob]]] = []
    for step in range(30):
        match data.draw(st.sampled_from(["mesh", "stage", "chunk", "chunk", "lose one", "cut"])):
            case "mesh" | "stage" as kind:
                job = data.draw(st.sampled_from(sorted(jobs)))
                jobs[job] += 1
                small = stage(jobs[job], job), list[Blob]()
                message, blobs = small if kind == "stage" else big_mesh(job, jobs[job], 5_000, seed=len(sent) % 3)
                sent.append((message, blobs))
                downloads.add(message, shelf.keep(message, blobs))
            case "chunk" if waiting:
                downloads.take(*shelf.answer(waiting.pop(0)), now=float(step))
            case "lose one" if waiting:
                # Nothing is lost but with the connection.
                waiting.pop()
                waiting.clear()
                downloads.lost()
            case _:
                waiting.clear()
                downloads.lost()
        waiting += downloads.requests(float(step))
    downloads.lost()
    fetched(downloads, shelf)
    for job in jobs:
        assert [each for each in downloads.whole if each[0].job == job] == [each for each in sent if each[0].job == job]


# ---------------------------------------------------------------------------------------------- in a session


def hear_chunk(rig: Rig, shelf: Shelf, fetch: Fetch) -> None:
    chunk, data = shelf.answer(fetch)
    rig.hear(chunk, [data])


def test_a_session_fetches_what_did_not_come_with_an_event() -> None:
    rig, shelf = Rig(connected=True), Shelf()
    rig.session.attach(JOB, 0)
    message, blobs = mesh_ready(number=1)
    rig.hear(message, shelf.keep(message, blobs))
    rig.hear(stage(2))
    asked, *fetches = rig.sent()
    assert asked == Attach(JOB, 0) and len(fetches) == MOST_ASKED
    assert rig.news() == []
    # After a loss only what has not come is asked for, and the events are not asked for again.
    hear_chunk(rig, shelf, fetches[0])
    rig.tick(100.0)
    rig.sent()
    rig.hear(welcome())
    attach, *fetches = rig.sent()
    assert attach == Attach(JOB, 2)
    while fetches:
        hear_chunk(rig, shelf, fetches.pop(0))
        fetches += rig.sent()
    mesh, after = (each for each in rig.session.news if isinstance(each, Received))
    assert (mesh.message, list(mesh.blobs), after.message) == (message, blobs, stage(2))
    assert shelf.sent == sum(len(blob) for blob in blobs)


def test_results_of_an_earlier_job_are_asked_for_until_they_have_come() -> None:
    rig, shelf = Rig(), Shelf()
    rig.session.get_results(JOB)
    rig.tick()
    rig.sent()
    rig.hear(welcome())
    assert rig.sent() == [GetResults(JOB)]
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [GetResults(JOB)]
    rig.news()
    first, last = ((attrs.evolve(result()[0], index=index), result()[1]) for index in range(2))
    rig.hear(first[0], shelf.keep(*first))
    rig.hear(*last)
    # What nobody asked for.
    rig.hear(*result(OTHER_JOB))
    fetches = rig.sent()
    while fetches:
        hear_chunk(rig, shelf, fetches.pop(0))
        fetches += rig.sent()
    assert rig.news() == [first[0], last[0]]
    rig.hear(welcome())
    assert rig.sent() == []


@pytest.mark.parametrize(
    "answer",
    [
        Refused("fetch", JOB, "job.unknown", "There is no such job."),
        FetchFailed(JOB, mesh_ready()[0].mesh.positions.sha256, "job.unknown", "There is no such job."),
    ],
)
def test_a_warning_stands_for_an_event_whose_blobs_cannot_be_had(answer: Any) -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    message, blobs = mesh_ready(number=1)
    rig.session.receive(encode(message, [b""] * len(blobs)), rig.now)
    rig.hear(stage(2))
    rig.sent()
    rig.hear(answer)
    warning, after = rig.news()
    assert isinstance(warning, WarningRaised) and (warning.number, warning.code) == (1, "job.unknown")
    assert after == stage(2)
    assert rig.sent() == []


def test_more_than_the_backend_takes_is_asked_for_again() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    message, blobs = mesh_ready(number=1)
    rig.session.receive(encode(message, [b""] * len(blobs)), rig.now)
    _, *fetches = rig.sent()
    rig.hear(Refused("fetch", JOB, "protocol.too_many", "Too many."))
    assert rig.sent() == fetches
    assert rig.news() == []


def test_a_result_that_cannot_be_had_is_told() -> None:
    rig = Rig(connected=True)
    rig.session.get_results(JOB)
    message, blobs = result()
    rig.session.receive(encode(message, [b""] * len(blobs)), rig.now)
    failed = FetchFailed(JOB, message.mesh.positions.sha256, "job.artifact_lost", "It is gone.")
    rig.sent()
    rig.hear(failed)
    assert rig.news() == [failed]
    assert rig.sent() == []


def test_the_folder_of_downloads(tmp_path: Path) -> None:
    assert downloads_dir({"KISS3D_CACHE_DIR": str(tmp_path)}) == tmp_path / "downloads"
    assert downloads_dir({"XDG_CACHE_HOME": "relative"}).is_absolute()
