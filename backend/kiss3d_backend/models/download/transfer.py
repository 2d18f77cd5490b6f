"""One file from the hub to its final name: goes on where it stopped, is checked, and only then gets the name."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from attrs import evolve
from filelock import FileLock, Timeout

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_backend.models.digest import Digest, feed, hash_file
from kiss3d_backend.models.download.hub import (
    Interrupted,
    RemoteFile,
    bad_token,
    describe,
    refusal,
    request_headers,
    said,
)
from kiss3d_backend.models.download.meter import Meter
from kiss3d_backend.models.download.persist import check_cancel, persist
from kiss3d_backend.models.download.settings import DownloadSettings
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.pins import Pin, Pins, Trust, pin_key
from kiss3d_backend.models.verify import check_digest
from kiss3d_protocol.errors import ModelDiskFull, ModelDownloadFailed, ModelFileCorrupt

if TYPE_CHECKING:
    from httpx2 import Response

LOCK_POLL = 0.2
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Transfer:
    """Gets one file of the catalogue into the cache. :meth:`run` in one thread, :meth:`abort` from any.

    ``remote``: what the hub has just said about it.
    """

    def __init__(
        self,
        entry: Entry,
        file: ModelFile,
        remote: RemoteFile,
        cache: HubCache,
        pins: Pins,
        settings: DownloadSettings,
        cancel: Event,
        meter: Meter[tuple[Entry, ModelFile]],
    ) -> None:
        self._entry = entry
        self._file = file
        self._remote: RemoteFile | None = remote
        self._cache = cache
        self._pins = pins
        self._settings = settings
        self._cancel = cancel
        self._meter = meter
        self._key = pin_key(entry, file)
        self._counted = 0
        self.received = 0
        self._flaws = 0
        self._socket: socket.socket | None = None

    def run(self) -> Pin:
        """Returns the pin of the file, which is in the cache then.

        Raises :class:`JobCancelled`, :class:`ModelDiskFull`, :class:`ModelDownloadFailed`, :class:`ModelFileCorrupt`,
        :class:`ModelGated`, :class:`ModelNotFound`, :class:`ModelsOffline`. What has come so far stays, except what is
        damaged.
        """
        what = said(self._entry, self._file)
        return persist(what, self._try, lambda: self.received, self._settings, self._cancel)

    def abort(self) -> None:
        """Ends a read that waits for the network; :meth:`run` then sees the cancel event."""
        waiting = self._socket
        if waiting is not None:
            with suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)

    def _try(self) -> Pin:
        check_cancel(self._cancel)
        # Asked anew after a failure: the file may have changed, and an address on a storage host expires.
        remote, self._remote = self._remote, None
        if remote is None:
            pin = self._pins.get(self._key)
            known = pin.sha256 if pin is not None else ""
            remote = describe(self._entry, self._file, known, self._settings.describe)
        repository, revision, path = self._entry.repository, self._entry.revision, self._file.path
        part = self._cache.part(repository, remote.etag)
        lock = self._acquire(self._cache.lock(repository, remote.etag), part)
        try:
            pin = self._pins.get(self._key) or Pin("", 0)
            ours = pin.ours or any(other.ours and other.etag == remote.etag for other in self._pins.all().values())
            pin = evolve(pin, etag=remote.etag, commit=remote.commit, size=remote.size or 0, mtime_ns=0, ours=ours)
            self._pins.put(self._key, pin)
            here = self._cache.adopt(repository, revision, remote.commit, path, remote.etag)
            if here is not None:
                return self._take(here, pin, remote)
            digest = self._receive(remote, part)
            trust = self._check(digest, part, pin, remote)
            # Before it has its name: whatever ends us in between, the file is known as ours.
            pin = evolve(pin, sha256=digest.sha256, trust=trust, ours=True, place="")
            self._pins.put(self._key, pin)
            target = self._cache.install(repository, revision, remote.commit, path, remote.etag)
            done = pin.seen_at(target)
            self._pins.put(self._key, done)
            return done
        except OSError as error:
            raise self._disk(error, part) from error
        finally:
            lock.release()

    def _take(self, here: Path, pin: Pin, remote: RemoteFile) -> Pin:
        """Its content is here already, from another process, another program, or under another name."""
        self._count(here.stat().st_size)
        digest = hash_file(here, self._cancel)
        trust = check_digest(self._entry, self._file, here, digest, pin, remote.etag)
        done = evolve(pin, sha256=digest.sha256, trust=trust, place="").seen_at(here)
        self._pins.put(self._key, done)
        return done

    def _acquire(self, path: Path, part: Path) -> FileLock:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        while True:
            check_cancel(self._cancel)
            try:
                lock.acquire(timeout=LOCK_POLL)
                return lock
            except Timeout:
                # Another process gets the same file: its progress is ours.
                with suppress(OSError):
                    self._count(part.stat().st_size)

    def _receive(self, remote: RemoteFile, part: Path) -> Digest:
        have = part.stat().st_size if part.exists() else 0
        if remote.size is not None and have > remote.size:
            part.unlink()
            have = 0
        digest = Digest(remote.size or 0)
        if have > self._counted:
            self._meter.skip(have - self._counted)
            self._counted = have
        if have:
            feed(digest, part, self._cancel)
        if remote.size is None or have < remote.size or not part.exists():
            digest = self._stream(remote, part, have, digest)
        return digest if remote.size is not None else hash_file(part, self._cancel)

    def _stream(self, remote: RemoteFile, part: Path, have: int, digest: Digest) -> Digest:
        import httpx2
        from huggingface_hub import get_session

        timeout = httpx2.Timeout(self._settings.stall, connect=self._settings.describe)
        headers = request_headers(remote)
        if have:
            headers["Range"] = f"bytes={have}-"
            if remote.on_hub:
                # A storage host names the same content by another ETag; its address names it by its hash.
                headers["If-Range"] = f'"{remote.etag}"'
        try:
            with get_session().stream("GET", remote.url, headers=headers, timeout=timeout) as response:
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
                start = self._start(response, remote, part, have)
                if start != have:
                    digest, have = Digest(remote.size or 0), 0
                    self._count(0)
                have = self._write(response, remote, part, have, digest)
        except (httpx2.LocalProtocolError, UnicodeError):
            # Its text quotes the header, and with it the token.
            raise bad_token() from None
        except httpx2.HTTPError as error:
            check_cancel(self._cancel)
            silent = isinstance(error, httpx2.ReadTimeout)
            told = (
                f"nothing came for {self._settings.stall:g} s" if silent else f"the connection broke ({_name(error)})"
            )
            raise Interrupted(told) from None
        finally:
            self._socket = None
        if remote.size is not None and have < remote.size:
            raise Interrupted(f"the connection ended after {have} of {remote.size} bytes")
        return digest

    def _start(self, response: Response, remote: RemoteFile, part: Path, have: int) -> int:
        """From which byte the answer goes on: ``have``, or 0."""
        status = response.status_code
        if status == 206:
            told = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if told is not None and int(told[1]) == have and told[2] in ("*", str(remote.size)):
                return have
            part.unlink(missing_ok=True)
            raise Interrupted("the hub sent another part of the file than it was asked for")
        if status == 416:
            part.unlink(missing_ok=True)
            self._count(0)
            raise Interrupted("the hub has no more bytes after those that are here, which are thrown away")
        if status >= 400:
            raise refusal(self._entry, self._file, status, on_hub=remote.on_hub)
        return 0

    def _write(self, response: Response, remote: RemoteFile, part: Path, have: int, digest: Digest) -> int:
        with part.open("ab" if have else "wb") as file:
            for data in response.iter_raw():
                check_cancel(self._cancel)
                file.write(data)
                digest.update(data)
                have += len(data)
                self.received += len(data)
                self._count(have)
                if remote.size is not None and have > remote.size:
                    break
            file.flush()
            os.fsync(file.fileno())
        if remote.size is not None and have > remote.size:
            raise self._damaged(part, f"it has more than the {remote.size} bytes that it should have")
        return have

    def _check(self, digest: Digest, part: Path, pin: Pin, remote: RemoteFile) -> Trust:
        try:
            return check_digest(self._entry, self._file, part, digest, pin, remote.etag)
        except ModelFileCorrupt as error:
            raise self._damaged(part, f"its sha256 is {digest.sha256}") from error

    def _damaged(self, part: Path, how: str) -> Exception:
        """Once it may be the network; twice it is what the hub has."""
        part.unlink()
        self._count(0)
        self._flaws += 1
        if self._flaws == 1:
            return Interrupted(f"what arrived is damaged: {how}")
        text = f"What the hub sends as {said(self._entry, self._file)} is damaged, twice in a row: {how}."
        return ModelFileCorrupt(text, "Try again later, or over another network. Nothing of it was kept.")

    def _disk(self, error: OSError, part: Path) -> Exception:
        folder = part.parent
        if error.errno in _FULL:
            free = shutil.disk_usage(folder).free
            have = part.stat().st_size if part.exists() else 0
            text = (
                f"The disk of {folder} is full: of the {self._file.expected_size:,} bytes of "
                f"{said(self._entry, self._file)} {have:,} have come, and {free:,} are free."
            )
            return ModelDiskFull(text)
        text = f"{said(self._entry, self._file)} cannot be written to {folder} ({error.strerror or error})."
        return ModelDownloadFailed(text, "Check that you may write to this folder, or set HF_HOME to another one.")

    def _count(self, have: int) -> None:
        """Reports the change since the last report."""
        if have != self._counted:
            self._meter.add(have - self._counted, (self._entry, self._file))
            self._counted = have


def _name(error: Exception) -> str:
    return type(error).__name__
