"""A stage: one step of a recipe that people can name, with one input and one output."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.events import EventSink, JobWarning
from kiss3d_backend.pipeline.report import Check
from kiss3d_backend.pipeline.types import Mesh, Picture, Texture
from kiss3d_protocol.errors import JobCancelled

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class StageContext:
    """What a stage may use of the job that it runs in.

    ``seed``: the job's. ``generator``: random numbers from that seed, of this stage alone, so that a change in
    one stage does not change the numbers of the next. ``bundle``: of which bundle a mesh is made here, where a job has
    several; this is then run number ``part`` (from 0) of the stage's ``parts``.
    """

    def __init__(
        self,
        *,
        stage: str,
        index: int,
        seed: int,
        sink: EventSink,
        cancel: threading.Event,
        clock: JobClock,
        bundle: int = 0,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.seed = seed
        self.generator = np.random.default_rng([seed, index])
        self.warnings: list[JobWarning] = []
        self.checks: list[Check] = []
        self.used: dict[str, str] = {}
        self._stage = stage
        self._index = index
        self._bundle = bundle
        self._part, self._parts = part, parts
        self._sink = sink
        self._cancel = cancel
        self._clock = clock

    def check_cancelled(self) -> None:
        """Raises :class:`JobCancelled` when somebody cancelled the job. Call it at least every 0.5 s."""
        if self._cancel.is_set():
            raise JobCancelled("The job was cancelled.")

    def progress(self, step: int, steps: int) -> None:
        """Tells that ``step`` of ``steps`` are done; raises :class:`JobCancelled` when the job was cancelled."""
        self.check_cancelled()
        step, steps = self._part * steps + step, self._parts * steps
        fraction, eta_seconds = self._clock.advance(self._index, step, steps)
        self._sink.progress(self._stage, step, steps, fraction, eta_seconds)

    def preview(self, image: Picture | Texture | NDArray[np.uint8], text: str = "") -> None:
        """Shows a picture; an array is (H, W, 3) or (H, W, 4) uint8. ``text``: its caption, or the words behind it."""
        if isinstance(image, Picture):
            image = image.rgba
        elif isinstance(image, Texture):
            image = image.pixels
        self._sink.preview(self._stage, image, text)

    def show_mesh(self, mesh: Mesh) -> None:
        """Shows a mesh that is being refined; it replaces the one before."""
        self.check_cancelled()
        self._sink.mesh_ready(mesh, "refined", self._bundle)

    def warn(self, code: str, message: str, remedy: str) -> None:
        """Tells the user something that does not stop the job. ``code`` is stable and dotted."""
        self.warnings.append(JobWarning(code, message, remedy))
        self._sink.warning(code, message, remedy)

    def checked(
        self,
        name: str,
        value: float,
        *,
        least: float | None = None,
        most: float | None = None,
        bundle: int | None = None,
        view: int | None = None,
    ) -> None:
        """Puts a figure into the job's report; see :class:`Check`. ``bundle``: None for the one of this context."""
        self.checks.append(Check(name, float(value), least, most, self._bundle if bundle is None else bundle, view))

    def uses(self, name: str, value: str) -> None:
        """Puts into the job's report what of the machine is used here: ``uses("rasterizer", "warp")``."""
        self.used[name] = value


class Stage(ABC, Generic[In, Out]):
    """One step of a recipe. It holds settings only: what it makes depends on its input and its context.

    ``name``: stable, unique within a recipe. ``title``: a few words for people. ``weight``: its share of the
    recipe's time, relative to the other stages. ``kept``: whether its result is worth a checkpoint; then input and
    output are values that :mod:`kiss3d_backend.pipeline.snapshot` can keep.
    """

    name: str
    title: str
    weight: float
    kept: bool = False

    def fingerprint(self) -> str:
        """What of its settings and weights shapes the result, for the key of a checkpoint."""
        return ""

    @abstractmethod
    def run(self, value: In, context: StageContext) -> Out:
        """Does the work. Calls ``context.progress`` at least every 0.3 s where the libraries allow it."""
