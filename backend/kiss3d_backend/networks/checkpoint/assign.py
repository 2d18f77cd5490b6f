"""Tensors of files into a module that was made without storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from kiss3d_backend.networks.checkpoint.keys import Shape, check_keys

DtypeRule = torch.dtype | Callable[[str], torch.dtype | None] | None


def assign(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    source: str,
    device: torch.device | str = "cpu",
    dtype: DtypeRule = None,
) -> None:
    """Gives ``module`` the tensors of a file as its parameters and persistent buffers, all of them and no others.

    ``tensors``: by the names of the module's state dict, lazily looked up, for example
    :class:`~kiss3d_backend.networks.checkpoint.tensors.Tensors`. Each is moved before the next is looked up; one that
    has its device and dtype already stays mapped and is not copied. ``dtype``: of the floating-point ones; None keeps
    what the file has; a function gives it by name. Of the names of a shared parameter (tied embeddings) one is enough.
    ``source``: for messages. Parameters do not require gradients afterwards.

    Raises :class:`ModelKeysWrong`, before anything is moved, when names or shapes are not the module's, and
    RuntimeError as :func:`refuse_unassigned`.
    """
    groups = _names_by_identity(module)
    present = {name: tuple(shape) for name, shape in _shapes(tensors).items()}
    wanted: dict[str, Shape] = {}
    for names, value in groups:
        in_file = [name for name in names if name in present] or names[:1]
        wanted |= dict.fromkeys(in_file, tuple(value.shape))
    check_keys(wanted, present, source)
    for names, value in groups:
        name = next(name for name in names if name in present)
        target = _target_dtype(dtype, name)
        # In two steps: in one, torch converts on the processor, which takes longer than the copy.
        moved = tensors[name].to(device)
        moved = moved.to(target) if target and moved.is_floating_point() else moved
        kept = torch.nn.Parameter(moved, requires_grad=False) if isinstance(value, torch.nn.Parameter) else moved
        for shared in names:
            _replace(module, shared, kept)
    _move_other_buffers(module, device)
    refuse_unassigned(module)


def refuse_unassigned(module: torch.nn.Module) -> None:
    """Raises RuntimeError, which names them, when parameters or buffers of ``module`` are still on the meta device."""
    left = [name for name, value in [*module.named_parameters(), *module.named_buffers()] if value.is_meta]
    if left:
        raise RuntimeError(f"{len(left)} tensors of {type(module).__name__} were never given, among them {left[0]}")


def _names_by_identity(module: torch.nn.Module) -> list[tuple[list[str], torch.Tensor]]:
    groups: dict[int, tuple[list[str], torch.Tensor]] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        groups.setdefault(id(value), ([], value))[0].append(name)
    return list(groups.values())


def _shapes(tensors: Mapping[str, torch.Tensor]) -> Mapping[str, Shape]:
    shapes = getattr(tensors, "shapes", None)
    return shapes if shapes is not None else {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _target_dtype(rule: DtypeRule, name: str) -> torch.dtype | None:
    return rule if rule is None or isinstance(rule, torch.dtype) else rule(name)


def _replace(module: torch.nn.Module, name: str, value: torch.Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(value, torch.nn.Parameter):
        owner._parameters[leaf] = value
    else:
        owner._buffers[leaf] = value


def _move_other_buffers(module: torch.nn.Module, device: torch.device | str) -> None:
    """Buffers that are not in the state dict: they keep their dtype, as their modules computed them."""
    for owner in module.modules():
        for name, buffer in owner._buffers.items():
            if buffer is not None and not buffer.is_meta:
                owner._buffers[name] = buffer.to(device)
