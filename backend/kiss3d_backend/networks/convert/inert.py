"""The tensors of a pickled checkpoint, read without running anything that the pickle names.

A pickle is a program: it names functions and classes of any module and calls them. torch's ``weights_only`` reader
knows a few names that rebuild tensors and refuses the rest. Checkpoints of training runs name more (settings objects,
callbacks, optimizer states); here each of those names stands for a class that does nothing.
"""

from __future__ import annotations

import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing


class Inert:
    """Stands for whatever a pickle names that is no tensor: takes any arguments and any state, keeps none."""

    def __new__(cls, *_args: Any, **_keywords: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_keywords: Any) -> None: ...

    def __setstate__(self, _state: Any) -> None: ...


def _empty_dict(*_args: Any) -> dict[Any, Any]:
    return {}


def _empty_list(*_args: Any) -> list[Any]:
    return []


# The reader fills only real dicts and lists.
_CONTAINERS = {"collections.defaultdict": _empty_dict, "collections.deque": _empty_list}


def load_inert(path: Path) -> Any:
    """The object of a checkpoint that ``torch.save`` wrote, with :class:`Inert` for everything that is not plain data.

    The tensors are on the CPU; those of a zip file (the format since torch 1.6) stay mapped, those of an older file are
    read. Raises :class:`ModelFileMissing`, and :class:`ModelFileCorrupt` for what is no checkpoint, is not whole, or
    cannot be read without running code of it.
    """
    if not path.is_file():
        raise ModelFileMissing(f"The model file {path} is not there.")
    zipped = zipfile.is_zipfile(path)
    try:
        names = get_unsafe_globals_in_checkpoint(str(path)) if zipped else _names_in_old_format(path)
        stand_ins = [(_CONTAINERS.get(name, Inert), name) for name in names]
        # The annotation of safe_globals lacks the pairs that its documentation describes.
        with safe_globals(cast(Any, stand_ins)):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        raise
    except Exception as error:
        # The reader meets hostile bytes with whatever exception they lead to; its own advice is to switch it off.
        raise ModelFileCorrupt(
            f"The file {path.name} cannot be read as a checkpoint: it is damaged, or it needs code of its own to run, "
            f"which is not done here ({type(error).__name__})."
        ) from error


def _names_in_old_format(path: Path) -> set[str]:
    """What the pickles of a file from before the zip format name: magic number, version, system, the object."""
    with path.open("rb") as file:
        return set().union(*(_names_in_pickle(file) for _ in range(4)))


def _names_in_pickle(file: IO[bytes]) -> set[str]:
    """``module.name`` of every GLOBAL instruction; stops behind the pickle. Nothing is executed."""
    named = [str(value).split(" ", 1) for code, value, _ in pickletools.genops(file) if code.name == "GLOBAL"]
    return {spelling for module, name in named for spelling in _spellings(module, name)}


def _spellings(module: str, name: str) -> set[str]:
    """As written, and in Python 3's words: pickles of this protocol use Python 2's, which torch translates in part."""
    renamed = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return {f"{module}.{name}", ".".join(renamed)}


def tensors_of(checkpoint: Any, prefix: str) -> dict[str, torch.Tensor]:
    """The dense tensors of a state dict whose names begin with ``prefix``, without it.

    ``checkpoint``: a state dict, or a dict that holds one as ``state_dict``. Anything else has no tensors.
    """
    if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("state_dict"), Mapping):
        checkpoint = checkpoint["state_dict"]
    if not isinstance(checkpoint, Mapping):
        return {}
    return {
        name.removeprefix(prefix): tensor.detach()
        for name, tensor in cast(Mapping[Any, Any], checkpoint).items()
        if isinstance(name, str) and name.startswith(prefix) and _is_dense(tensor)
    }


def _is_dense(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and value.device.type == "cpu"
    )
