"""Work shared out among threads, which a cancel still ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any

from kiss3d_backend.mesh.raster.threads import usable_cores

Check = Callable[[], None]
"""Called often; what it raises ends the work and comes out of it."""

_LOOK_SECONDS = 0.05


def at_once(check: Check, tasks: Sequence[Callable[[Check], Any]]) -> list[Any]:
    """What each of ``tasks`` returns, in their order. They run on as many threads as there are cores, at least two.

    Each gets a check of its own to call: it raises what ``check`` raises, and ends the task when another has failed.
    The first exception comes out of here once all have ended. Threads help where the work is in NumPy, OpenCV or
    compiled loops, which let other threads run. What NumPy does about errors is the caller's choice there too.
    """
    failed = threading.Event()

    def look() -> None:
        if failed.is_set():
            raise _OthersFailed
        check()

    # Two on one core: a task may wait for another process.
    with ThreadPoolExecutor(max(min(len(tasks), usable_cores()), 2)) as pool:
        futures = [pool.submit(copy_context().run, task, look) for task in tasks]
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, _LOOK_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                check()
        except BaseException:
            failed.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


class _OthersFailed(Exception):
    """Ends a task whose result nobody wants any more."""
