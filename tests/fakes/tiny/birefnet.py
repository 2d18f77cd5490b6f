"""A network with BiRefNet lite's file, input and output: it takes for the object what differs from the corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FILE = "onnx/model_fp16.onnx"
SIDE = 1024
STEEPNESS = 20.0
APART = 0.4
"""The logit of a pixel is STEEPNESS x (the sum of its three differences from the corner - APART), in the network's
normalised colours."""


def write_birefnet(folder: Path, *, half_ends: bool = False, extra_layers: int = 0) -> Path:
    """Writes ``onnx/model_fp16.onnx``: float16 weights, input ``input_image``, output ``output_image``.

    ``half_ends``: float16 outside too; published conversions keep float32 there. ``extra_layers``: convolutions of 16
    channels whose result is multiplied by zero, to take time.
    """
    ends = TensorProto.FLOAT16 if half_ends else TensorProto.FLOAT
    constants = {
        "start": np.array([0, 0], dtype=np.int64),
        "stop": np.array([1, 1], dtype=np.int64),
        "image_axes": np.array([2, 3], dtype=np.int64),
        "channel_axis": np.array([1], dtype=np.int64),
        "apart": np.float16([APART]),
        "steepness": np.float16([STEEPNESS]),
        "zero": np.float16([0]),
    }
    nodes = [
        helper.make_node("Cast", ["input_image"], ["picture"], to=TensorProto.FLOAT16),
        helper.make_node("Slice", ["picture", "start", "stop", "image_axes"], ["corner"]),
        helper.make_node("Sub", ["picture", "corner"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
        helper.make_node("ReduceSum", ["distance", "channel_axis"], ["sum"], keepdims=1),
        helper.make_node("Sub", ["sum", "apart"], ["above"]),
        helper.make_node("Mul", ["above", "steepness"], ["logits"]),
    ]
    last = "picture"
    for number in range(extra_layers):
        constants[f"weight{number}"] = np.full((16, 3 if number == 0 else 16, 3, 3), 0.01, dtype=np.float16)
        nodes.append(helper.make_node("Conv", [last, f"weight{number}"], [f"layer{number}"], pads=[1, 1, 1, 1]))
        last = f"layer{number}"
    if extra_layers:
        nodes += [
            helper.make_node("ReduceMax", [last, "channel_axis"], ["busy"], keepdims=1),
            helper.make_node("Mul", ["busy", "zero"], ["nothing"]),
            helper.make_node("Add", ["logits", "nothing"], ["slow_logits"]),
        ]
    nodes.append(helper.make_node("Cast", ["slow_logits" if extra_layers else "logits"], ["output_image"], to=ends))
    graph = helper.make_graph(
        nodes,
        "tiny_birefnet",
        [helper.make_tensor_value_info("input_image", ends, ["batch_size", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output_image", ends, ["batch_size", 1, SIDE, SIDE])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
