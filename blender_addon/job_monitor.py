"""Follows the jobs: takes the news, lets meshes into the scene, tidies up after jobs that did not end well.

A plain object without bpy. A timer calls :meth:`JobMonitor.poll` in a window, a loop calls it where there is none.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from attrs import evolve

from kiss3d_protocol.errors import ConnectionLost, JobCancelled, Kiss3DError, StageFailed, error_from_wire
from kiss3d_protocol.messages import MeshReady, Refused, ReportFiles
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.session import News, Received

from .connection import BackendTarget, Connection, LocalTarget
from .decoding import MeshDecoder
from .importer.arrays import MeshArrays, read_mesh
from .importer.recipe import make_recipe, with_bundle, with_report
from .job import ArrivedMesh, Job
from .job_inputs import JobInputs, make_submit
from .job_state import JobState, Phase, cancel_requested, chosen, failed, reduce_job
from .link_state import Link
from .tick_times import TickTimes

TICK_BUDGET_SECONDS = 0.005
"""How long one tick may take in, imports aside."""

BUSY_INTERVAL = 0.05
IDLE_INTERVAL = 0.5
KEPT_JOBS = 20


class ResultTarget(Protocol):
    """Where a result belongs; only the scene's side knows more about it."""

    job: str
    name: str
    size: float


class SceneWriter(Protocol):
    """What :mod:`importer.place` does: see there."""

    def hindrance(self, target: Any) -> str: ...
    def place(self, target: Any, arrays: MeshArrays, recipe: dict[str, Any]) -> Any: ...
    def finish(self, target: Any, recipe: dict[str, Any]) -> None: ...
    def removable(self, target: Any) -> bool: ...
    def remove(self, target: Any) -> None: ...


