"""What is fuzzed: a target takes any bytes, and returns, or raises one of our own errors; anything else is a find."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
from tests.fuzz import seeds

from kiss3d_backend.intake.decode import LONGEST_DECODED_SIDE, read_picture
from kiss3d_backend.intake.mesh import check_mesh, read_mesh_input
from kiss3d_backend.intake.picture import inspect_picture
from kiss3d_backend.intake.submit import check_submit
from kiss3d_backend.mesh.read import read_model
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.errors import Kiss3DError, MessageMalformed
from kiss3d_protocol.framing import MAGIC, decode_client, decode_server, encode, pack_map, peek, unpack_map
from kiss3d_protocol.inputs import check_inputs
from kiss3d_protocol.messages import Submit
from kiss3d_protocol.pairing_string import parse_pairing
from kiss3d_protocol.payloads import Blob, sha256_of


@attrs.frozen
class Target:
    """``run`` gets the bytes of a case; ``seeds`` are well-formed ones. ``megabytes``: what a case may take at most."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    megabytes: int = 512


def _frames(data: bytes) -> list[Blob]:
    return list(data.split(seeds.BETWEEN_FRAMES))


def _client_message(data: bytes) -> None:
    frames = _frames(data)
    about, job = peek(frames)
    assert isinstance(about, str) and (job is None or len(job) == 36)
    message, blobs = decode_client(frames)
    # What was understood means the same to everybody else.
    assert decode_client(encode(message, blobs)) == (message, blobs)


def _server_message(data: bytes) -> None:
    message, blobs = decode_server(_frames(data))
    assert decode_server(encode(message, blobs)) == (message, blobs)


def _submit(data: bytes) -> None:
    """A job whose blobs were changed together with their checksums: what a hostile client sends."""
    _, envelope, *blobs = [*_frames(data), b"", b""]
    fields = unpack_map(bytes(envelope))
    blobs = blobs[: len(_frames(data)) - 2]
    _repair(fields, blobs)
    message, sent = decode_client([MAGIC, pack_map(fields), *blobs])
    if not isinstance(message, Submit):
        return
    with contextlib.suppress(Kiss3DError):
        check_inputs(message)
    check_submit(message, sent)
    # The worker's half.
    if message.mesh is not None:
        mesh = read_mesh_input(message.mesh, sent)
        assert check_mesh(message.mesh, sent).positions.shape == mesh.positions.shape
    for picture in ((message.picture,) if message.picture else ()) + message.views:
        read_picture(bytes(sent[picture.blob]))


def _repair(value: Any, blobs: Sequence[Blob]) -> None:
    if isinstance(value, dict):
        blob = value.get("blob")
        if type(blob) is int and 0 <= blob < len(blobs):
            value["sha256"] = sha256_of(blobs[blob])
        for inner in value.values():
            _repair(inner, blobs)
    elif isinstance(value, list):
        for inner in value:
            _repair(inner, blobs)


def _picture(data: bytes) -> None:
    info = inspect_picture(data)
    assert info.format in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
    rgba = read_picture(data).rgba
    assert max(rgba.shape[:2]) <= LONGEST_DECODED_SIDE and rgba.shape[2] == 4


def _mesh_file(suffix: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"mesh{suffix}")
            path.write_bytes(data)
            model = read_model(path)
            assert model.triangles > 0 and path.parent.exists()
            assert [each.name for each in path.parent.iterdir()] == [path.name]

    return run


def _texts(data: bytes) -> None:
    for read in (parse_pairing, parse_address):
        with contextlib.suppress(Kiss3DError):
            read(data.decode("utf-8", "replace"))
    try:
        unpack_map(data)
    except MessageMalformed:
        return


TARGETS = {
    "client_message": Target(_client_message, lambda: seeds.messages(of_clients=True)),
    "server_message": Target(_server_message, lambda: seeds.messages(of_clients=False)),
    "submit": Target(_submit, seeds.submits, 1500),
    # A picture of 100 megapixels is allowed: 400 MB decoded, and the same again while it is reduced.
    "picture": Target(_picture, lambda: tuple(seeds.pictures().values()), 1500),
    "glb": Target(_mesh_file(".glb"), lambda: (seeds.mesh_files()[".glb"],), 1500),
    "ply": Target(_mesh_file(".ply"), lambda: (seeds.mesh_files()[".ply"], seeds.mesh_files()[".ply binary"]), 1500),
    "obj": Target(_mesh_file(".obj"), lambda: (seeds.mesh_files()[".obj"],), 1500),
    "texts": Target(_texts, seeds.pairing_strings),
}
