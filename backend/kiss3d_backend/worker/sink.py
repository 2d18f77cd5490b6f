"""Turns what a recipe tells into events and artifacts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.jobs.artifacts import Blobs
from kiss3d_backend.mesh.frame import to_unit_box
from kiss3d_backend.mesh.payload import describe_mesh
from kiss3d_backend.mesh.png import encode_png
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.types import Bundle
from kiss3d_protocol.messages import (
    BundleOffer,
    BundlesReady,
    JobEvent,
    MeshReady,
    Preview,
    Progress,
    Quality,
    StageStarted,
    WarningRaised,
)
from kiss3d_protocol.payloads import BlobWriter

PROGRESS_EVERY_SECONDS = 0.05


class WorkerSink:
    """The :class:`kiss3d_backend.pipeline.events.EventSink` of a worker."""

    def __init__(self, job: str, send: Callable[[JobEvent, tuple[str, ...]], None], artifacts: Blobs) -> None:
        self._job = job
        self._send = send
        self._artifacts = artifacts
        self._last_progress = 0.0

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None:
        self._last_progress = 0.0
        self._send(StageStarted(job=self._job, stage=stage, title=title, index=index, count=count), ())

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        now = time.monotonic()
        if step < steps and now - self._last_progress < PROGRESS_EVERY_SECONDS:
            return
        self._last_progress = now
        self._send(
            Progress(job=self._job, stage=stage, step=step, steps=steps, fraction=fraction, eta_seconds=eta_seconds),
            (),
        )

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None:
        writer = BlobWriter()
        ref = writer.image(encode_png(image), "image/png", image.shape[1], image.shape[0])
        self._send(Preview(job=self._job, stage=stage, image=ref, text=text), self._keep(writer))

    def bundles_ready(self, stage: str, bundles: Sequence[Bundle], waiting: bool) -> None:
        writer = BlobWriter()
        offers = tuple(
            BundleOffer(
                writer.image(encode_png(each.picture), "image/png", *reversed(each.picture.shape[:2])),
                each.seed,
            )
            for each in bundles
        )
        event = BundlesReady(job=self._job, stage=stage, bundles=offers, waiting=waiting)
        self._send(event, self._keep(writer))

    def mesh_ready(self, mesh: Mesh, quality: Quality, bundle: int = 0) -> None:
        # Recipes work in frames of their own; the protocol has one.
        mesh = attrs.evolve(mesh, positions=to_unit_box(mesh.positions))
        writer = BlobWriter()
        ref = describe_mesh(mesh, writer)
        self._send(MeshReady(job=self._job, quality=quality, mesh=ref, bundle=bundle), self._keep(writer))

    def warning(self, code: str, message: str, remedy: str) -> None:
        self._send(WarningRaised(job=self._job, code=code, message=message, remedy=remedy), ())

    def _keep(self, writer: BlobWriter) -> tuple[str, ...]:
        return tuple(self._artifacts.put(blob) for blob in writer.blobs)
