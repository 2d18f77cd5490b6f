"""One case within limits of time and memory."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.fuzz.targets import Target

from kiss3d_protocol.errors import Kiss3DError

SECONDS = 10.0
"""Of the processor's time, for one case; the machine may be busy with something else."""


class TooSlow(BaseException):
    """A case took longer than :data:`SECONDS`. No ``except Exception`` of a parser catches it."""


def run_case(target: Target, data: bytes) -> str:
    """``accepted``, or the code of the error by which it was refused. Raises whatever else happens."""
    with limited(target.megabytes):
        try:
            target.run(data)
        except Kiss3DError as error:
            return error.code
    return "accepted"


@contextmanager
def limited(megabytes: int) -> Iterator[None]:
    """Inside, an allocation beyond ``megabytes`` more than now raises MemoryError, and too much work :class:`TooSlow`.

    Where there is no such limit (Windows, macOS) only what parsers raise by themselves is found.
    """
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {SECONDS} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)
