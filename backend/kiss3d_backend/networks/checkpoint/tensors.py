"""The tensors of safetensors files, mapped into memory and read only where they are used.

Format: https://github.com/huggingface/safetensors. A sharded model has an index, ``NAME.safetensors.index.json``, whose
``weight_map`` says for each tensor in which file it lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint.keys import Shape
from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing, ModelKeysWrong


class Tensors(Mapping[str, torch.Tensor]):
    """Names and mapped CPU tensors. Looking one up costs no memory until its elements are read.

    ``source``: what they come from, for messages. Selecting and renaming give new views of the same files.
    """

    def __init__(self, places: Mapping[str, tuple[Any, str]], source: str) -> None:
        self.source = source
        self._places = places

    def __getitem__(self, name: str) -> torch.Tensor:
        file, key = self._places[name]
        return file.get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every tensor, from the files' headers alone."""
        return {name: tuple(file.get_slice(key).get_shape()) for name, (file, key) in self._places.items()}

    @property
    def stored_dtypes(self) -> dict[str, str]:
        """The dtype of every tensor as safetensors writes it (``F32``, ``BF16``, ``F8_E4M3``), from the headers."""
        return {name: file.get_slice(key).get_dtype() for name, (file, key) in self._places.items()}

    def under(self, prefix: str) -> Tensors:
        """Those whose names begin with ``prefix``, without it."""
        return Tensors(
            {name.removeprefix(prefix): place for name, place in self._places.items() if name.startswith(prefix)},
            self.source,
        )

    def where(self, wanted: Callable[[str], bool]) -> Tensors:
        """Those whose names are ``wanted``."""
        return Tensors({name: place for name, place in self._places.items() if wanted(name)}, self.source)

    def renamed(self, rename: Callable[[str], str]) -> Tensors:
        """All of them by other names. Raises :class:`ModelKeysWrong` when two would have the same one."""
        places: dict[str, tuple[Any, str]] = {}
        for name, place in self._places.items():
            new = rename(name)
            if new in places:
                raise ModelKeysWrong(f"{self.source} holds the tensor {new} twice, once as {name}.")
            places[new] = place
        return Tensors(places, self.source)


_SAMPLE = 1024
"""Bytes of each tensor that tell whether two files hold the same: training changes every tensor from its start on."""


def same_tensors(one: Tensors, other: Tensors) -> bool:
    """Whether both have the same names, shapes and dtypes, and every tensor begins alike: a model that was trained
    further differs in that. Reads a page of each."""
    if one.shapes != other.shapes or one.stored_dtypes != other.stored_dtypes:
        return False
    return all(torch.equal(_start(one[name]), _start(other[name])) for name in one)


def _start(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).view(torch.uint8)[:_SAMPLE]


def open_tensors(*paths: Path, source: str | None = None) -> Tensors:
    """The tensors of one or several safetensors files together.

    ``source``: for messages; the first file's name if None. Raises :class:`ModelFileMissing`,
    :class:`ModelFileCorrupt` for what is not a whole safetensors file, and :class:`ModelKeysWrong` when two files hold
    the same tensor.
    """
    source = paths[0].name if source is None else source
    places: dict[str, tuple[Any, str]] = {}
    for path in paths:
        file = _opened(path)
        for key in file.keys():  # noqa: SIM118, safe_open is not iterable
            if key in places:
                raise ModelKeysWrong(f"Several files of {source} hold the tensor {key}.")
            places[key] = (file, key)
    return Tensors(places, source)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except FileNotFoundError as error:
        raise ModelFileMissing(f"The model file {path} is not there.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileCorrupt(f"The model file {path} is not a whole safetensors file ({error}).") from error


def open_entry(files: EntryFiles, file: str) -> Tensors:
    """The tensors of ``file`` (``unet/diffusion_pytorch_model.safetensors``) of an entry, sharded or not.

    Where the entry has ``file`` + ``.index.json``, the shards that this names, beside it, are opened. Raises as
    :func:`open_tensors`; :class:`ModelFileMissing` also for a shard; :class:`ModelFileCorrupt` for an index that is
    none; :class:`ModelKeysWrong` when the shards do not hold what the index says.
    """
    source = f"{files.entry} ({file})"
    index = f"{file}.index.json"
    if index not in files.paths:
        return open_tensors(files.path(file), source=source)
    wanted = _weight_map(files.path(index))
    folder = PurePosixPath(file).parent
    shards = [files.path(str(folder / shard)) for shard in sorted(set(wanted.values()))]
    tensors = open_tensors(*shards, source=source)
    lost = sorted(wanted.keys() ^ tensors.keys())
    if lost:
        raise ModelKeysWrong(f"The shards of {source} and their index disagree on {len(lost)} tensors ({lost[0]}).")
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        if isinstance(weight_map, dict) and all(isinstance(shard, str) for shard in weight_map.values()):
            return weight_map
    except (ValueError, KeyError, TypeError):
        pass
    raise ModelFileCorrupt(f"The file {index} is not an index of safetensors files.")
