"""BiRefNet from its verified file to a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.birefnet.matting import SIDE, BiRefNet
from kiss3d_protocol.errors import ModelFileCorrupt, ModelKeysWrong

if TYPE_CHECKING:
    import torch

BIREFNET_FILE = "onnx/model_fp16.onnx"

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ERRORS_ONLY = 3


def load_birefnet(files: EntryFiles, device: torch.device | str = "cpu") -> BiRefNet:
    """``device``: on CUDA only with the onnxruntime that has CUDA in it, otherwise the network runs on the CPU.

    The precision is the file's own. Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt`, and
    :class:`ModelKeysWrong` for a network that does not make one channel of a picture of 1024 x 1024 pixels.
    """
    path = files.path(BIREFNET_FILE)
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = ort.InferenceSession(str(path), options, providers=_providers(str(device)))
    except Exception as error:
        # onnxruntime has a dozen exceptions without a common class of their own.
        raise ModelFileCorrupt(
            f"The model file {path} is not a network that onnxruntime can run ({type(error).__name__})."
        ) from error
    picture, logits = session.get_inputs(), session.get_outputs()
    if len(picture) != 1 or not _takes(picture[0], 3) or not logits or not _takes(logits[-1], 1):
        shapes = "; ".join(f"{end.name} {end.type} {end.shape}" for end in [*picture, *logits])
        raise ModelKeysWrong(f"The network of {files.entry} does not make a matte of a picture: {shapes}.")
    return BiRefNet(session, picture[0].name, logits[-1].name, _TYPES[picture[0].type], session.get_providers()[0])


def _providers(device: str) -> list[Any]:
    kind, _, number = device.partition(":")
    if kind == "cuda" and "CUDAExecutionProvider" in ort.get_available_providers():
        return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def _takes(end: Any, channels: int) -> bool:
    """Whether an input or output is a batch of pictures; sizes that the network leaves open are names or None."""
    wanted = (1, channels, SIDE, SIDE)
    if end.type not in _TYPES or len(end.shape) != len(wanted):
        return False
    return all(not isinstance(size, int) or size == one for size, one in zip(end.shape, wanted, strict=True))
