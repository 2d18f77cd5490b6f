"""Descriptors and their blobs."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import numpy as np
import pytest

from kiss3d_protocol.errors import MessageMalformed, MessageTooLarge
from kiss3d_protocol.payloads import MAX_BLOBS, ArrayRef, BlobWriter, FileRef, ImageRef, MeshRef, check_blobs, sha256_of


def test_a_writer_numbers_its_blobs_and_describes_them() -> None:
    writer = BlobWriter()
    image = writer.image(b"png", "image/png", 3, 4)
    array = writer.array(bytes(24), "<f4", (2, 3))
    assert writer.blobs == [b"png", bytes(24)]
    assert image == ImageRef(0, "image/png", 3, 4, hashlib.sha256(b"png").hexdigest())
    assert array == ArrayRef(1, "<f4", (2, 3), hashlib.sha256(bytes(24)).hexdigest())
    assert array.nbytes == 24
    check_blobs([array, image], writer.blobs)


@pytest.mark.parametrize("shape", [(5, 3), (0, 3)])
def test_a_writer_takes_typed_views_without_copying(shape: tuple[int, int]) -> None:
    values = np.arange(shape[0] * shape[1], dtype="<f4").reshape(shape)
    writer = BlobWriter()
    view = values.data
    ref = writer.array(view, "<f4", values.shape)
    assert writer.blobs[0] is view
    assert ref.sha256 == sha256_of(values.tobytes())
    check_blobs([ref], [values.tobytes()])


@pytest.mark.parametrize(("dtype", "shape"), [("<f4", (3, 3)), ("<u4", (2, 2)), ("|u1", (24, 2)), ("<f4", (0, 3))])
def test_a_writer_refuses_bytes_that_are_not_the_array(dtype: str, shape: tuple[int, int]) -> None:
    writer = BlobWriter()
    with pytest.raises(ValueError, match="24 bytes do not make"):
        writer.array(bytes(24), dtype, shape)
    # It is still good for use.
    assert writer.blobs == []


@pytest.mark.parametrize(("dtype", "shape"), [("<f8", (1, 3)), ("float32", (2, 3)), ("<f4", (6,)), ("<f4", (1, 2, 3))])
def test_a_writer_refuses_what_is_no_array_of_the_protocol(dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"dtype|shape"):
        BlobWriter().array(bytes(24), dtype, shape)


def test_a_writer_holds_as_many_blobs_as_a_message() -> None:
    writer = BlobWriter()
    refs = [writer.image(bytes([number]), "image/png") for number in range(MAX_BLOBS)]
    check_blobs(refs, writer.blobs)
    with pytest.raises(MessageTooLarge):
        writer.image(b"", "image/png")
    with pytest.raises(MessageTooLarge):
        writer.array(b"", "|u1", (0, 4))
    assert len(writer.blobs) == MAX_BLOBS


def _two() -> tuple[list[ArrayRef | ImageRef], list[bytes]]:
    writer = BlobWriter()
    refs = [writer.image(b"png", "image/png"), writer.array(bytes(12), "<u4", (1, 3))]
    return refs, [bytes(blob) for blob in writer.blobs]


def test_check_blobs_wants_each_described_once() -> None:
    refs, blobs = _two()
    check_blobs(iter(refs), blobs)
    check_blobs([], [])
    bad: list[tuple[Any, Any]] = [
        (refs, blobs[:1]),
        (refs, [*blobs, b""]),
        (refs[:1], blobs),
        ([*refs, refs[0]], blobs),
        ([refs[0], refs[0]], blobs),
        ([], blobs),
        (refs, []),
    ]
    for descriptors, given in bad:
        with pytest.raises(MessageMalformed, match="not those that it describes"):
            check_blobs(descriptors, given)


def test_check_blobs_compares_lengths_and_sums() -> None:
    refs, blobs = _two()
    with pytest.raises(MessageMalformed, match="An array of 12 bytes was announced, but 13 came"):
        check_blobs(refs, [blobs[0], bytes(13)])
    with pytest.raises(MessageMalformed, match="sha256"):
        check_blobs(refs, [blobs[0], bytes([1]) + bytes(11)])
    with pytest.raises(MessageMalformed, match="sha256"):
        check_blobs(refs, [b"gnp", blobs[1]])


def test_check_blobs_compares_the_size_of_a_file() -> None:
    file = FileRef(0, "html", 5, sha256_of(b"<p>x"))
    with pytest.raises(MessageMalformed, match="A file of 5 bytes was announced, but 4 came"):
        check_blobs([file], [b"<p>x"])
    check_blobs([attrs.evolve(file, size=4)], [b"<p>x"])


def test_a_mesh_names_its_descriptors_and_needs_uvs_for_their_indices() -> None:
    writer = BlobWriter()
    positions = writer.array(bytes(36), "<f4", (3, 3))
    triangles = writer.array(bytes(12), "<u4", (1, 3))
    assert MeshRef(positions, triangles).refs() == [positions, triangles]
    indices = writer.array(bytes(12), "<u4", (1, 3))
    with pytest.raises(MessageMalformed, match="no UVs"):
        MeshRef(positions, triangles, None, indices)
    uvs = writer.array(bytes(40), "<f4", (5, 2))
    assert MeshRef(positions, triangles, uvs, indices).refs() == [positions, triangles, uvs, indices]
    normal_map = writer.image(b"png", "image/png")
    bumpy = MeshRef(positions, triangles, uvs, indices, normal_map=normal_map)
    assert bumpy.refs() == [positions, triangles, uvs, indices, normal_map]
    with pytest.raises(MessageMalformed, match="a normal map but no UVs"):
        MeshRef(positions, triangles, normal_map=normal_map)
    with pytest.raises(MessageMalformed, match=r"uvs should be <f4 \(3, 2\), not <f4 \(5, 2\)\."):
        MeshRef(positions, triangles, uvs)
