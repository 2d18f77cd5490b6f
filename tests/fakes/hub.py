"""A local Hugging Face hub for tests: serves a folder, keeps a log, and fails as it is told.

The folder holds ``OWNER/NAME/REVISION/FILES...``. As a program::

    python -m tests.fakes.hub FOLDER [--port N]

prints its address, and serves until its stdin is closed. What a client has to do: ``HF_ENDPOINT=ADDRESS``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from attrs import define, field, frozen

from kiss3d_backend.models.catalogue import Catalogue

LARGE = (".safetensors", ".ckpt", ".bin", ".onnx", ".pt", ".model")
"""Files that a real hub keeps in LFS: their ETag is the sha256 of the content; others have git's hash."""
CHUNK = 1 << 16


@define
class Request:
    """One line of the log. ``sent``: body bytes that left. ``token``: whether one came; never which."""

    method: str
    path: str
    range: str | None
    token: bool
    status: int
    sent: int = 0


@define
class Fault:
    """How the answers for one file fail, ``times`` times (for ever by default), then not any more.

    ``status``: refuse with it, and with ``error_code`` in X-Error-Code. ``truncate_at``: break the connection after so
    many bytes. ``flip_at``: change the byte there. ``stall_at``: stop sending there, for ``seconds``. ``rate``: bytes a
    second. ``ignore_range``: answer 200 with the whole file. ``another``:
    GET finds this file instead. ``on_head``: refuse HEAD too.
    """

    times: int | None = None
    status: int | None = None
    error_code: str | None = None
    truncate_at: int | None = None
    flip_at: int | None = None
    stall_at: int | None = None
    seconds: float = 30.0
    rate: float | None = None
    ignore_range: bool = False
    another: Path | None = None
    on_head: bool = False


@frozen
class Stored:
    """A file of a repository. ``commit``: of its revision."""

    path: Path
    commit: str

    @cached_property
    def etag(self) -> str:
        content = self.path.read_bytes()
        if self.path.suffix in LARGE:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@define
class Hub:
    """Use with ``with``; ``gated``: repositories that need a token."""

    folder: Path
    port: int = 0
    gated: set[str] = field(factory=set)
    faults: dict[str, Fault] = field(factory=dict)
    log: list[Request] = field(factory=list)
    storage: Hub | None = None
    """Another hub that LFS files are redirected to, as to a storage host."""
    _stop: threading.Event = field(factory=threading.Event)
    _server: ThreadingHTTPServer = field(init=False)

    def __enter__(self) -> Hub:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def gets(self, name: str = "") -> list[Request]:
        """The log's requests for the bodies of files whose path contains ``name``."""
        return [line for line in self.log if line.method == "GET" and "/resolve/" in line.path and name in line.path]

    def fail(self, file: str, fault: Fault) -> None:
        """From now on for requests of this file (the end of its path)."""
        self.faults[file] = fault

    def fault(self, path: str, method: str) -> Fault | None:
        """The fault to be shown now; counted down."""
        for name, fault in self.faults.items():
            if path.endswith(name) and (method == "GET" or fault.on_head):
                if fault.times is None:
                    return fault
                if fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def revision(self, repository: str, revision: str) -> tuple[Path, str] | None:
        """The folder of a revision, and its commit: of the names, sizes and contents in it."""
        root = self.folder / repository
        names = [path.name for path in root.iterdir()] if root.is_dir() else []
        for name in names:
            commit = _commit(root / name)
            if revision in (name, commit):
                return root / name, commit
        return None

    def find(self, repository: str, revision: str, file: str) -> Stored | None:
        found = self.revision(repository, revision)
        if found is None:
            return None
        path = (found[0] / file).resolve()
        inside = path.is_relative_to(found[0].resolve())
        return Stored(path, found[1]) if inside and path.is_file() else None

    def files(self, folder: Path) -> Iterator[tuple[str, Path]]:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)


