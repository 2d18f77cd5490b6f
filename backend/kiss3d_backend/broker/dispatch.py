"""Between the queue and the workers: gives out jobs while workers are free, and records what workers tell of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from kiss3d_backend.broker.recorder import Recorder
from kiss3d_backend.executor.executor import Executor
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.reserve import DiskReserve
from kiss3d_backend.worker.messages import StartJob
from kiss3d_backend.worker.supervisor import Interrupted, Notice, Told
from kiss3d_protocol.messages import Failed

_log = logging.getLogger(__name__)


class Dispatch:
    """``publish`` tells clients of events; ``started`` hears that a job has left the queue."""

    def __init__(
        self,
        book: JobBook,
        reserve: DiskReserve,
        executor: Executor,
        publish: Callable[[Sequence[Posted]], None],
        started: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._recorder = Recorder(book, reserve, executor.cancel)
        self._publish = publish
        self._started = started
        self._open = True

    def close(self) -> None:
        """Jobs that run go on; those that wait, and those still to come, are for the next backend."""
        self._open = False

    def hear(self, notice: Notice) -> None:
        """Takes a word of a worker."""
        self._take(self._executor.handle(notice))
        self.start_jobs()

    def tick(self) -> None:
        """Does what is due: the workers' care, what could not be stored before, the next jobs."""
        self._take(self._executor.tick())
        self._publish(self._recorder.tick())
        self.start_jobs()

    def start_jobs(self) -> None:
        """Gives out as many jobs as there are workers free. Where none will ever be, one job fails with the reason."""
        while self._open:
            problem = self._executor.start_problem
            if not self._executor.can_run and problem is None:
                return
            record = self._recorder.take_next()
            if record is None:
                return
            if problem is not None:
                failed = Failed(job=record.job, code=problem.code, message=problem.message, remedy=problem.remedy)
                self._publish(self._recorder.record(Posted(failed)))
                return
            self._executor.run(StartJob(record.job, record.params, record.inputs))
            self._started()

    def _take(self, told: Sequence[Told]) -> None:
        for each in told:
            if isinstance(each, Interrupted):
                _log.warning("job %s: interrupted: %s", each.job, each.why.message)
                self._publish(self._recorder.interrupted(each))
            else:
                self._publish(self._recorder.record(Posted(each.event, each.artifacts)))
