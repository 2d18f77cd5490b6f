"""The log of a backend: JSON lines for programs in a file that rotates, plain lines for people on the terminal.

Never logged: secret keys, pairing strings, prompts, names of jobs (they are prompts or names of files), and what is in
pictures. Public keys are cut short.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO, cast

LOG_BYTES = 4_000_000
LOG_FILES = 3

_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``process``, ``job`` where it is about
    one, ``message``, and ``error``, a traceback, where there is one. ``job``: of all that is logged, set from outside.
    """

    job: str | None = None

    def format(self, record: logging.LogRecord) -> str:
        """Never more than one line, whatever is in the message."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "job": getattr(record, "job", None) or self.job,
            "message": record.getMessage(),
            "error": _error(self, record),
        }
        return json.dumps({key: value for key, value in line.items() if value is not None}, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """Time, level and message. Control characters are made visible: names that clients chose can neither forge lines
    nor steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")
        lines = [f"{when} {record.levelname:7} {visible(record.getMessage())}"]
        lines += [f"    {visible(line)}" for line in (_error(self, record) or "").splitlines()]
        return "\n".join(lines)


def visible(text: str) -> str:
    """A text on one line, with its control characters written out."""
    return text.translate(_VISIBLE)


def log_to_file(path: Path) -> None:
    """Everything from now on goes into ``path``, of which the last megabytes are kept."""
    file = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)
    _add(file, JsonLines())


def log_to_terminal() -> None:
    """Everything from now on is also told to people."""
    _add(logging.StreamHandler(sys.stderr), PlainLines())


def log_to_broker(pipe: TextIO) -> JsonLines:
    """For a worker: everything goes into its pipe, as :func:`relay` reads it. Set ``job`` of what is returned."""
    lines = JsonLines()
    _add(logging.StreamHandler(pipe), lines)
    return lines


def log_to(send: Callable[[str], None]) -> JsonLines:
    """As :func:`log_to_broker`, where the broker is not at the other end of a pipe."""
    lines = JsonLines()
    _add(_Sender(send), lines)
    return lines


class _Sender(logging.Handler):
    def __init__(self, send: Callable[[str], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(self.format(record))


def relay(line: str, process: int, job: str | None) -> str:
    """Logs a line of a worker again: one of its log as it was, any other (a library's, a crash's) as its words.

    ``job``: the one that runs there. Returns the line as people read it.
    """
    known = _parsed(line)
    if known is None:
        logging.getLogger(__name__).info("worker %d: %s", process, line, extra={"job": job})
        return line
    level = str(known.get("level"))
    record = logging.makeLogRecord(
        {
            "name": str(known.get("logger")),
            "levelno": logging.getLevelNamesMapping().get(level, logging.INFO),
            "levelname": level,
            "process": process,
            "msg": str(known["message"]),
            "exc_text": known.get("error"),
            "job": known.get("job") or job,
        }
    )
    logging.getLogger(record.name).handle(record)
    return f"{record.levelname}: {record.msg}"


def _parsed(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) and "message" in fields else None


def _error(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return record.exc_text or None


def _add(handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
