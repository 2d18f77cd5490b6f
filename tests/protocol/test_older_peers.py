"""Version 1.1 beside 1.0: what the older one sends is understood, and what it needs is still sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import msgpack
import pytest
from tests.protocol.golden import golden_frames

from kiss3d_protocol.framing import CONVERTER, decode_client, decode_server
from kiss3d_protocol.messages import TAGS, ClientMessage
from kiss3d_protocol.version import minor_of

CLIENT_TAGS = {TAGS[cls] for cls in ClientMessage.__args__}
OLD = golden_frames(Path(__file__).with_name("golden_frames_1_0.txt"))
"""The golden frames of version 1.0, as they were released. They never change."""


def _fields(frames: list[bytes]) -> dict[str, Any]:
    return msgpack.unpackb(frames[1])


def _check_old_is_there(old: Any, new: Any, path: str, *, values: bool) -> None:
    """Every key of ``old`` is in ``new``, and where ``values`` is true with the same value."""
    if isinstance(old, dict):
        assert set(old) <= set(new), path
        for key, value in old.items():
            _check_old_is_there(value, new[key], f"{path}.{key}", values=values)
    elif isinstance(old, list):
        for index, value in enumerate(old[: len(new)]):
            _check_old_is_there(value, new[index], f"{path}[{index}]", values=values)
        assert not values or len(old) == len(new), path
    elif values:
        assert old == new, path
    else:
        assert old is None or type(old) is type(new), path


@pytest.mark.parametrize("tag", OLD)
def test_frames_of_version_1_0_are_understood(tag: str) -> None:
    decode = decode_client if tag in CLIENT_TAGS else decode_server
    message, blobs = decode(OLD[tag])
    assert TAGS[type(message)] == tag and blobs == OLD[tag][2:]
    fields = {"type": tag, **CONVERTER.unstructure(message)}
    _check_old_is_there(_fields(OLD[tag]), msgpack.unpackb(msgpack.packb(fields)), tag, values=True)
    for each in attrs.fields(type(message)):
        if each.name not in _fields(OLD[tag]) and each.name != "type":
            assert getattr(message, each.name) == each.default


@pytest.mark.parametrize("tag", OLD)
def test_what_version_1_0_reads_is_still_sent(tag: str) -> None:
    _check_old_is_there(_fields(OLD[tag]), _fields(golden_frames()[tag]), tag, values=False)


@pytest.mark.parametrize(
    ("version", "minor"), [("1.0", 0), ("1.1", 1), ("1.12.3", 12), ("1.x", 0), ("1", 0), ("", 0), ("1.²", 0)]
)
def test_minor_of(version: str, minor: int) -> None:
    assert minor_of(version) == minor
