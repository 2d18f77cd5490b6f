"""Keeps account of a job while it runs: on the disk after every step, so that it outlives this process."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.devices.probe import probe_device
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.models.used import UsedFile, used_files
from kiss3d_backend.pipeline.events import EventSink, MeshQuality
from kiss3d_backend.pipeline.recipe import Recipe
from kiss3d_backend.pipeline.report import StageReport
from kiss3d_backend.pipeline.types import Bundle
from kiss3d_backend.reports.record import (
    CheckRecord,
    LoadRecord,
    MeshRecord,
    PictureRecord,
    RunRecord,
    StageRecord,
    WarningRecord,
)
from kiss3d_backend.worker.job_files import RunNotes
from kiss3d_backend.worker.thumbnails import BUNDLE_SIDE, PREVIEW_SIDE, small_picture, turntable
from kiss3d_protocol.errors import Kiss3DError

_log = logging.getLogger(__name__)

TURNTABLE_SECONDS = 1.0
"""No further mesh is drawn once they have taken this long."""


class AccountSink:
    """Notes what a recipe tells, and passes it on to ``inner``. A disk that is full costs notes, never the job.

    ``jobs_before``: that this worker had run. ``store``: where the hashes of model files are looked up.
    """

    def __init__(
        self,
        job: str,
        inner: EventSink,
        folder: RunNotes,
        store: Callable[[], ModelStore],
        versions: Callable[[], dict[str, str]],
        jobs_before: int,
    ) -> None:
        self._job = job
        self._inner = inner
        self._folder = folder
        self._store = store
        self._versions = versions
        self._recipe: Recipe | None = None
        self._run = RunRecord(device=probe_device(), versions=versions(), jobs_before=jobs_before)
        self._previews: dict[str, NDArray[np.uint8]] = {}
        self._bundles: tuple[Bundle, ...] = ()
        self._meshes: dict[tuple[MeshQuality, int], Mesh] = {}
        self._keep()

    def begin(self, recipe: Recipe) -> None:
        """This recipe is about to run."""
        self._recipe = recipe
        self._change(recipe=recipe.name)

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None:
        self._change(stages=(*self._run.stages, StageRecord(stage, title, time.time())))
        self._inner.stage_started(stage, title, index, count)

    def stage_ended(self, report: StageReport) -> None:
        """The stage that was started last has ended, well or not."""
        *before, last = self._run.stages
        record = attrs.evolve(
            last,
            **{
                name: getattr(report, name)
                for name in (
                    "seconds", "completed", "from_checkpoint", "plan", "lowered", "planned_vram", "peak_vram",
                    "allocated_vram", "planned_ram", "peak_ram", "used",
                )
            },
            loads=tuple(LoadRecord(load.name, load.seconds) for load in report.loads),
        )  # fmt: skip
        checks = tuple(
            CheckRecord(
                stage=report.name,
                name=check.name,
                value=check.value if math.isfinite(check.value) else None,
                least=check.least,
                most=check.most,
                passed=check.passed,
                bundle=check.bundle,
                view=check.view,
            )
            for check in report.checks
        )
        self._change(stages=(*before, record), checks=(*self._run.checks, *checks))

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        self._inner.progress(stage, step, steps, fraction, eta_seconds)

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None:
        self._previews[stage] = image
        self._inner.preview(stage, image, text)

    def bundles_ready(self, stage: str, bundles: Sequence[Bundle], waiting: bool) -> None:
        self._bundles = tuple(bundles)
        self._inner.bundles_ready(stage, bundles, waiting)

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        # The first coarse mesh of a bundle and its last other ones.
        if quality != "coarse" or (quality, bundle) not in self._meshes:
            self._meshes[quality, bundle] = mesh
        self._inner.mesh_ready(mesh, quality, bundle)

    def warning(self, code: str, message: str, remedy: str) -> None:
        stage = self._run.stages[-1].stage if self._run.stages else ""
        self._change(warnings=(*self._run.warnings, WarningRecord(code, message, remedy, stage)))
        self._inner.warning(code, message, remedy)

    def end(self, *, hurry: bool) -> None:
        """The run is over: files and pictures are added. ``hurry``: no mesh is drawn, as somebody waits for the end."""
        try:
            shown = {key: mesh for key, mesh in self._meshes.items() if key[0] != "refined"}
            self._change(
                versions=self._versions(),
                files=self._files(),
                meshes=tuple(
                    MeshRecord(quality, bundle, len(mesh.positions), len(mesh.triangles))
                    for (quality, bundle), mesh in shown.items()
                ),
                pictures=self._pictures({} if hurry else shown),
            )
        except Exception:
            _log.exception("the account of job %s is not complete", self._job)

    def _files(self) -> tuple[UsedFile, ...]:
        if self._recipe is None:
            return ()
        entries = [name for stage in self._run.stages for name in self._recipe.entries.get(stage.stage, ())]
        if not entries:
            return ()
        try:
            return used_files(self._store(), entries)
        except Kiss3DError as error:
            _log.warning("the model files of job %s are not known: %s", self._job, error)
            return ()

    def _pictures(self, meshes: dict[tuple[MeshQuality, int], Mesh]) -> tuple[PictureRecord, ...]:
        pictures: list[PictureRecord] = []

        def add(name: str, data: bytes, size: tuple[int, int], picture: PictureRecord) -> None:
            self._folder.save_picture(self._job, name, data)
            pictures.append(attrs.evolve(picture, file=name, width=size[0], height=size[1]))

        drawn = {bundle.picture.tobytes() for bundle in self._bundles}
        for number, (stage, image) in enumerate(self._previews.items(), start=1):
            if image.tobytes() not in drawn:
                data, size = small_picture(image, PREVIEW_SIDE)
                add(f"preview-{number}.webp", data, size, PictureRecord("preview", "", "image/webp", 0, 0, stage=stage))
        for index, bundle in enumerate(self._bundles):
            data, size = small_picture(bundle.picture, BUNDLE_SIDE)
            about = PictureRecord("bundle", "", "image/webp", 0, 0, bundle=index, seed=bundle.seed)
            add(f"bundle-{index + 1}.webp", data, size, about)
        began = time.monotonic()
        # Final meshes first: they are what a budget should be spent on.
        for (quality, index), mesh in sorted(meshes.items(), key=lambda item: item[0][0] != "final"):
            if time.monotonic() - began > TURNTABLE_SECONDS:
                break
            data, size, frames = turntable(mesh)
            about = PictureRecord("turntable", "", "image/webp", 0, 0, frames=frames, quality=quality, bundle=index)
            add(f"turntable-{quality}-{index + 1}.webp", data, size, about)
        return tuple(pictures)

    def _change(self, **fields: object) -> None:
        self._run = attrs.evolve(self._run, **fields)
        self._keep()

    def _keep(self) -> None:
        try:
            self._folder.save_run(self._job, self._run)
        except OSError as error:
            _log.warning("the account of job %s cannot be kept: %s", self._job, error)
