"""All trials together."""

from __future__ import annotations

import torch
from attrs import evolve

from kiss3d_backend.devices.machine import Gpu, TorchBuild
from kiss3d_backend.devices.torch_answer import TorchAnswer
from kiss3d_backend.torch_trial.allocator import expandable_segments, pinned_memory
from kiss3d_backend.torch_trial.attention import working_attention
from kiss3d_backend.torch_trial.products import product_problem
from kiss3d_backend.torch_trial.triton_kernel import triton_problem


def torch_answer() -> TorchAnswer:
    """Takes a second or two where there is a GPU, most of it for starting CUDA and for Triton's kernel.

    The allocator is tried first, since it can only be set before it is used. Changes that setting in this process.
    """
    build = TorchBuild(torch.__version__, torch.version.cuda)
    if torch.backends.mps.is_available():
        return _on("mps", TorchAnswer(build, device="mps"))
    problem = _start_problem()
    if problem is None:
        return _on("cpu", TorchAnswer(build))
    if problem:
        return _on("cpu", TorchAnswer(evolve(build, problem=problem)))
    segments = expandable_segments()
    problem = product_problem(torch.device("cuda"))
    if problem:
        return _on("cpu", TorchAnswer(evolve(build, problem=problem), gpu=_gpu(), uuid=_uuid()))
    answer = TorchAnswer(build, device="cuda", gpu=_gpu(), uuid=_uuid(), expandable_segments=segments)
    return _on("cuda", evolve(answer, pinned_memory=pinned_memory()))


def _on(device: str, answer: TorchAnswer) -> TorchAnswer:
    reason = triton_problem(torch.device(device)) if device == "cuda" else "it needs a GPU that torch can use"
    working = working_attention(torch.device(device))
    return evolve(answer, attention=working, triton_works=not reason, triton_reason=reason)


def _start_problem() -> str | None:
    """Why CUDA cannot be started, in torch's words; empty when it runs, None where torch was built without it."""
    if torch.version.cuda is None and torch.version.hip is None:
        return None
    try:
        torch.cuda.init()
        return "" if torch.cuda.device_count() else "there is no GPU"
    except Exception as error:  # whatever a driver may raise
        return " ".join(str(error).split())[:300]


def _gpu() -> Gpu:
    properties = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info(0)
    # AMD's cards have numbers too, with another meaning.
    capability = None if torch.version.hip else (properties.major, properties.minor)
    return Gpu(properties.name, total, free, capability)


def _uuid() -> str | None:
    if torch.version.hip:
        return None
    found = getattr(torch.cuda.get_device_properties(0), "uuid", None)
    return None if found is None else str(found)
