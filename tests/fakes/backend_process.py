"""A real ``kiss3d serve`` in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fakes.complaints import complaints

from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import TERMINAL_EVENTS, Event
from kiss3d_protocol.session import LinkChanged, Received

REPOSITORY = Path(__file__).resolve().parents[2]
MISBEHAVING = "tests.fakes.recipes:RECIPES"


class BackendProcess:
    """Started by ``with``; ends when its stdin is closed, or by :meth:`kill`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        recipes: str | None = None,
        bind: str = "tcp://127.0.0.1:0",
        private: bool = False,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``environment``: this process's own, when None."""
        command = [sys.executable, "-W", "error", "-m", "kiss3d_backend", "serve", "--bind", bind, "--json"]
        command += ["--until-stdin-closes", "--data-dir", str(data_dir)]
        command += ["--recipes", recipes] if recipes else []
        command += ["--private"] if private else []
        command += arguments
        inherited = os.environ if environment is None else environment
        paths = [str(REPOSITORY), *filter(None, [inherited.get("PYTHONPATH")])]
        environment = {**inherited, "PYTHONPATH": os.pathsep.join(paths)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.log = data_dir / "logs" / "backend.log"
        self.told: dict[str, Any] = {}
        self.errors = ""

    def __enter__(self) -> BackendProcess:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"the backend did not start: {self.errors}")
        self.told = json.loads(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return self.told["address"]

    def stop(self) -> int:
        """Ends it politely; returns its exit code. Fails when it, or its worker, gave one of the user's warnings."""
        # A second stop finds the pipes closed.
        with contextlib.suppress(ValueError):
            _, self.errors = self.process.communicate(timeout=60)
        code = self.process.wait(timeout=60)
        said = self.errors + (self.log.read_text(encoding="utf-8") if self.log.is_file() else "")
        assert complaints(said) == []
        return code

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate()


def collect(client: Client, job: str, timeout: float = 20.0) -> list[Event]:
    """All events of a job up to its end, without those of others. Raises AssertionError when none comes in time."""
    events: list[Event] = []
    while True:
        news = client.wait(timeout)
        assert news is not None, f"nothing came for {timeout} s after {events[-1:]}"
        if isinstance(news, LinkChanged):
            continue
        assert isinstance(news, Received)
        message = news.message
        if isinstance(message, Event):
            if message.job == job:
                events.append(message)
                if isinstance(message, TERMINAL_EVENTS):
                    return events
        else:
            raise AssertionError(f"unexpected {message}")
