"""The log: for programs and for people, with the job, without what others could smuggle in."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kiss3d_backend import logs
from kiss3d_backend.logs import JsonLines, PlainLines, log_to_broker, log_to_file, relay

JOB = "0b8f7c1e-5a55-4d5e-9b1e-0123456789ab"


@pytest.fixture(autouse=True)
def the_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(before):
        handler.close()
    root.handlers[:], root.level = before, level


def record(message: str, **fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "WARNING", "name": "kiss3d", "process": 7, **fields})


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_is_one_object_whatever_it_says() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        wild = record('quotes " and\nlines \x1b[31m', job=JOB, created=0.25, exc_info=sys.exc_info())
    line = JsonLines().format(wild)
    assert "\n" not in line and "\x1b" not in line
    told = json.loads(line)
    assert told.pop("error").endswith("ValueError: first\nsecond")
    assert told == {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "WARNING",
        "logger": "kiss3d",
        "process": 7,
        "job": JOB,
        "message": 'quotes " and\nlines \x1b[31m',
    }
    assert "job" not in json.loads(JsonLines().format(record("about none")))


def test_a_client_can_neither_forge_a_line_nor_steer_a_terminal() -> None:
    line = PlainLines().format(record("client anna (x\n2026-01-01 ERROR forged\x1b]0;owned\x07\x9b2J) says hello"))
    assert "\n" not in line and "\\x0a2026-01-01 ERROR forged\\x1b]0;owned\\x07\\x9b2J" in line


def test_the_file_rotates_and_keeps_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOG_BYTES", 2000)
    log_to_file(tmp_path / "backend.log")
    for number in range(100):
        logging.getLogger("kiss3d.test").info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["backend.log", "backend.log.1", "backend.log.2", "backend.log.3"]
    assert lines_of(tmp_path / "backend.log")[-1]["message"] == "line 99"
    assert sum(path.stat().st_size for path in files) <= 4 * 2000


def test_what_a_worker_logs_comes_out_as_it_went_in(tmp_path: Path) -> None:
    pipe = io.StringIO()
    stamp = log_to_broker(pipe)
    stamp.job = JOB
    try:
        raise RuntimeError("deep inside")
    except RuntimeError:
        logging.getLogger("kiss3d.library").warning("no room for %s", "flux", exc_info=True)
    logging.getLogger().removeHandler(logging.getLogger().handlers[-1])
    log_to_file(tmp_path / "backend.log")
    said = [relay(line, 4711, None) for line in pipe.getvalue().splitlines()]
    said.append(relay("Fatal: a library prints", 4711, JOB))
    for odd in ("{", '{"message": 1}', "[1]", "{" * 5000, '{"level": {}, "message": "x"}'):
        relay(odd, 4711, None)
    first, second, *_ = lines_of(tmp_path / "backend.log")
    assert said == ["WARNING: no room for flux", "Fatal: a library prints"]
    assert (first["level"], first["logger"], first["process"], first["job"]) == (
        *("WARNING", "kiss3d.library", 4711),
        JOB,
    )
    assert first["error"].endswith("RuntimeError: deep inside")
    assert (second["message"], second["job"]) == ("worker 4711: Fatal: a library prints", JOB)
