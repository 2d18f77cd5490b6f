"""A matte from an ONNX session."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

import attrs
import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

SIDE = 1024
"""Pixels of the square that the network was trained on and is given."""

_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
_SECONDS_BETWEEN_CHECKS = 0.1


@attrs.frozen
class BiRefNet:
    """The network. ``dtype``: of its input. ``provider``: what runs it (``CPUExecutionProvider``, or CUDA's)."""

    session: ort.InferenceSession
    input_name: str
    output_name: str
    dtype: type[np.floating]
    provider: str

    def matte(self, rgb: NDArray[np.uint8], check_cancelled: Callable[[], None]) -> NDArray[np.uint8]:
        """How much of each pixel the object covers, (H, W), 0 to 255.

        ``rgb``: (H, W, 3) sRGB. ``check_cancelled`` is called ten times a second while the network runs; what it raises
        stops the network and is raised here.
        """
        options = ort.RunOptions()
        with ThreadPoolExecutor(1) as pool:
            feed = {self.input_name: prepared(rgb).astype(self.dtype)}
            running = pool.submit(self.session.run, [self.output_name], feed, options)
            try:
                while True:
                    check_cancelled()
                    try:
                        (logits,) = running.result(_SECONDS_BETWEEN_CHECKS)
                        break
                    except FutureTimeout:
                        continue
            finally:
                options.terminate = True
        return _matte_of(np.asarray(logits, dtype=np.float32)[0, 0], rgb.shape[1], rgb.shape[0])


def prepared(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's input, (1, 3, 1024, 1024): stretched to the square, colours normalised as for ImageNet."""
    square = Image.fromarray(rgb).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    colours = (np.asarray(square, dtype=np.float32) / 255.0 - _MEAN) / _STD
    return np.ascontiguousarray(colours.transpose(2, 0, 1)[None])


def _matte_of(logits: NDArray[np.float32], width: int, height: int) -> NDArray[np.uint8]:
    share = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
    shrinking = width < logits.shape[1] and height < logits.shape[0]
    resized = cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return (np.clip(resized, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
