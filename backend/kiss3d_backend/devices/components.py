"""The networks of the pipeline, one for each place on the worker's shelf, and what their weights take. No torch.

Sources: parameters counted in the published files' headers or in modules of the published configurations (a test
counts them again); FLUX's files hold the transformer and T5 in float8, everything else is held in what it computes in.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.precision import BYTES, Compute, Precision, Products, Storage

ComponentName = Literal[
    "birefnet",
    "zero123plus encoders",
    "zero123plus autoencoder",
    "multiview_unet",
    "lrm",
    "florence2",
    "flux text encoders",
    "flux autoencoder",
    "flux transformer",
    "controlnet",
    "redux",
]

LORA_PARAMETERS = 347_000_000
"""Of a LoRA of rank 64 on every layer of the transformer's blocks: alimama-creative/FLUX.1-Turbo-Alpha has 694 MB in
bfloat16. Kiss3DGen's does not say its rank in public and is counted as the same."""

T5_PARAMETERS = 4_762_310_656
CLIP_PARAMETERS = 123_060_480


@frozen
class Component:
    """``float8``: parameters that may stay in a float8 file's numbers; ``wide``: those that are widened when loaded.

    ``on_processor``: it never runs on the device (onnxruntime without CUDA).
    """

    name: ComponentName
    wide: int
    float8: int = 0
    on_processor: bool = False

    def precision(self, compute: Compute, products: Products) -> Precision:
        if self.float8 > self.wide:
            return Precision("float8", compute, products if self.name == "flux transformer" else "upcast")
        return Precision(compute, compute)

    def weights(self, compute: Compute, storage: Storage = "float8") -> int:
        """Bytes of all weights. ``storage``: of those that may be float8."""
        return self.float8 * BYTES[storage] + self.wide * BYTES[compute]


def components(shape: FluxShape, loras: int, control_storage: Storage | None = None) -> dict[ComponentName, Component]:
    """All of them, by name. ``loras``: how many lie beside the transformer. ``control_storage``: float8 keeps the
    ControlNet's matrices in float8 too, which halves it."""
    control, in_float8 = 3_302_000_000, control_storage == "float8"
    every = (
        Component("birefnet", 57_000_000, on_processor=True),
        Component("zero123plus encoders", 632_076_800 + 340_387_840),
        Component("zero123plus autoencoder", 83_653_863),
        Component("multiview_unet", 865_910_724),
        Component("lrm", 378_700_000),
        Component("florence2", 770_173_952),
        Component("flux text encoders", CLIP_PARAMETERS, T5_PARAMETERS),
        Component("flux autoencoder", 83_819_683),
        Component("flux transformer", loras * LORA_PARAMETERS, shape.parameters),
        Component("controlnet", 0 if in_float8 else control, control if in_float8 else 0),
        Component("redux", 428_225_600 + 64_532_480),
    )
    return {each.name: each for each in every}
