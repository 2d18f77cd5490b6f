"""The worker as a Ray actor: what runs on each machine of the cluster, once for each graphics card.

It is the same :class:`~kiss3d_backend.worker.worker.Worker` as beside the broker; only what lies between is another.
Networks may hiccup, so both directions count: an order that comes twice is taken once, and what the worker said is kept
until the backend has asked for what follows it.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

from attrs import frozen

from kiss3d_backend import __version__
from kiss3d_backend.config import default_data_dir
from kiss3d_backend.executor.over_ray.kept_words import KeptWords, Word
from kiss3d_backend.logs import log_to
from kiss3d_backend.worker.messages import FromWorker, to_fields, to_worker

_log = logging.getLogger("kiss3d.worker")

SAID_SECONDS = 5.0
"""How long a question for what was said waits for something new."""


LAST_SECONDS = 1.0


@frozen
class ActorConfig:
    """``version``: of the backend. ``home``: its data directory, which this machine may have too. ``threads``: how many
    processor cores are this worker's share."""

    version: str
    home: str
    recipes: str
    vram_budget: int | None
    threads: int


class WorkerActor:
    """Raises RuntimeError, with which Ray ends the actor, on a machine with another version of Kiss3D."""

    def __init__(self, config: ActorConfig, desk: Any) -> None:
        if config.version != __version__:
            raise RuntimeError(f"Kiss3D {__version__} is installed here, but the backend is {config.version}")
        # As for a worker beside the broker; and Ray gives an actor one thread unless told otherwise. Read when the
        # libraries are loaded, which is later.
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
        from kiss3d_backend.executor.over_ray.far_files import far_files
        from kiss3d_backend.worker.worker import Worker

        self._config = config
        self._taken = 0
        self._words = KeptWords()
        log = log_to(lambda line: self._words.add(("log", line)))
        home = Path(config.home)
        self._worker = Worker(self._say, far_files(desk), home if home.is_dir() else default_data_dir(), log)
        threading.Thread(target=self._live, name="worker", daemon=True).start()

    def take(self, number: int, fields: dict[str, Any]) -> None:
        """Order ``number``, counted from 1, in the form of :func:`kiss3d_backend.worker.messages.to_fields`."""
        if number > self._taken:
            self._taken = number
            self._worker.take(to_worker(fields))

    def said(self, heard: int) -> list[Word]:
        """See :meth:`KeptWords.after`."""
        return self._words.after(heard, SAID_SECONDS)

    def _say(self, message: FromWorker) -> None:
        self._words.add(("message", to_fields(message)))

    def _live(self) -> None:
        try:
            self._worker.live(self._config.recipes, self._config.vram_budget)
        except Exception:
            _log.exception("the worker has ended")
        finally:
            # Without its worker the actor must not look alive. Until then the backend may fetch what was logged.
            threading.Event().wait(LAST_SECONDS)
            os._exit(1)
