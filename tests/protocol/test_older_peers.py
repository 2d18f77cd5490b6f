"""Beside older versions: what they send is understood, and what they need is still sent."""

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
OLD = {
    (version, tag): frames
    for version in ("1_0", "1_2", "1_3")
    for tag, frames in golden_frames(Path(__file__).with_name(f"golden_frames_{version}.txt")).items()
}
"""The golden frames of older versions by version and type, as they were released. They never change."""


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


@pytest.mark.parametrize(("version", "tag"), OLD)
def test_frames_of_older_versions_are_understood(version: str, tag: str) -> None:
    old = OLD[version, tag]
    decode = decode_client if tag in CLIENT_TAGS else decode_server
    message, blobs = decode(old)
    assert TAGS[type(message)] == tag and blobs == old[2:]
    fields = {"type": tag, **CONVERTER.unstructure(message)}
    _check_old_is_there(_fields(old), msgpack.unpackb(msgpack.packb(fields)), tag, values=True)
    for each in attrs.fields(type(message)):
        if each.name not in _fields(old) and each.name != "type":
            assert getattr(message, each.name) == each.default


@pytest.mark.parametrize(("version", "tag"), OLD)
def test_what_older_versions_read_is_still_sent(version: str, tag: str) -> None:
    _check_old_is_there(_fields(OLD[version, tag]), _fields(golden_frames()[tag]), tag, values=False)


@pytest.mark.parametrize(
    ("version", "minor"), [("1.0", 0), ("1.1", 1), ("1.12.3", 12), ("1.x", 0), ("1", 0), ("", 0), ("1.²", 0)]
)
def test_minor_of(version: str, minor: int) -> None:
    assert minor_of(version) == minor
