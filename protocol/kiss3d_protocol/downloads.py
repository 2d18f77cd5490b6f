"""Messages that came without their blobs: which chunk is asked for next, and which message is whole.

Pure, as the session is that uses it: messages and seconds in, messages out (SPEC.md, section 4).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from attrs import define, field, frozen

from kiss3d_protocol.errors import MessageMalformed
from kiss3d_protocol.fetching import MAX_CHUNK, Chunk, Fetch, FetchFailed
from kiss3d_protocol.messages import Cancelled, Event, Fetchable, Refused, WarningRaised, blob_refs
from kiss3d_protocol.parts import Parts
from kiss3d_protocol.payloads import Blob, ImageRef, is_absent, sha256_of

MOST_ASKED = 6
"""Chunks on their way at once: enough that the line is never idle, few enough that what else comes waits briefly."""

LEAST_CHUNK = 1 << 14
SECONDS_OF_A_CHUNK = 0.125
"""How long a chunk should be on its way; from this and the speed of the line follows its length."""

MOST_TRIES = 2

Line = tuple[str, bool]
"""Messages that must stay in order: the events of a job, or what was asked for apart from them."""

Whole = tuple[Fetchable | FetchFailed, Sequence[Blob]]


@define(eq=False)
class _Held:
    """A message that waits for its blobs, or behind one that does.

    ``missing``: indices of blobs by their sha256. ``fetched``: the sha256s of those that came; they stay among the
    parts until the message is whole, for a program that ends before has them only there.
    """

    message: Fetchable
    blobs: list[Blob]
    missing: dict[str, list[int]]
    fetched: set[str] = field(factory=set[str])

    @property
    def fetches(self) -> set[str]:
        return self.fetched | self.missing.keys()


@define
class _Download:
    """A blob on its way. ``total``: its length, None until it is known. ``asked``: where the next chunk begins."""

    job: str
    total: int | None
    asked: int
    tries: int = 1


@frozen
class _Asked:
    """A chunk on its way: since when, and how many bytes were on their way then, its own among them."""

    since: float
    under_way: int
    length: int


class Downloads:
    """Hand it messages with :meth:`add` and chunks with :meth:`take`, send what :meth:`requests` gives, and take what
    is :attr:`whole`: messages with all their blobs. In the place of an event that cannot be had stands a warning, in
    the place of another message a :class:`FetchFailed`.
    """

    def __init__(self, parts: Parts) -> None:
        self.whole: deque[Whole] = deque()
        self._parts = parts
        self._lines: dict[Line, deque[_Held]] = {}
        self._downloads: dict[str, _Download] = {}
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._length = LEAST_CHUNK

    def add(self, message: Fetchable, blobs: Sequence[Blob]) -> None:
        """Takes a message as it came. It is whole at once when nothing is missing and nothing stands before it."""
        line = _line_of(message)
        if isinstance(message, Cancelled):
            # Nobody waits for the meshes of a job that was cancelled.
            self._forget(line, [held for held in self._lines.get(line, ()) if held.missing])
        if isinstance(message, Event) and not message.number:
            self._drop_older(line, type(message))
        refs = blob_refs(message)
        absent = [ref for ref in refs if is_absent(ref, blobs[ref.blob])]
        missing: dict[str, list[int]] = {}
        for ref in absent:
            missing.setdefault(ref.sha256, []).append(ref.blob)
            total = None if isinstance(ref, ImageRef) else ref.nbytes
            self._downloads.setdefault(ref.sha256, _Download(message.job, total, self._parts.size(ref.sha256)))
        self._lines.setdefault(line, deque()).append(_Held(message, list(blobs), missing))
        for sha256 in list(missing):
            self._look(sha256)
        self._release()

    def take(self, chunk: Chunk, data: Blob, now: float) -> None:
        """Takes a chunk, at ``now`` in seconds of the clock of :meth:`requests`. One that nobody needs is dropped."""
        asked = self._asked.pop((chunk.sha256, chunk.offset), None)
        if asked is not None:
            speed = asked.under_way / max(now - asked.since, 0.001)
            self._length = max(LEAST_CHUNK, min(int(speed * SECONDS_OF_A_CHUNK), MAX_CHUNK))
        download = self._downloads.get(chunk.sha256)
        if download is None:
            return
        if download.total is None:
            download.total = chunk.total
        end = chunk.offset + chunk.piece.size
        if chunk.total != download.total or end > chunk.total or (not chunk.piece.size and end < chunk.total):
            error = MessageMalformed("The backend sent a piece that does not belong to the blob.")
            self.fail(FetchFailed(download.job, chunk.sha256, error.code, error.message, error.remedy))
            return
        self._parts.append(chunk.sha256, chunk.offset, data)
        self._look(chunk.sha256)
        self._release()

    def fail(self, failed: FetchFailed) -> None:
        """A blob cannot be had. In the place of an event that it belongs to stands a warning with its number."""
        if failed.sha256 not in self._downloads:
            return
        for line, messages in list(self._lines.items()):
            for held in [held for held in messages if failed.sha256 in held.missing]:
                if isinstance(held.message, Event):
                    messages[messages.index(held)] = _Held(_instead(held.message, failed), [], {})
                    self._drop_needless([held])
                else:
                    self._forget(line, [held])
                    self.whole.append((failed, ()))
        self._release()

    def refused(self, job: str, refused: Refused) -> None:
        """The backend does not send blobs of a job."""
        for sha256, download in list(self._downloads.items()):
            if download.job == job:
                self.fail(FetchFailed(job, sha256, refused.code, refused.message, refused.remedy))

    def forget(self, job: str) -> None:
        """Drops the events of a job that are not whole. What is here of their blobs is not fetched again."""
        messages = self._lines.pop((job, False), ())
        self._stop_needless(messages)

    def lost(self) -> None:
        """The connection was lost: what is on its way does not come any more."""
        self._asked.clear()
        self._length = LEAST_CHUNK
        for sha256, download in self._downloads.items():
            download.asked = self._parts.size(sha256)

    def requests(self, now: float) -> Iterator[Fetch]:
        """What is to be asked for now. Jobs take turns, so that none waits for the big mesh of another."""
        while len(self._asked) < MOST_ASKED and (fetch := self._next_fetch()) is not None:
            under_way = fetch.length + sum(asked.length for asked in self._asked.values())
            self._asked[fetch.sha256, fetch.offset] = _Asked(now, under_way, fetch.length)
            yield fetch

    def _next_fetch(self) -> Fetch | None:
        for line, messages in self._lines.items():
            for sha256 in (sha256 for held in messages for sha256 in held.missing):
                download = self._downloads[sha256]
                left = self._left_to_ask(sha256, download)
                if left:
                    fetch = Fetch(download.job, sha256, download.asked, min(self._length, left))
                    download.asked += fetch.length
                    self._lines[line] = self._lines.pop(line)
                    return fetch
        return None

    def _left_to_ask(self, sha256: str, download: _Download) -> int:
        if download.total is not None:
            return max(download.total - download.asked, 0)
        # The first answer tells how long the blob is.
        return 0 if self._is_asked(sha256) else MAX_CHUNK

    def _is_asked(self, sha256: str) -> bool:
        return any(asked == sha256 for asked, _ in self._asked)

    def _look(self, sha256: str) -> None:
        """Whether a blob is whole; else, when nothing of it is on its way, goes on from where it is."""
        download = self._downloads.get(sha256)
        if download is None:
            return
        here = self._parts.size(sha256)
        if download.total is None or here < download.total:
            download.asked = max(download.asked, here) if self._is_asked(sha256) else here
            return
        data = self._parts.read(sha256)
        if len(data) == download.total and sha256_of(data) == sha256:
            del self._downloads[sha256]
            for held in (held for messages in self._lines.values() for held in messages if sha256 in held.missing):
                for index in held.missing.pop(sha256):
                    held.blobs[index] = data
                held.fetched.add(sha256)
            return
        self._parts.drop(sha256)
        download.asked, download.tries = 0, download.tries + 1
        if download.tries > MOST_TRIES:
            error = MessageMalformed("A result was changed on its way: its sha256 is not the announced one.")
            self.fail(FetchFailed(download.job, sha256, error.code, error.message, error.remedy))

    def _release(self) -> None:
        for line, messages in list(self._lines.items()):
            while messages and not messages[0].missing:
                held = messages.popleft()
                self.whole.append((held.message, held.blobs))
                self._drop_needless([held])
            if not messages:
                self._lines.pop(line, None)

    def _drop_older(self, line: Line, kind: type[Event]) -> None:
        messages = self._lines.get(line, deque())
        for held in list(messages):
            if type(held.message) is kind and isinstance(held.message, Event) and not held.message.number:
                messages.remove(held)

    def _forget(self, line: Line, gone: Sequence[_Held]) -> None:
        for held in gone:
            self._lines[line].remove(held)
        self._drop_needless(gone)

    def _drop_needless(self, gone: Iterable[_Held]) -> None:
        """Stops what no message needs any more, and forgets what is here of it."""
        for sha256 in self._stop_needless(gone):
            self._parts.drop(sha256)

    def _stop_needless(self, gone: Iterable[_Held]) -> set[str]:
        """Stops the downloads that no message needs any more; returns the sha256s of what nobody needs."""
        needless = {sha256 for held in gone for sha256 in held.fetches}
        needless -= {sha256 for messages in self._lines.values() for held in messages for sha256 in held.fetches}
        for sha256 in needless:
            self._downloads.pop(sha256, None)
        return needless


def _instead(event: Event, failed: FetchFailed) -> WarningRaised:
    return WarningRaised(
        job=event.job,
        number=event.number,
        time=event.time,
        code=failed.code,
        message=failed.message,
        remedy=failed.remedy,
    )


def _line_of(message: Fetchable) -> Line:
    return message.job, not isinstance(message, Event)
