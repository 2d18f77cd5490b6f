"""What broker and worker tell each other, over whatever lies between them."""

from __future__ import annotations

from typing import Any, Union

from attrs import frozen
from cattrs.strategies import configure_tagged_union

from kiss3d_backend.jobs.inputs import StoredInputs
from kiss3d_protocol.framing import make_converter, structure
from kiss3d_protocol.messages import Device, JobEvent
from kiss3d_protocol.params import GenerateParams


@frozen
class StartJob:
    """Run this job. The bytes of its inputs are in the artifacts."""

    job: str
    params: GenerateParams
    inputs: StoredInputs


@frozen
class CancelJob:
    """Stop this job, if it is the one that runs."""

    job: str


@frozen
class ChooseBundles:
    """Go on with these bundles of the job that waits for a choice."""

    job: str
    indices: tuple[int, ...]


@frozen
class WorkerReady:
    """The worker has loaded what it needs for a first job. ``versions``: of itself and its libraries."""

    pid: int
    versions: dict[str, str]


@frozen
class WorkerAlive:
    """A heartbeat. ``device``: what jobs run on there, as it is now; ``memory``: resident bytes of the process."""

    device: Device
    memory: int


@frozen
class WorkerNetworks:
    """A job is about to end. ``used``: the networks that it called for; ``loaded``: those that are in memory now."""

    used: tuple[str, ...]
    loaded: tuple[str, ...]


@frozen
class WorkerEvent:
    """An event of the running job (number 0) and the artifacts that are its blobs, in order."""

    event: JobEvent
    artifacts: tuple[str, ...] = ()


ToWorker = StartJob | CancelJob | ChooseBundles
FromWorker = WorkerReady | WorkerAlive | WorkerNetworks | WorkerEvent

CONVERTER = make_converter()
for _union in (ToWorker, FromWorker):
    configure_tagged_union(Union[*_union.__args__], CONVERTER, tag_name="type")


def to_fields(message: ToWorker | FromWorker) -> dict[str, Any]:
    """The map that goes through the pipe."""
    return {"type": type(message).__name__, **CONVERTER.unstructure(message)}


def to_worker(fields: dict[str, Any]) -> ToWorker:
    """What the broker said. Raises :class:`MessageMalformed`."""
    return structure(fields, Union[*ToWorker.__args__], CONVERTER)  # pyright: ignore[reportArgumentType,reportReturnType]


def from_worker(fields: dict[str, Any]) -> FromWorker:
    """What the worker said. Raises :class:`MessageMalformed`."""
    return structure(fields, Union[*FromWorker.__args__], CONVERTER)  # pyright: ignore[reportArgumentType,reportReturnType]
