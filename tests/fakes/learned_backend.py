"""One backend with the tiny models of the test hub, whose recipes have few steps: for tests of whole jobs."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

import psutil
from tests.fakes.backend_process import BackendProcess
from tests.fakes.tiny.machine import Machine, machine_with

QUICK = "tests.fakes.quick_recipes:quick_recipes"


class LearnedBackend:
    """Started and ended by ``with``. ``process``: the one that runs now; it has the address of the first.

    ``recipes``: None for the worker's own, with all their steps. ``threads``: of each library, None for as many as it
    likes; other tests run beside this one.
    """

    def __init__(self, folder: Path, recipes: str | None = QUICK, threads: int | None = 1) -> None:
        self._recipes = recipes
        self.machine: Machine = machine_with(["fast", "prompt_writer"], folder)
        self._environment = self.machine.environment
        if threads is not None:
            self._environment = self._environment | {"OMP_NUM_THREADS": str(threads)}
        self.process = self._new("tcp://127.0.0.1:0")

    def __enter__(self) -> LearnedBackend:
        self.process.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()

    @property
    def address(self) -> str:
        return self.process.address

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8")

    def worker(self) -> psutil.Process:
        """Raises AssertionError when there is none within 60 s."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            children = psutil.Process(self.process.process.pid).children()
            if children:
                return children[0]
            time.sleep(0.01)
        raise AssertionError("there is no worker")

    def kill_and_start_again(self) -> None:
        """kill -9 of the backend; its worker ends by itself before the next backend begins."""
        worker = self.worker()
        self.process.kill()
        worker.wait(60)
        self.process = self._new(self.address)
        self.process.__enter__()

    def forget_checkpoints(self) -> None:
        """What is made from now on is computed."""
        for path in (self.machine.data / "checkpoints").glob("*.safetensors"):
            path.unlink()

    def _new(self, bind: str) -> BackendProcess:
        return BackendProcess(self.machine.data, recipes=self._recipes, bind=bind, environment=self._environment)
