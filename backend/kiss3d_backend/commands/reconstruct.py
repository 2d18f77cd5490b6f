"""``kiss3d reconstruct``: a bundle picture to a textured GLB, in this process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from kiss3d_backend.commands.files import check_writable, read_picture_file, write_atomically
from kiss3d_backend.commands.stage_display import StageDisplay
from kiss3d_protocol.errors import ParamsInvalid, PresetUnknown
from kiss3d_protocol.messages import Progress, StageStarted, WarningRaised, new_job_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kiss3d_backend.mesh.types import Mesh
    from kiss3d_backend.pipeline.events import MeshQuality
    from kiss3d_backend.pipeline.types import Bundle
    from kiss3d_backend.recipes.reconstruct import ReconstructSettings


@attrs.frozen
class ReconstructOptions:
    """What the user asked for; None takes what the preset says."""

    bundle: Path
    output: Path
    init: Path | None
    preset: str
    faces: int | None
    texture_size: int | None
    keep_frame: bool
    rasterizer: str | None
    render: Path | None
    as_json: bool


def run_reconstruct(options: ReconstructOptions) -> None:
    """Makes the mesh and writes it. Raises a :class:`Kiss3DError` for everything that can go wrong."""
    data = read_picture_file(options.bundle)
    check_writable(options.output, ".glb")
    if options.render is not None:
        check_writable(options.render, ".png")
    # What is wrong with the options is told before torch is imported, which takes seconds.
    settings = _settings(options)
    # As in a worker: threads that wait by spinning are many times slower beside other programs, and gain little.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from kiss3d_backend.stages.refine_shape import require_torch

    require_torch()
    _check_rasterizer(options.rasterizer)
    from kiss3d_backend.mesh.glb import write_glb
    from kiss3d_backend.mesh.png import encode_png
    from kiss3d_backend.mesh.read import read_mesh_file
    from kiss3d_backend.pipeline.recipe import JobInputs
    from kiss3d_backend.pipeline.runner import run_recipe
    from kiss3d_backend.recipes.reconstruct import ReconstructRecipe

    coarse = None if options.init is None else read_mesh_file(options.init)
    cancel = threading.Event()
    with StageDisplay(options.bundle.name) as display:
        sink = _DisplaySink(display)
        report = run_recipe(ReconstructRecipe(settings), JobInputs(data, mesh=coarse), sink, cancel)
    mesh = sink.mesh
    assert mesh is not None and mesh.texture is not None
    texture = encode_png(mesh.texture.pixels)
    normal_map = None if mesh.normal_map is None else encode_png(mesh.normal_map.pixels)
    write_atomically(options.output, lambda: write_glb(mesh, texture, normal_map))
    if options.render is not None:
        from kiss3d_backend.commands.contact_sheet import contact_sheet_png

        write_atomically(options.render, lambda: contact_sheet_png(mesh, texture))
    if not options.as_json:
        print(
            f"{options.output}: {len(mesh.positions):,} vertices, {len(mesh.triangles):,} triangles "
            f"in {report.seconds:.1f} s"
        )
        return
    summary = {
        "output": str(options.output),
        "preset": options.preset,
        "seconds": round(report.seconds, 3),
        "vertices": len(mesh.positions),
        "triangles": len(mesh.triangles),
        "stages": [
            {"stage": each.name, "title": each.title, "seconds": round(each.seconds, 3)} for each in report.stages
        ],
        "warnings": [attrs.asdict(each) for each in report.warnings],
    }
    print(json.dumps(summary))


def _settings(options: ReconstructOptions) -> ReconstructSettings:
    from kiss3d_backend.recipes.reconstruct import RECONSTRUCT_PRESETS

    if options.preset not in RECONSTRUCT_PRESETS:
        names = ", ".join(RECONSTRUCT_PRESETS)
        raise PresetUnknown(f"There is no preset '{options.preset:.64}'.", f"Choose one of: {names}.")
    preset = RECONSTRUCT_PRESETS[options.preset]
    try:
        return attrs.evolve(
            preset,
            faces=preset.faces if options.faces is None else options.faces,
            texture_size=preset.texture_size if options.texture_size is None else options.texture_size,
            keep_frame=options.keep_frame,
            rasterizer=options.rasterizer,
        )
    except ValueError as error:
        raise ParamsInvalid(
            "The faces must be from 100 to 1,000,000, the texture size one of 1024, 2048 and 4096."
        ) from error


def _check_rasterizer(name: str | None) -> None:
    from kiss3d_backend.mesh.raster.choose import BACK_ENDS

    if name not in (None, *BACK_ENDS):
        raise ParamsInvalid(f"There is no rasteriser '{name:.64}'.", f"One of: {', '.join(BACK_ENDS)}.")


class _DisplaySink:
    """Shows the events of a recipe that runs in this process, and keeps its last mesh."""

    def __init__(self, display: StageDisplay) -> None:
        self.mesh: Mesh | None = None
        self._display = display
        self._job = new_job_id()

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None:
        self._display.show(StageStarted(job=self._job, stage=stage, title=title, index=index, count=count))

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        self._display.show(
            Progress(job=self._job, stage=stage, step=step, steps=steps, fraction=fraction, eta_seconds=eta_seconds)
        )

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None: ...

    def bundles_ready(self, stage: str, bundles: Sequence[Bundle], waiting: bool) -> None: ...

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        self.mesh = mesh
        self._display.note(f"{quality.capitalize()} mesh: {len(mesh.triangles):,} triangles")

    def warning(self, code: str, message: str, remedy: str) -> None:
        self._display.show(WarningRaised(job=self._job, code=code, message=message, remedy=remedy))
