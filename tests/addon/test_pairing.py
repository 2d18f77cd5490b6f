"""Pairing without waiting."""

from __future__ import annotations

import threading
import time

from blender_addon.pairing import PairingAttempt

from kiss3d_protocol.address import parse_address
from kiss3d_protocol.errors import Kiss3DError, PairingRefused
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.security import ConnectionKeys, new_key_pair
from kiss3d_protocol.servers import Server

PAIRING = PairingString(
    parse_address("tcp://127.0.0.1:9"), ConnectionKeys(new_key_pair().public, new_key_pair()), "laptop"
)


def outcome_of(attempt: PairingAttempt) -> Server | Kiss3DError:
    deadline = time.monotonic() + 10
    while (outcome := attempt.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return outcome


def test_the_caller_does_not_wait_for_the_answer() -> None:
    answer = threading.Event()
    server = Server("studio", PAIRING.address, PAIRING.name, PAIRING.keys)

    def pair(text: str, client: str) -> Server:
        assert (text, client) == (PAIRING.to_text(), "test/1")
        assert answer.wait(10)
        return server

    attempt = PairingAttempt(PAIRING, "test/1", pair=pair)
    assert attempt.poll() is None, "the backend has not answered yet"
    answer.set()
    assert outcome_of(attempt) is server and attempt.poll() is None


def test_a_refusal_is_told() -> None:
    def pair(text: str, client: str) -> Server:
        raise PairingRefused("It was used already.")

    assert isinstance(outcome_of(PairingAttempt(PAIRING, "test/1", pair=pair)), PairingRefused)
