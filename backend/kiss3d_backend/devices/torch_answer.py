"""What torch can do here, asked of a process of its own: a broken or hanging driver must not take the asker with it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from attrs import field, frozen
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import make_converter

from kiss3d_backend.devices.machine import Gpu, TorchBuild
from kiss3d_protocol.messages import DeviceKind

MODULE = "kiss3d_backend.torch_trial"
SECONDS = 120.0
"""How long importing torch, starting CUDA and compiling one kernel may take on a slow machine."""


@frozen
class TorchAnswer:
    """The fields are those of :class:`~kiss3d_backend.devices.machine.Machine`; ``gpu`` and ``uuid`` as torch has them.

    ``gpu`` is None where torch has none, ``uuid`` where it does not say.
    """

    build: TorchBuild
    device: DeviceKind = "cpu"
    gpu: Gpu | None = None
    uuid: str | None = None
    triton_works: bool = False
    triton_reason: str = ""
    attention: tuple[str, ...] = field(default=(), converter=tuple)
    expandable_segments: bool = False
    pinned_memory: bool = False


_converter = make_converter(forbid_extra_keys=True)


def answer_to_json(answer: TorchAnswer) -> str:
    """One line of JSON."""
    return _converter.dumps(answer, TorchAnswer)


def ask_torch(timeout: float = SECONDS) -> TorchAnswer | None:
    """None where torch is not installed. A torch that cannot be asked is an answer too, with its ``build.problem``."""
    try:
        installed = version("torch")
    except PackageNotFoundError:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-m", MODULE], capture_output=True, encoding="utf-8", errors="replace", timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return TorchAnswer(TorchBuild(installed, problem=f"it did not answer within {timeout:.0f} s"))
    except OSError as error:
        return TorchAnswer(TorchBuild(installed, problem=f"it cannot be started: {error}"))
    lines = done.stdout.strip().splitlines()
    try:
        if done.returncode == 0:
            # Drivers and libraries may print before.
            return _converter.loads(lines[-1], TorchAnswer)
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        problem = f"it ended with code {done.returncode}: {words[-1][:300]}"
    except (IndexError, ValueError, BaseValidationError):
        problem = "its answer cannot be understood"
    return TorchAnswer(TorchBuild(installed, problem=problem))
