"""A worker on another machine, as its supervisor sees it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from kiss3d_backend.executor.over_ray.api import ray_api
from kiss3d_backend.executor.over_ray.kept_words import Word
from kiss3d_backend.logs import relay
from kiss3d_backend.worker.messages import ToWorker, WorkerReady, from_worker, to_fields
from kiss3d_backend.worker.process import Ended, Tell
from kiss3d_protocol.errors import WorkerDied

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
AGAIN_SECONDS = 0.5
"""After a connection has failed, until it is tried again. For how long is the supervisor's business."""


class RemoteWorker:
    """The :class:`kiss3d_backend.worker.process.WorkerProcess` behind the handle of a
    :class:`kiss3d_backend.executor.over_ray.worker_actor.WorkerActor`.

    Two threads: one asks for what the worker says, the other gives orders, and both try again while the connection is
    lost and the worker may still be there. Nothing is skipped or doubled by that, as either side counts.
    """

    remote = True

    def __init__(self, slot: str, actor: Any, tell: Tell, job: Callable[[], str | None]) -> None:
        self._slot = slot
        self._actor = actor
        self._tell = tell
        self._job = job
        self._pid = 0
        self._over = threading.Event()
        self._killed = False
        self._orders: queue.SimpleQueue[ToWorker | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._listen, name=f"hear {slot}", daemon=True),
            threading.Thread(target=self._give_orders, name=f"order {slot}", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def title(self) -> str:
        return f"worker on {self._slot}"

    def say(self, message: ToWorker) -> None:
        self._orders.put(message)

    def kill(self) -> None:
        self._killed = True
        self._end()

    def close(self, seconds: float) -> None:
        self.kill()
        for thread in self._threads:
            thread.join(seconds)

    def _end(self) -> None:
        self._over.set()
        self._orders.put(None)

    def _listen(self) -> None:
        ray = ray_api()
        heard = 0
        why = f"The worker on {self._slot} was ended."
        while not self._over.is_set():
            try:
                said = self._wait_for(self._actor.said.remote(heard))
                for kind, content in said:
                    heard += 1
                    self._hear(kind, content)
            except ray.exceptions.ActorUnavailableError as error:
                _log.info("%s cannot be reached at the moment: %s", self.title, _first_line(error))
                self._over.wait(AGAIN_SECONDS)
            except Exception as error:
                # Its death, as Ray tells it, or words that nobody understands: in any case it is heard no more.
                _log.warning("%s has ended: %s", self.title, error)
                why = f"The worker on {self._slot} died in the middle of the job."
                break
        self._end()
        self._tell(Ended(WorkerDied(why)))
        if self._killed:
            # It may hang, or be out of reach: nobody waits for this, and Ray does it as soon as it can.
            ray.kill(self._actor)

    def _wait_for(self, reference: Any) -> list[Word]:
        ray = ray_api()
        while not ray.wait([reference], timeout=LOOK_SECONDS)[0]:
            if self._over.is_set():
                return []
        return ray.get(reference)

    def _hear(self, kind: str, content: Any) -> None:
        if kind == "log":
            relay(content, self._pid, self._job())
            return
        message = from_worker(content)
        if isinstance(message, WorkerReady):
            self._pid = message.pid
        self._tell(message)

    def _give_orders(self) -> None:
        ray = ray_api()
        number = 0
        while (order := self._orders.get()) is not None:
            number += 1
            while not self._over.is_set():
                try:
                    self._wait_for(self._actor.take.remote(number, to_fields(order)))
                    break
                except ray.exceptions.ActorUnavailableError:
                    self._over.wait(AGAIN_SECONDS)
                except ray.exceptions.RayError:
                    # The other thread says so.
                    return


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
