"""The machines of a Ray cluster: a slot for each of their graphics cards, as they come and go."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from kiss3d_backend import __version__
from kiss3d_backend.executor.over_ray.api import ray_api
from kiss3d_backend.executor.over_ray.connect import connect
from kiss3d_backend.executor.over_ray.file_desk import FileDesk
from kiss3d_backend.executor.over_ray.remote_worker import RemoteWorker
from kiss3d_backend.executor.over_ray.worker_actor import ActorConfig, WorkerActor
from kiss3d_backend.worker.process import Launch, Tell, WorkerProcess
from kiss3d_protocol.errors import ClusterUnreachable, Kiss3DError, NoWorkers

_log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
STOP_SECONDS = 5.0


@frozen
class Place:
    """A graphics card of a machine. ``node``: Ray's id of the machine; ``threads``: the card's share of its cores."""

    slot: str
    node: str
    threads: int


def places_of(nodes: Sequence[Mapping[str, Any]]) -> tuple[Place, ...]:
    """Of the machines as :func:`ray.nodes` lists them; one that says it has no card has no place."""
    found: list[Place] = []
    for node in sorted((node for node in nodes if node["Alive"]), key=lambda node: str(node["NodeID"])):
        resources = node["Resources"]
        cards = int(resources.get("GPU", 0))
        threads = max(1, int(resources.get("CPU", 1)) // max(1, cards))
        host, identity = str(node["NodeManagerHostname"]), str(node["NodeID"])
        found += [Place(f"{host:.64}/{identity[:8]}/{card}", identity, threads) for card in range(cards)]
    return tuple(found)


class RayFleet:
    """The :class:`kiss3d_backend.executor.fleet.Fleet` of the cluster at ``address``. Raises as :func:`connect` does.

    A thread looks after the machines. ``root``: the backend's data directory; ``recipes``, ``vram_budget``: as for a
    worker beside the broker.
    """

    def __init__(self, address: str, root: Path, recipes: str, vram_budget: int | None) -> None:
        connect(address)
        ray = ray_api()
        self._launches: Mapping[str, Launch] = {}
        self._problem: Kiss3DError | None = None
        self._config = functools.partial(
            ActorConfig, version=__version__, home=str(root), recipes=recipes, vram_budget=vram_budget
        )
        here = ray.get_runtime_context().get_node_id()
        self._desk: Any = _actor(FileDesk, here, max_restarts=-1, max_task_retries=3, max_concurrency=8)(str(root))
        self._over = threading.Event()
        self.look()
        self._watch = threading.Thread(target=self._keep_looking, name="cluster", daemon=True)
        self._watch.start()

    @property
    def problem(self) -> Kiss3DError | None:
        return self._problem

    def slots(self) -> Mapping[str, Launch]:
        return self._launches

    def close(self) -> None:
        """Leaves the cluster, which ends all that this backend has there."""
        self._over.set()
        self._watch.join(STOP_SECONDS)
        ray_api().shutdown()

    def _keep_looking(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            self.look()

    def look(self) -> None:
        """Sees which machines there are now."""
        try:
            places = places_of(ray_api().nodes())
        except Exception as error:
            # Whatever Ray says when its head is away: slots stay until it is known that they are gone.
            _log.warning("the cluster cannot be asked for its machines: %s", error)
            self._problem = ClusterUnreachable(f"The Ray cluster does not answer ({type(error).__name__}).")
            return
        known = self._launches
        self._launches = {
            place.slot: known.get(place.slot) or functools.partial(self._launch, place) for place in places
        }
        self._problem = None if places else NoWorkers("No machine of the Ray cluster offers a graphics card.")

    def _launch(self, place: Place, tell: Tell, job: Callable[[], str | None]) -> WorkerProcess:
        make = _actor(WorkerActor, place.node, num_gpus=1, max_concurrency=4)
        actor = make(self._config(threads=place.threads), self._desk)
        return RemoteWorker(place.slot, actor, tell, job)


def _actor(cls: type, node: str, **options: Any) -> Callable[..., Any]:
    """What makes such an actor on that machine and on no other."""
    ray = ray_api()
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=there, **options)(cls).remote