def _commit(folder: Path) -> str:
    lines = "".join(
        f"{path.relative_to(folder).as_posix()} {path.stat().st_size} {path.stat().st_mtime_ns}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    return hashlib.sha1(lines.encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        with suppress(ConnectionError, TimeoutError):
            resolve = re.fullmatch(r"([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            api = re.fullmatch(r"api/models/([^/]+/[^/]+?)(?:/revision/([^/]+))?(/tree/([^/]+))?", path)
            if resolve:
                self._file(*resolve.groups())
            elif api:
                self._api(api[1], api[2] or api[4] or "main", tree=bool(api[3]))
            else:
                self._refuse(404, "RepoNotFound")

    def _file(self, repository: str, revision: str, file: str) -> None:
        fault = self.hub.fault(self.path, self.command)
        if fault is not None and fault.status is not None:
            return self._refuse(fault.status, fault.error_code)
        if not self._allowed(repository):
            return self._refuse(401, "GatedRepo")
        if not (self.hub.folder / repository).is_dir():
            return self._refuse(401, "RepoNotFound")
        if self.hub.revision(repository, revision) is None:
            return self._refuse(404, "RevisionNotFound")
        stored = self.hub.find(repository, revision, file)
        if stored is None:
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": self.hub.revision(repository, revision)[1]})
        if fault is not None and fault.another is not None:
            stored = Stored(fault.another, stored.commit)
        if self.hub.storage is not None and stored.path.suffix in LARGE:
            return self._redirect(stored)
        return self._send(stored, fault or Fault())

    def _allowed(self, repository: str) -> bool:
        return repository not in self.hub.gated or self._token()

    def _token(self) -> bool:
        return self.headers.get("Authorization", "").startswith("Bearer ")

    def _redirect(self, stored: Stored) -> None:
        headers = {
            "X-Repo-Commit": stored.commit,
            "X-Linked-Size": str(stored.path.stat().st_size),
            "X-Linked-Etag": f'"{stored.etag}"',
            "Location": f"{self.hub.storage.address}{self.path}?signature=secret",
            "Content-Length": "0",
        }
        self._note(302)
        self._head(302, headers)

    def _send(self, stored: Stored, fault: Fault) -> None:
        size = stored.path.stat().st_size
        start, end, status = 0, size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        fresh = self.headers.get("If-Range") in (None, f'"{stored.etag}"')
        if asked and fresh and not fault.ignore_range:
            start, end = int(asked[1]), min(size, int(asked[2]) + 1 if asked[2] else size)
            if start >= size:
                self._refuse(416, None, {"Content-Range": f"bytes */{size}"})
                return
            status = 206
        headers = {
            "ETag": f'"{stored.etag}"',
            "X-Repo-Commit": stored.commit,
            "Accept-Ranges": "bytes",
            "Content-Length": str(end - start),
            "Content-Type": "application/octet-stream",
        }
        if stored.path.suffix in LARGE:
            headers |= {"X-Linked-Size": str(size), "X-Linked-Etag": f'"{stored.etag}"'}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        line = self._note(status)
        self._head(status, headers)
        if self.command == "GET":
            with suppress(OSError):
                for data in self._body(stored.path, start, end, fault):
                    self.wfile.write(data)
                    line.sent += len(data)

    def _body(self, path: Path, start: int, end: int, fault: Fault) -> Iterator[bytes]:
        stops = [at for at in (fault.truncate_at, fault.stall_at) if at is not None and at >= start]
        with path.open("rb") as file:
            file.seek(start)
            at = start
            while at < min([end, *stops]):
                step = CHUNK if fault.rate is None else max(1, min(CHUNK, int(fault.rate / 20)))
                data = file.read(min(step, min([end, *stops]) - at))
                if fault.flip_at is not None and at <= fault.flip_at < at + len(data):
                    place = fault.flip_at - at
                    data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
                yield data
                at += len(data)
                if fault.rate is not None:
                    self.hub.sleep(len(data) / fault.rate)
        if stops and fault.stall_at is not None:
            self.hub.sleep(fault.seconds)
        if stops:
            self.close_connection = True

    def _api(self, repository: str, revision: str, *, tree: bool) -> None:
        if not (self.hub.folder / repository).is_dir():
            return self._refuse(401, "RepoNotFound")
        found = self.hub.revision(repository, revision)
        if found is None:
            return self._refuse(404, "RevisionNotFound")
        folder, commit = found
        entries = [
            {"type": "file", "path": name, "size": path.stat().st_size, "oid": Stored(path, commit).etag}
            for name, path in self.hub.files(folder)
        ]
        gated = "manual" if repository in self.hub.gated else False
        siblings = [{"rfilename": entry["path"]} for entry in entries]
        about = {"id": repository, "modelId": repository, "sha": commit, "gated": gated, "siblings": siblings}
        body = json.dumps(entries if tree else about).encode()
        self._note(200)
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command == "GET":
            self.wfile.write(body)
        return None

    def _refuse(self, status: int, code: str | None, more: Mapping[str, str] = {}) -> None:
        headers = {"Content-Length": "0", **more, **({"X-Error-Code": code} if code else {})}
        self._note(status)
        self._head(status, headers)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _note(self, status: int) -> Request:
        line = Request(self.command, self.path, self.headers.get("Range"), self._token(), status)
        self.hub.log.append(line)
        return line


def catalogue_lines(folder: Path, entry: str, repository: str, revision: str = "main") -> str:
    """The TOML of one catalogue entry for everything that the folder has of a repository, with sizes and hashes."""
    root = folder / repository / revision
    lines = [f"[{entry}]", f'repository = "{repository}"', f'revision = "{revision}"', 'purpose = "a test"']
    for path in sorted(root.rglob("*")):
        if path.is_file():
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f'[{entry}.files."{path.relative_to(root).as_posix()}"]')
            lines += [f"size = {path.stat().st_size}", f'sha256 = "{sha256}"']
    return "\n".join(lines) + "\n"


def catalogue_over(folder: Path, catalogue: Catalogue) -> str:
    """A ``models.toml`` that keeps the entries of a catalogue and takes their files, with sizes and hashes, from the
    folder. Entries whose repository it lacks stay as they are; a required file that it lacks is a KeyError."""
    lines: list[str] = []
    for entry in catalogue.entries.values():
        root = folder / entry.repository / entry.revision
        if not root.is_dir():
            continue
        # Naming the repository makes the published sizes and hashes of its files void.
        lines += [f"[{entry.name}]", f'repository = "{entry.repository}"', f"gated = {str(entry.gated).lower()}"]
        for file in entry.files:
            path = root / file.path
            if path.is_file():
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                lines += [
                    f'[{entry.name}.files."{file.name}"]',
                    f"size = {path.stat().st_size}",
                    f'sha256 = "{sha256}"',
                ]
            elif not file.optional:
                raise KeyError(f"{entry.repository} in {folder} lacks {file.path}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.hub")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with Hub(given.folder, given.port) as hub:
        print(hub.address, flush=True)
        while sys.stdin.readline():
            time.sleep(0)
        for line in hub.log:
            print(line.method, line.path, line.range or "-", line.status, line.sent, "token" if line.token else "-")
    return 0


if __name__ == "__main__":
    sys.exit(main())
