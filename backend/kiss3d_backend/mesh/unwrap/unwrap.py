"""Starts the unwrapping process, waits for it, and stops it when the job is cancelled."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.unwrap.wire import Reply, Request
from kiss3d_protocol.errors import StageFailed

_COMMAND = (sys.executable, "-m", "kiss3d_backend.mesh.unwrap")
_POLL_SECONDS = 0.1
_SHRINK = 1.3
"""xatlas makes its atlas up to this much larger than asked, so the padding shrinks with it."""
_LAST_WORDS = 2000


@attrs.frozen(eq=False)
class Unwrapped:
    """``uvs``: (N, 2) float32 in [0, 1], v upwards; ``uv_triangles``: (T, 3) int32 into them; ``charts``: islands.

    Triangles with an area do not overlap in UV space. Triangles without one may have any UVs.
    """

    uvs: NDArray[np.float32]
    uv_triangles: NDArray[np.int32]
    charts: int


def unwrap(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    *,
    texture_size: int,
    padding: int = 4,
    check: Callable[[], None] = lambda: None,
    timeout: float = 600.0,
) -> Unwrapped:
    """UVs beside a welded mesh, by xatlas (MIT; https://github.com/jpcy/xatlas).

    ``positions``: (V, 3); ``triangles``: (T, 3). ``texture_size``: pixels of the square texture; ``padding``: the
    least gap between islands in its pixels. ``check`` is called every 0.1 s; what it raises ends the process and comes
    out of here (a stage gives its ``check_cancelled``). ``timeout``: seconds. Raises ValueError for an empty mesh,
    :class:`StageFailed` when the process dies or takes too long.
    """
    if len(triangles) == 0:
        raise ValueError("a mesh without triangles cannot be unwrapped")
    if not np.isfinite(positions).all():
        raise ValueError("a mesh with positions that are not finite cannot be unwrapped")
    request = Request(positions, triangles, texture_size, math.ceil(padding * _SHRINK))
    answer = _ask(request.pack(), check, timeout)
    try:
        reply = Reply.unpack(answer)
    except ValueError as error:
        raise StageFailed("The unwrapping of the mesh ended without a result.") from error
    return Unwrapped(reply.uvs, reply.uv_triangles, reply.charts)


def _ask(request: bytes, check: Callable[[], None], timeout: float) -> bytes:
    # A file, not a pipe: communicate() forgets the rest of its input when it is called again after a timeout.
    with tempfile.TemporaryFile() as given:
        given.write(request)
        given.seek(0)
        process = subprocess.Popen(
            _COMMAND,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    with process:
        try:
            waited = 0.0
            while True:
                try:
                    answer, words = process.communicate(timeout=_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    waited += _POLL_SECONDS
                check()
                if waited > timeout:
                    raise StageFailed(f"The unwrapping of the mesh took longer than {timeout:.0f} seconds.")
        except BaseException:
            process.kill()
            process.communicate()
            raise
    if process.returncode != 0:
        last = words.decode("utf-8", "replace").strip()[-_LAST_WORDS:]
        raise StageFailed(f"The unwrapping of the mesh failed (exit code {process.returncode}). {last}")
    return answer
