"""A job that is followed, with what it was made of, so that it can be made again (no bpy)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from attrs import define, frozen

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.params import GenerateParams

from .connection import BackendTarget, Connection
from .importer.arrays import MeshArrays
from .job_inputs import JobInputs
from .job_state import JobState


@frozen
class ArrivedMesh:
    """A mesh that has come and is not in the scene yet. ``arrays``: are being decoded, or are there."""

    quality: str
    arrays: Future[MeshArrays]


@define(eq=False)
class Job:
    """A job of this session. ``hindrance`` says why its mesh is not in the scene yet, though it is here.

    ``settled`` is True when nothing will happen to it any more, neither at the backend nor in the scene. ``placed`` is
    the quality of the mesh that stands in the scene. ``inputs`` is None for one that was made in another session.
    ``began`` and ``ended`` are times of the monitor's clock. ``on_report`` waits for the report that was asked for: the
    page as UTF-8, or why there is none. ``only_final``: earlier meshes are not put into the scene. ``pick``: the bundle
    that is chosen when the job waits for a choice, by index; None leaves it to somebody else.
    """

    state: JobState
    backend: BackendTarget
    connection: Connection
    inputs: JobInputs | None
    params: GenerateParams
    target: Any
    recipe: dict[str, Any]
    on_change: Callable[[JobState], None] | None = None
    only_final: bool = False
    pick: int | None = None
    hindrance: str = ""
    placed: str = ""
    settled: bool = False
    waiting: ArrivedMesh | None = None
    began: float | None = None
    ended: float | None = None
    on_report: Callable[[bytes | Kiss3DError], None] | None = None

    @property
    def id(self) -> str:
        return self.state.job

    def elapsed(self, now: float) -> float:
        """Seconds that it has been running for at ``now``, or ran for; 0 before it has begun."""
        if self.began is None:
            return 0.0
        return (now if self.ended is None else self.ended) - self.began
