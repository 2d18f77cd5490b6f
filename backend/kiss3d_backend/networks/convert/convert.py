"""One pickled checkpoint to one safetensors file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import save_file

from kiss3d_backend.networks.convert.inert import load_inert, tensors_of
from kiss3d_backend.networks.convert.published import Kind
from kiss3d_protocol.errors import ModelDiskFull, ModelDownloadFailed, ModelKeysWrong

Progress = Callable[[str, int, int], None]
"""Step (``source``, ``write``, ``check``), bytes done, bytes in all."""

_CHUNK = 1 << 20
_HEADER_MOST = 1 << 20


@frozen
class Converted:
    """``tensors``: how many. ``size``: bytes of the target. ``sha256``: its own; ``source_sha256``: the pickle's."""

    tensors: int
    size: int
    sha256: str
    source_sha256: str


def convert(
    kind: Kind, source: Path, target: Path, progress: Progress, *, source_sha256: str | None = None
) -> Converted:
    """Writes the model's tensors of the pickle ``source`` to the safetensors file ``target``.

    No code of the pickle runs, dtypes are kept, and the tensors are copied from file to file without being held in
    memory (those of a checkpoint from before torch 1.6 are held once). ``target`` appears whole or not at all; its
    metadata say the kind, the source's name and its sha256. ``source_sha256``: where it is known already.

    Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt`, :class:`ModelKeysWrong`, :class:`ModelDiskFull`, and
    :class:`ModelDownloadFailed` when ``target`` cannot be written for another reason.
    """
    tensors = tensors_of(load_inert(source), kind.prefix)
    if not tensors:
        under = f" under '{kind.prefix}'" if kind.prefix else ""
        raise ModelKeysWrong(f"The file {source.name} is not {kind.title}: it holds no tensors{under}.")
    kind.check({name: tuple(tensor.shape) for name, tensor in tensors.items()}, source.name)
    if source_sha256 is None:
        source_sha256 = _sha256(source, "source", progress)
    metadata = {"kiss3d_kind": kind.name, "source": source.name, "source_sha256": source_sha256, "format": "pt"}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_room(target.parent, size)
        # A folder, because the writer makes temporary files of its own beside its target.
        with TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as folder:
            part = Path(folder, target.name)
            progress("write", 0, size)
            save_file(_apart(tensors), part, metadata)
            progress("write", size, size)
            _flush(part)
            sha256 = _sha256(part, "check", progress)
            part.replace(target)
        _flush_folder(target.parent)
    except (OSError, SafetensorError) as error:
        raise _unwritable(target, error) from error
    return Converted(len(tensors), target.stat().st_size, sha256, source_sha256)


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous tensors of which no two share memory: the format knows no views. Others are not copied."""
    seen: set[int] = set()
    result: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        result[name] = tensor if whole and place not in seen else tensor.clone(memory_format=torch.contiguous_format)
        seen.add(place)
    return result


def _sha256(path: Path, step: str, progress: Progress) -> str:
    size, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(step, done, size)
    return digest.hexdigest()


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _HEADER_MOST:
        raise ModelDiskFull(f"Converting needs {size / 1e9:.1f} GB in {folder}; {free / 1e9:.1f} GB are free.")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """So that the new name outlives a power cut too; Windows has no such call."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(target: Path, error: Exception) -> ModelDiskFull | ModelDownloadFailed:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors has its own exception, with the system's number in its text: of Linux and macOS, and of Windows.
    if full or "(os error 28)" in str(error) or "(os error 112)" in str(error):
        return ModelDiskFull(f"The disk is full: {target.name} could not be written to {target.parent}.")
    return ModelDownloadFailed(
        f"The converted file {target} could not be written ({error}).",
        "Check that you may write to this folder, then run 'kiss3d models pull' again.",
    )
