"""A pull in a process of its own: hashing and a slow disk never hold the broker up. Imports nothing heavy.

The process is ``kiss3d models pull --json --until-stdin-closes``. It tells how far it is in JSON lines on stdout; the
end of its stdin asks it to stop, so it also ends when the broker does, however that happens.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from attrs import frozen

from kiss3d_protocol.errors import MessageMalformed, ModelDownloadFailed
from kiss3d_protocol.framing import structure
from kiss3d_protocol.messages import PullMessage
from kiss3d_protocol.models import PullCancelled, PullFailed, PullFinished, PullProgress

_log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
LAST_WORDS = 5


@frozen
class PullNotice:
    """Something that pull number ``start`` told; ``message`` is None when its process has ended."""

    start: int
    message: PullMessage | None


def pull_command(data_dir: Path) -> list[str]:
    """What runs a pull; the names of the entries follow."""
    options = ["--json", "--until-stdin-closes", "--data-dir", str(data_dir)]
    return [sys.executable, "-m", "kiss3d_backend", "models", "pull", *options, "--"]


class PullProcess:
    """One process. ``notify`` is called on another thread, at last with the end of the process.

    Raises :class:`ModelDownloadFailed` when it cannot be started.
    """

    def __init__(self, command: Sequence[str], start: int, notify: Callable[[PullNotice], None]) -> None:
        try:
            self._popen = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise ModelDownloadFailed(f"The download cannot be started ({error.strerror}).") from error
        self.start = start
        self._notify = notify
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        assert self._popen.stdout is not None and self._popen.stderr is not None
        words = threading.Thread(target=self._read_words, args=(self._popen.stderr,), daemon=True)
        words.start()
        self._listener = threading.Thread(target=self._listen, args=(self._popen.stdout, words), daemon=True)
        self._listener.start()

    def ask_to_stop(self) -> None:
        """What has come stays; its end is told as ever."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.close()
        except OSError:
            _log.debug("the pull has ended already")

    def kill(self) -> None:
        """Ends it at once."""
        self._popen.kill()

    def close(self) -> None:
        """Ends it: politely at first, then by force. Blocks for up to :data:`STOP_SECONDS`."""
        self.ask_to_stop()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()
        self._listener.join(timeout=1.0)

    def _listen(self, pipe: BinaryIO, words: threading.Thread) -> None:
        ended = False
        with pipe:
            for line in pipe:
                message = read_line(line)
                if message is None or ended:
                    continue
                ended = not isinstance(message, PullProgress)
                self._notify(PullNotice(self.start, message))
        code = self._popen.wait()
        self.ask_to_stop()
        words.join(timeout=1.0)
        if not ended:
            said = " ".join(self._last_words)
            died = ModelDownloadFailed(f"The download process ended unexpectedly (exit code {code}). {said}".strip())
            self._notify(PullNotice(self.start, PullFailed(died.code, died.message, died.remedy)))
        self._notify(PullNotice(self.start, None))

    def _read_words(self, pipe: BinaryIO) -> None:
        with pipe:
            for line in pipe:
                text = line.decode("utf-8", "replace").rstrip()
                self._last_words.append(text)
                _log.info("pull: %s", text)


_LINES: dict[str, type[PullMessage]] = {
    "progress": PullProgress,
    "finished": PullFinished,
    "error": PullFailed,
    "cancelled": PullCancelled,
}


def read_line(line: bytes) -> PullMessage | None:
    """What a line of the process says, or None for one that is not for us."""
    try:
        fields = cast(object, json.loads(line))
        if not isinstance(fields, dict):
            return None
        told = cast("dict[str, Any]", fields)
        kind = _LINES.get(str(told.get("event")))
        return None if kind is None else structure(told, kind)
    except (ValueError, MessageMalformed) as error:
        _log.warning("a line of the pull cannot be understood: %s", error)
        return None
