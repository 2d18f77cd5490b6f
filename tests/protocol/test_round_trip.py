"""What is sent is what arrives, for every message that the spec allows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.protocol.strategies import CLIENT, SERVER

from kiss3d_protocol.framing import decode_client, decode_server, encode
from kiss3d_protocol.messages import TAGS, blob_refs

FEW = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])


def test_there_is_a_strategy_for_every_message() -> None:
    assert CLIENT.keys() | SERVER.keys() == TAGS.keys()
    assert not CLIENT.keys() & SERVER.keys()


@pytest.mark.parametrize("cls", CLIENT, ids=TAGS.__getitem__)
@FEW
@given(data=st.data())
def test_of_clients(cls: type, data: st.DataObject) -> None:
    _check(data.draw(CLIENT[cls]), decode_client)


@pytest.mark.parametrize("cls", SERVER, ids=TAGS.__getitem__)
@FEW
@given(data=st.data())
def test_of_backends(cls: type, data: st.DataObject) -> None:
    _check(data.draw(SERVER[cls]), decode_server)


def _check(sample: tuple[Any, list[Any]], decode: Any) -> None:
    message, blobs = sample
    frames = encode(message, blobs)
    assert len(frames) == 2 + len(blob_refs(message))
    assert decode(frames) == (message, blobs)
    # Large frames arrive as views.
    assert decode([memoryview(frame) for frame in frames]) == (message, [memoryview(blob) for blob in blobs])
