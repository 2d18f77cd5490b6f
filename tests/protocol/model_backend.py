"""A backend as the spec describes it, without a worker: the tests say what happens to its jobs."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs
from tests.protocol.samples import welcome

from kiss3d_protocol.errors import HelloRequired, JobUnknown
from kiss3d_protocol.fetching import Chunk, Fetch
from kiss3d_protocol.framing import decode_client, encode
from kiss3d_protocol.messages import (
    TERMINAL_EVENTS,
    Attach,
    Cancel,
    Cancelled,
    Event,
    Hello,
    JobList,
    ListJobs,
    Ping,
    Pong,
    Queued,
    Refused,
    ServerMessage,
    Submit,
    blob_refs,
)
from kiss3d_protocol.payloads import Blob, BlobWriter


class ModelBackend:
    """Peers are named by any hashable identity. ``outbox`` holds what is to be sent, in order.

    ``in_chunks``: blobs of events are not sent with them, but can be fetched.
    """

    def __init__(self, heartbeat: float = 2.0, *, in_chunks: bool = False) -> None:
        self.heartbeat = heartbeat
        self.in_chunks = in_chunks
        self.blobs: dict[str, Blob] = {}
        self.instance = str(uuid.uuid4())
        self.jobs: dict[str, list[tuple[Any, Sequence[Blob]]]] = {}
        self.outbox: deque[tuple[Any, list[Blob]]] = deque()
        self.heard: list[Any] = []
        self._follows: dict[Any, set[str]] = {}

    def receive(self, identity: Any, frames: Sequence[Blob]) -> None:
        """Takes one message of a peer and leaves the answers in the outbox."""
        message, _ = decode_client(frames)
        self.heard.append(message)
        if isinstance(message, Hello):
            self._follows.setdefault(identity, set())
            self._send(identity, welcome(self.instance, heartbeat=self.heartbeat, ram_free=len(self.heard)))
            return
        if identity not in self._follows:
            code = HelloRequired.code
            job = getattr(message, "job", None)
            self._send(identity, Refused("", job, code, "Who are you?", "Say hello."))
            return
        match message:
            case Ping():
                self._send(identity, Pong(self.instance))
            case Submit():
                if message.job not in self.jobs:
                    self.create(message.job)
                self._attach(identity, message.job, 0)
            case Attach() if message.job in self.jobs:
                self._attach(identity, message.job, message.after)
            case Attach():
                self._send(identity, Refused("attach", message.job, JobUnknown.code, "There is no such job."))
            case Cancel():
                if message.job in self.jobs and not self.ended(message.job):
                    self.happen(Cancelled(job=message.job))
            case Fetch():
                writer, whole = BlobWriter(), self.blobs[message.sha256]
                piece = writer.piece(whole[message.offset : message.offset + message.length])
                chunk = Chunk(message.job, message.sha256, message.offset, len(whole), piece)
                self._send(identity, chunk, writer.blobs)
            case ListJobs():
                self._send(identity, JobList(()))

    def create(self, job: str) -> None:
        """Makes a job; its first event is queued."""
        self.jobs[job] = []
        self.happen(Queued(job=job, position=0))

    def happen(self, event: Event, blobs: Sequence[Blob] = ()) -> None:
        """Something happens to a job: numbered, stored and sent to all who follow it."""
        history = self.jobs[event.job]
        numbered = attrs.evolve(event, number=len(history) + 1)
        history.append((numbered, blobs))
        self._publish(numbered, blobs)

    def pass_by(self, event: Event) -> None:
        """Something that is not kept."""
        self._publish(event, ())

    def send_again(self, job: str) -> None:
        """All that has happened, once more."""
        for event, blobs in self.jobs.get(job, []):
            self._publish(event, blobs)

    def ended(self, job: str) -> bool:
        return isinstance(self.jobs[job][-1][0], TERMINAL_EVENTS)

    def forget_peers(self) -> None:
        """What a backend does with peers that were silent for long."""
        self._follows.clear()

    def restart(self) -> None:
        """Another process with the same jobs."""
        self.forget_peers()
        self.outbox.clear()
        self.instance = str(uuid.uuid4())

    def _attach(self, identity: Any, job: str, after: int) -> None:
        self._follows[identity].add(job)
        for event, blobs in self.jobs[job][after:]:
            self._send(identity, event, blobs)

    def _publish(self, event: Any, blobs: Sequence[Blob]) -> None:
        for identity, jobs in self._follows.items():
            if event.job in jobs:
                self._send(identity, event, blobs)

    def _send(self, identity: Any, message: ServerMessage, blobs: Sequence[Blob] = ()) -> None:
        if self.in_chunks and isinstance(message, Event) and blobs:
            self.blobs |= {ref.sha256: blobs[ref.blob] for ref in blob_refs(message)}
            blobs = [b""] * len(blobs)
        self.outbox.append((identity, encode(message, blobs)))
