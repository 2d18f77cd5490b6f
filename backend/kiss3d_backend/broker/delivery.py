"""From the outboxes to the socket: what is small at once, big blobs in chunks, and no more than a client reads."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import zmq

from kiss3d_backend.broker.gate import Gate
from kiss3d_backend.broker.lost import instead_of_lost
from kiss3d_backend.broker.outbox import Letter
from kiss3d_backend.broker.results import Results
from kiss3d_backend.broker.sessions import Session, Sessions
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.framing import MAGIC, encode
from kiss3d_protocol.payloads import Blob

_log = logging.getLogger(__name__)

RETRY_SECONDS = 0.02
INLINE_MOST = 1 << 16
"""Longer blobs are fetched by clients that can."""

FETCHES_SINCE_MINOR = 3


class Delivery:
    """Sends what waits for the clients of a gate."""

    def __init__(self, gate: Gate, sessions: Sessions, results: Results, artifacts: Artifacts) -> None:
        self._gate = gate
        self._sessions = sessions
        self._results = results
        self._artifacts = artifacts

    def send_all(self) -> float | None:
        """Sends what clients can take; returns the seconds until the next call is due, None while nothing waits.

        All letters of a client go before its next chunk, and of chunks each client gets one in a call.
        """
        pause: float | None = None
        for session in self._sessions:
            try:
                wanted = RETRY_SECONDS if self._send_letters(session) else self._send_chunk(session)
            except zmq.ZMQError as error:
                _log.info("client %s cannot be reached (%s)", session.client, error)
                self._sessions.close(session)
                continue
            if wanted is not None:
                pause = wanted if pause is None else min(pause, wanted)
        return pause

    def _send_letters(self, session: Session) -> bool:
        """True when some have to wait."""
        while (letter := session.outbox.peek()) is not None:
            if session.in_flight.full or not self._send(session, self._frames(letter, session.minor)):
                return True
            session.outbox.drop()
        return False

    def _send_chunk(self, session: Session) -> float | None:
        fetch = session.outbox.peek_fetch()
        if fetch is None:
            return None
        if session.in_flight.full or not self._send(session, encode(*self._results.chunk(fetch))):
            return RETRY_SECONDS
        session.outbox.drop_fetch()
        return None if session.outbox.peek_fetch() is None else 0.0

    def _send(self, session: Session, frames: Sequence[Blob]) -> bool:
        """False while the client does not read."""
        try:
            for tracker, size in self._gate.send(session.identity, frames):
                session.in_flight.add(tracker, size)
        except zmq.Again:
            return False
        return True

    def _frames(self, letter: Letter, minor: int) -> list[Blob]:
        try:
            blobs: list[Blob] = [self._blob(name, minor) for name in letter.artifacts]
            blobs += [path.read_bytes() for path in letter.files]
        except (ArtifactLost, OSError) as error:
            _log.error("%s", error)
            return encode(instead_of_lost(letter))
        return [MAGIC, letter.envelope, *blobs]

    def _blob(self, name: str, minor: int) -> Blob:
        # One that is lost is fetched, too: only then is it known which one it is.
        absent = minor >= FETCHES_SINCE_MINOR and not 0 < self._artifacts.size(name) <= INLINE_MOST
        return b"" if absent else self._artifacts.read(name)
