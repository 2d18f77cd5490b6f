"""The wire as it was agreed: an accidental change of a byte is seen here."""

from __future__ import annotations

import pytest
from tests.protocol.golden import GOLDEN, golden_frames, golden_text
from tests.protocol.samples import Sample, client_samples, server_samples

from kiss3d_protocol.framing import decode_client, decode_server, encode
from kiss3d_protocol.messages import TAGS, Cancelled, Ping


def _name(sample: Sample) -> str:
    return TAGS[type(sample[0])]


def test_every_type_has_a_sample() -> None:
    assert {type(message) for message, _ in [*client_samples(), *server_samples()]} == set(TAGS)


def test_the_file_holds_exactly_the_frames_of_the_samples() -> None:
    assert GOLDEN.read_text(encoding="ascii") == golden_text()


@pytest.mark.parametrize("sample", client_samples(), ids=_name)
def test_golden_frames_of_clients_are_understood(sample: Sample) -> None:
    message, blobs = decode_client(golden_frames()[_name(sample)])
    assert (message, blobs) == (sample[0], list(sample[1]))


@pytest.mark.parametrize("sample", server_samples(), ids=_name)
def test_golden_frames_of_backends_are_understood(sample: Sample) -> None:
    message, blobs = decode_server(golden_frames()[_name(sample)])
    assert (message, blobs) == (sample[0], list(sample[1]))


def test_bytes_written_by_hand() -> None:
    # Not made by our encoder: a map of one, "type", "ping".
    assert encode(Ping()) == [b"K3D1", b"\x81\xa4type\xa4ping"]
    job = b"\xd9\x24" + b"0b8f7c1e-5a55-4d5e-9b1e-0123456789ab"
    envelope = b"\x84\xa4type\xa9cancelled\xa3job" + job + b"\xa6number\x09\xa4time\x01"
    message, _ = decode_server([b"K3D1", envelope])
    assert message == Cancelled(job="0b8f7c1e-5a55-4d5e-9b1e-0123456789ab", number=9, time=1.0)
    assert isinstance(message, Cancelled) and type(message.time) is float
