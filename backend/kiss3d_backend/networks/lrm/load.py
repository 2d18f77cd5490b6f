"""The LRM from its converted file to a device."""

from __future__ import annotations

import torch

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import assign, open_entry
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.lrm.shape import LrmShape, shape_of
from kiss3d_backend.networks.precision import refuse_half_on_cpu

LRM_FILE = "final_ckpt.safetensors"
"""What the published ``final_ckpt.ckpt`` is converted to: the generator's tensors alone, by their own names."""

_DECODER = "synthesizer."


def load_lrm(files: EntryFiles, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Lrm:
    """The model, in evaluation mode, without gradients.

    ``dtype``: of the two transformers, float32 or bfloat16, on CUDA float16 too. The decoder's perceptrons are tiny
    and stay float32. Widths are read from the file, so that a smaller model of the same layout loads as well.

    Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt` and :class:`ModelKeysWrong`, and :class:`ParamsInvalid`
    for float16 on the CPU.
    """
    refuse_half_on_cpu(torch.device(device), dtype)
    tensors = open_entry(files, LRM_FILE)
    with torch.device("meta"):
        model = Lrm(shape_of(tensors.shapes) or LrmShape())
    assign(
        model,
        tensors,
        source=tensors.source,
        device=device,
        dtype=lambda name: torch.float32 if name.startswith(_DECODER) else dtype,
    )
    return model.eval()