class JobMonitor:
    """``make_connection`` connects to a backend; ``scene`` writes to Blender's data.

    ``imported``: the quality of the mesh that the last :meth:`poll` put into the scene, "" when it did not. ``times``:
    how long the ticks took, noted by whoever calls :meth:`poll` on Blender's main thread.
    """

    def __init__(
        self,
        make_connection: Callable[[BackendTarget], Connection],
        scene: SceneWriter,
        *,
        addon_version: str,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.connections: dict[BackendTarget, Connection] = {}
        self.times = TickTimes()
        self.imported = ""
        self._make_connection = make_connection
        self._scene = scene
        self._addon_version = addon_version
        self._clock = clock
        self._decoder = MeshDecoder()

    def connect(self, backend: BackendTarget) -> Connection:
        """The connection to ``backend``, opened when it is not; never waits."""
        if backend not in self.connections:
            self.connections[backend] = self._make_connection(backend)
        self.connections[backend].open()
        return self.connections[backend]

    def submit(
        self,
        backend: BackendTarget,
        inputs: JobInputs,
        params: GenerateParams,
        target: ResultTarget,
        on_change: Callable[[JobState], None] | None = None,
        *,
        only_final: bool = False,
        pick: int | None = None,
    ) -> Job:
        """Makes a job whose result goes to ``target``. ``on_change`` gets every new state, from :meth:`poll`.
        ``only_final``: nothing comes into the scene before the finished mesh. ``pick``: the bundle to go on with, by
        index, when the job waits for a choice.

        Raises what :func:`make_submit` raises, before anything is connected or sent.
        """
        submit, blobs = make_submit(target.job, target.name, inputs, params)
        connection = self.connect(backend)
        connection.submit(submit, blobs)
        recipe = make_recipe(target.job, inputs, submit.params, target.size)
        state = JobState(target.job, target.name)
        job = Job(state, backend, connection, inputs, params, target, recipe, on_change, only_final, pick)
        self.jobs[job.id] = job
        self._forget_oldest()
        return job

    def follow(
        self,
        backend: BackendTarget,
        target: ResultTarget,
        params: GenerateParams,
        recipe: dict[str, Any],
        on_change: Callable[[JobState], None] | None = None,
        *,
        only_final: bool = False,
    ) -> Job:
        """Follows a job of an earlier session that the backend has: it tells all of it again, and sends its meshes.
        ``on_change`` and ``only_final`` as with :meth:`submit`."""
        connection = self.connect(backend)
        connection.attach(target.job)
        self.jobs.pop(target.job, None)
        state = JobState(target.job, target.name)
        job = Job(state, backend, connection, None, params, target, recipe, on_change, only_final)
        self.jobs[job.id] = job
        self._forget_oldest()
        return job

    def cancel(self, job: Job) -> None:
        """Asks for the end of a job. When nobody hears it, the job has ended as far as this side is concerned.

        A finished result that still waits for its scene is let go.
        """
        if job.settled:
            return
        if not job.state.ended and job.connection.cancel(job.id):
            self._set(job, cancel_requested(job.state))
        else:
            self._cancelled(job, f"'{job.state.name}' was cancelled.")

    def choose(self, job: Job, bundle: int) -> bool:
        """Lets a job that waits go on with one of its bundles, by index. False when nobody hears it now."""
        if not job.state.choosing or bundle >= len(job.state.bundles) or not job.connection.choose(job.id, bundle):
            return False
        job.recipe = with_bundle(job.recipe, job.state.bundles[bundle].seed)
        self._set(job, chosen(job.state))
        return True

    def abandon(self, job: Job, error: Kiss3DError) -> None:
        """Ends a job with an error of this side, and asks the backend to stop it."""
        job.connection.cancel(job.id)
        job.connection.forget(job.id)
        self._set(job, evolve(job.state, phase=Phase.FAILED, error=error, eta_seconds=None))

    def dismiss(self, job: Job) -> None:
        """Takes a settled job out of the list."""
        if job.settled:
            self.jobs.pop(job.id, None)

    def ask_report(self, job: Job, on_report: Callable[[bytes | Kiss3DError], None]) -> bool:
        """Asks the backend what a job did; :meth:`poll` calls ``on_report``. False when nobody hears the question."""
        if not job.connection.get_report(job.id):
            return False
        job.on_report = on_report
        return True

    def poll(self, budget: float = TICK_BUDGET_SECONDS) -> bool:
        """Takes in what came, for at most ``budget`` seconds, and does at most one import; True after a change."""
        deadline = self._clock() + budget
        self.imported = ""
        changed = False
        for connection in list(self.connections.values()):
            before = connection.view
            while (news := connection.poll()) is not None:
                changed = True
                self._take(connection, news)
                if self._clock() >= deadline:
                    break
            changed = changed or connection.view is not before
        for job in list(self.jobs.values()):
            if job.connection.view.link is Link.FAILED:
                self._end_without_backend(job)
            if job.pick is not None and job.state.choosing:
                changed = self.choose(job, job.pick) or changed
            if not job.settled and self._settle(job):
                return True
        return changed

    def now(self) -> float:
        """The time by which jobs' ``began`` and ``ended`` are told."""
        return self._clock()

    @property
    def interval(self) -> float | None:
        """Seconds until the next :meth:`poll` is due; None when there is nothing to watch."""
        if any(not job.state.ended for job in self.jobs.values()):
            return BUSY_INTERVAL
        if any(job.waiting is not None and not job.waiting.arrays.done() for job in self.jobs.values()):
            return BUSY_INTERVAL
        if any(connection.busy for connection in self.connections.values()):
            return BUSY_INTERVAL
        if any(not job.settled for job in self.jobs.values()):
            return IDLE_INTERVAL
        if any(connection.view.link in (Link.CONNECTED, Link.LOST) for connection in self.connections.values()):
            return IDLE_INTERVAL
        return None

    def disconnect(self, backend: BackendTarget) -> None:
        """Closes a connection in the background. Its jobs that have not ended end here with it."""
        connection = self.connections.pop(backend, None)
        if connection is None:
            return
        for job in self.jobs.values():
            if job.connection is connection and not job.state.ended:
                connection.cancel(job.id)
                self._cancelled(job, f"'{job.state.name}' was cancelled when the connection was closed.")
        connection.close(wait=False)

    def disconnect_idle(self, but: BackendTarget) -> None:
        """Closes the connections that no job needs, except the one to ``but``."""
        used = {id(job.connection) for job in self.jobs.values() if not job.state.ended}
        for backend, connection in list(self.connections.items()):
            if backend != but and id(connection) not in used:
                self.disconnect(backend)

    def shut_down(self) -> None:
        """Closes everything and waits for it; half-made results leave the scene.

        Jobs end with a local backend; on another machine they go on, and can be brought back.
        """
        for job in self.jobs.values():
            if not job.settled and not job.state.ended:
                self._set(job, failed(job.state, JobCancelled(f"'{job.state.name}' was cancelled.")))
                if isinstance(job.backend, LocalTarget):
                    job.connection.cancel(job.id)
            if not job.settled:
                self._settle(job)
        for connection in self.connections.values():
            connection.close(wait=True)
        self._decoder.close()
        self.jobs.clear()
        self.connections.clear()

    def _take(self, connection: Connection, news: News) -> None:
        if not isinstance(news, Received):
            return
        job = self.jobs.get(getattr(news.message, "job", None) or "")
        if job is None or job.connection is not connection:
            return
        if isinstance(news.message, ReportFiles):
            self._reported(job, bytes(news.blobs[news.message.page.blob]))
        elif isinstance(news.message, Refused) and news.message.about == "get_report":
            self._reported(job, error_from_wire(news.message.code, news.message.message, news.message.remedy))
        elif not job.state.ended:
            self._take_event(job, news)

    def _reported(self, job: Job, answer: bytes | Kiss3DError) -> None:
        waiting, job.on_report = job.on_report, None
        if waiting is not None:
            waiting(answer)

    def _take_event(self, job: Job, news: Received) -> None:
        if isinstance(news.message, MeshReady) and (news.message.quality == "final" or not job.only_final):
            # A newer mesh stands for all that came before it.
            if job.waiting is not None:
                job.waiting.arrays.cancel()
            quality = news.message.quality
            read = functools.partial(
                *(read_mesh, news.message.mesh, news.blobs, job.target.size), with_edges=quality != "final"
            )
            job.waiting = ArrivedMesh(quality, self._decoder.start(read))
        self._set(job, reduce_job(job.state, news))

    def _set(self, job: Job, state: JobState) -> None:
        if state is job.state:
            return
        job.state = state
        if job.began is None and state.phase is Phase.RUNNING:
            job.began = self._clock()
        if job.ended is None and state.ended:
            job.ended = self._clock()
        if job.on_change is not None:
            job.on_change(state)

    def _cancelled(self, job: Job, why: str) -> None:
        self._set(job, evolve(job.state, phase=Phase.CANCELLED, error=JobCancelled(why), eta_seconds=None))

    def _end_without_backend(self, job: Job) -> None:
        """Ends a job that no backend has heard of or that was being cancelled; others go on after a reconnection."""
        if job.state.cancel_requested and not job.state.ended:
            job.connection.forget(job.id)
            self._cancelled(job, f"'{job.state.name}' was cancelled.")
        elif job.state.phase is Phase.SUBMITTED:
            job.connection.forget(job.id)
            error = job.connection.view.error or ConnectionLost("The connection to the backend was lost.")
            self._set(job, failed(job.state, error))

    def _settle(self, job: Job) -> bool:
        """Does the next thing that the scene needs for a job; True when it did, or when the hindrance changed."""
        if job.state.phase in (Phase.FAILED, Phase.CANCELLED):
            return self._clear_away(job)
        if job.waiting is None and job.state.phase is not Phase.FINISHED:
            return False
        if job.waiting is not None and not job.waiting.arrays.done():
            return False
        hindrance = self._scene.hindrance(job.target)
        if hindrance:
            changed, job.hindrance = hindrance != job.hindrance, hindrance
            return changed
        job.hindrance = ""
        step = self._finish if job.waiting is None else self._import
        self._guarded(job, lambda: step(job))
        return True

    def _import(self, job: Job) -> None:
        mesh, job.waiting = job.waiting, None
        assert mesh is not None
        self._scene.place(job.target, mesh.arrays.result(), job.recipe | {"quality": mesh.quality})
        job.placed = self.imported = mesh.quality

    def _finish(self, job: Job) -> None:
        report = job.state.report
        if not job.placed or report is None:
            raise StageFailed("The backend finished the job without sending a mesh.")
        recipe = with_report(job.recipe, report, self._addon_version)
        self._scene.finish(job.target, recipe | {"quality": job.placed})
        self.imported = "final"
        job.settled = True

    def _clear_away(self, job: Job) -> bool:
        job.waiting, job.hindrance = None, ""
        if job.placed:
            if not self._scene.removable(job.target):
                return False
            self._scene.remove(job.target)
            job.placed = ""
        job.settled = True
        return True

    def _guarded(self, job: Job, step: Callable[[], None]) -> None:
        try:
            step()
        except Kiss3DError as error:
            self.abandon(job, error)
        except Exception as error:
            # Whatever Blender objects to must end this job, not the timer that all jobs live by.
            traceback.print_exc()
            self.abandon(job, StageFailed(f"The mesh could not be put into the scene: {error}."))

    def _forget_oldest(self) -> None:
        settled = [job for job in self.jobs.values() if job.settled]
        for job in settled[: max(len(self.jobs) - KEPT_JOBS, 0)]:
            self.dismiss(job)
