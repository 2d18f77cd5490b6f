"""What each stage of a recipe needs: which networks together, and how much memory beside their weights. No torch.

A stage has phases, in order; in each, some networks are on the device at once. The networks of a phase are named in the
order in which they are called for.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from kiss3d_backend.devices import work
from kiss3d_backend.devices.components import ComponentName
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.precision import Compute, Products
from kiss3d_backend.devices.workload import Workload

MIB = 2**20


@frozen
class Phase:
    """``uses``: networks. ``vram``: bytes of work on the device beside their weights. ``ram``: in the processor's.
    ``done``: those that are not needed again in this stage, and go after the phase unless they are kept.
    """

    name: str
    uses: tuple[ComponentName, ...] = ()
    vram: int = 0
    ram: int = 0
    done: tuple[ComponentName, ...] = ()


@frozen
class StageDemand:
    """``stage``: the name of a stage of the recipe."""

    stage: str
    phases: tuple[Phase, ...]


_PICTURES = 300 * MIB
"""Of the processor's memory, for decoded pictures and meshes of one stage."""

_MATTING = 1800 * MIB
"""onnxruntime's own arrays for 1024 x 1024 pixels; an estimate."""

_ENGINE = 900 * MIB
"""The mesh engine's arrays and compiled code; an estimate."""


def demands(
    recipe: str, workload: Workload, compute: Compute, products: Products, *, tiled: bool
) -> tuple[StageDemand, ...]:
    """Of the stages that load networks or use the device, in order. ``tiled``: bundles are decoded in tiles."""
    shape = FluxShape(guided=workload.guided)
    drawing = StageDemand("bundle", _bundle(workload, shape, compute, products, tiled=tiled))
    ends = (
        StageDemand("coarse", _shape(compute)),
        StageDemand("refine", (Phase("refine", (), work.refine(), _ENGINE),)),
        StageDemand("texture", (Phase("bake", (), 0, _ENGINE),)),
    )
    caption = StageDemand("caption", (Phase("describe", ("florence2",), work.caption(compute), _PICTURES),))
    if recipe == "text_to_3d":
        return (drawing, *ends)
    if recipe == "mesh_to_3d":
        return (caption, drawing, *ends)
    if recipe == "views_to_3d":
        return (StageDemand("reference_shape", _shape(compute)), *ends)
    return (
        StageDemand("background", (Phase("matte", ("birefnet",), 0, _MATTING),)),
        StageDemand("multiview", _multiview(workload, compute)),
        StageDemand("reference_shape", _shape(compute)),
        caption,
        drawing,
        *ends,
    )


def _multiview(workload: Workload, compute: Compute) -> tuple[Phase, ...]:
    side = workload.views_side
    autoencoder: tuple[ComponentName, ...] = ("zero123plus autoencoder",)
    return (
        Phase("see", ("zero123plus encoders",), work.view_encoders(compute), _PICTURES),
        Phase("encode", autoencoder, work.vae_encode(side // 2, side // 2, compute), _PICTURES),
        Phase("imagine", ("multiview_unet",), work.unet(side, compute), _PICTURES),
        Phase("decode", autoencoder, work.vae_decode(side, side, compute), _PICTURES),
    )


def _shape(compute: Compute) -> tuple[Phase, ...]:
    return (Phase("shape", ("lrm",), work.lrm(compute), _ENGINE),)


def _bundle(
    workload: Workload, shape: FluxShape, compute: Compute, products: Products, *, tiled: bool
) -> tuple[Phase, ...]:
    width, height = workload.width, workload.height
    phases = [
        Phase(
            "read",
            ("flux text encoders",),
            work.text_encoders(workload.text_tokens, compute),
            _PICTURES,
            ("flux text encoders",),
        )
    ]
    if workload.redux:
        phases.append(Phase("look", ("redux",), work.redux(compute), _PICTURES, ("redux",)))
    autoencoder: tuple[ComponentName, ...] = ("flux autoencoder",)
    if workload.reference:
        phases.append(Phase("encode", autoencoder, work.vae_encode(width, height, compute), _PICTURES))
    evaluating = work.transformer(shape, workload.tokens, compute, products, steered=workload.control)
    together: tuple[ComponentName, ...] = (
        *autoencoder,
        "flux transformer",
        *(("controlnet",) if workload.control else ()),
    )
    # Previews decode a sixteenth of the picture while no evaluation runs.
    preview = work.vae_decode(width // 4, height // 4, compute)
    phases.append(Phase("draw", together, max(evaluating, preview), _PICTURES))
    decoding = work.vae_decode(width, height, compute, tiled=tiled)
    phases.append(Phase("decode", autoencoder, decoding, _PICTURES, ("flux transformer", "controlnet")))
    return tuple(phases)


def used_in(needed: Iterable[StageDemand]) -> tuple[ComponentName, ...]:
    """Every network, in the order in which they are first called for."""
    return tuple(dict.fromkeys(name for demand in needed for phase in demand.phases for name in phase.uses))


def work_of(needed: Iterable[StageDemand], name: ComponentName) -> int:
    """The most of the phases in which the network is called for last: its place has room for them."""
    phases = (phase for demand in needed for phase in demand.phases if phase.uses[-1:] == (name,))
    return max((phase.vram for phase in phases), default=0)
