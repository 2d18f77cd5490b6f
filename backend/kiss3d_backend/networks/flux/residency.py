"""Where the transformer's blocks are: all on the device, or some in host memory and copied there for their turn.

A streamed block is one range of bytes in host memory. While a block computes, the next one is on its way on a CUDA
stream of its own, so that copying costs time only where it takes longer than computing. Nothing here makes the host
wait: streams wait for each other's events.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Protocol

import attrs
import torch
from torch import nn

from kiss3d_backend.networks.flux.execution import SLOTS

_log = logging.getLogger(__name__)

_ALIGNMENT = 256
"""Bytes: of every tensor in a block's range. Scaled products want 16."""


class Blocks(Protocol):
    """Numbered modules, each on the device while it is used."""

    def __len__(self) -> int: ...

    def on_device(self, number: int) -> AbstractContextManager[nn.Module]: ...


class ResidentBlocks:
    """Blocks that are where they are used."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self._blocks = blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def on_device(self, number: int) -> AbstractContextManager[nn.Module]:
        return nullcontext(self._blocks[number])


@attrs.frozen
class _Cut:
    """Where one parameter lies in the range of its block; blocks of one kind have the same cuts."""

    start: int
    nbytes: int
    dtype: torch.dtype
    shape: torch.Size

    def of(self, room: torch.Tensor) -> nn.Parameter:
        view = room[self.start : self.start + self.nbytes].view(self.dtype).view(self.shape)
        return nn.Parameter(view, requires_grad=False)


@attrs.frozen(eq=False)
class _Streamed:
    """A block in host memory: who owns its parameters by which names, and the parameters there."""

    owners: tuple[tuple[nn.Module, str], ...]
    cuts: tuple[_Cut, ...]
    host: torch.Tensor
    parameters: tuple[nn.Parameter, ...]

    def give(self, parameters: tuple[nn.Parameter, ...]) -> None:
        for (owner, leaf), parameter in zip(self.owners, parameters, strict=True):
            owner._parameters[leaf] = parameter


@attrs.define(eq=False)
class _Slot:
    """Room on the device for one block. ``ready``: its bytes are there. ``free``: its last use is over."""

    room: torch.Tensor
    ready: torch.cuda.Event | None
    free: torch.cuda.Event | None
    block: int | None = None
    used: bool = False
    parameters: dict[tuple[_Cut, ...], tuple[nn.Parameter, ...]] = attrs.Factory(dict)
    """The room as the parameters of each kind of block. Made once: a compiled graph serves only tensors of one make,
    and those of inference mode are of another."""


class StreamedBlocks:
    """``blocks``, of which those of the numbers ``streamed`` lie in host memory; the others must be on ``device``.

    Their parameters become views of that memory, pinned on CUDA where the system allows it, and of a slot on the device
    while they are used. On the CPU everything is the same but the streams. Buffers and LoRAs stay where they are.
    """

    def __init__(self, blocks: Sequence[nn.Module], streamed: frozenset[int], device: torch.device) -> None:
        self._blocks = blocks
        self._device = device
        self._order = sorted(streamed)
        sizes = {number: parameter_bytes(blocks[number]) for number in self._order}
        host = torch.empty(sum(sizes.values()), dtype=torch.uint8)
        self._streamed: dict[int, _Streamed] = {}
        start = 0
        for number, size in sizes.items():
            self._streamed[number] = _moved(blocks[number], host[start : start + size])
            start += size
        cuda = device.type == "cuda"
        self._copying = torch.cuda.Stream(device) if cuda else None
        if cuda and _pin(host, device):
            weakref.finalize(self, _unpin, host, device)
        room = max(sizes.values(), default=0)
        self._slots = [
            _Slot(
                torch.empty(room, dtype=torch.uint8, device=device),
                torch.cuda.Event() if cuda else None,
                torch.cuda.Event() if cuda else None,
            )
            for _ in range(min(SLOTS, len(self._order)))
        ]
        for slot in self._slots:
            for cuts in {block.cuts for block in self._streamed.values()}:
                slot.parameters[cuts] = tuple(cut.of(slot.room) for cut in cuts)

    def __len__(self) -> int:
        return len(self._blocks)

    @contextmanager
    def on_device(self, number: int) -> Iterator[nn.Module]:
        """The block, for work that is queued on the current stream; the next streamed one is asked for already."""
        streamed = self._streamed.get(number)
        if streamed is None:
            yield self._blocks[number]
            return
        slot = self._requested(number, keep=())
        place = self._order.index(number)
        for ahead in range(1, len(self._slots)):
            following = self._order[(place + ahead) % len(self._order)]
            self._requested(following, keep=(number,))
        if slot.ready is not None:
            torch.cuda.current_stream(self._device).wait_event(slot.ready)
        try:
            streamed.give(slot.parameters[streamed.cuts])
            yield self._blocks[number]
        finally:
            streamed.give(streamed.parameters)
            slot.used = True
            if slot.free is not None:
                slot.free.record(torch.cuda.current_stream(self._device))

    def _requested(self, number: int, keep: tuple[int, ...]) -> _Slot:
        """The slot that has the block or gets it now; not one that has a block of ``keep``."""
        for slot in self._slots:
            if slot.block == number:
                return slot
        # The one that was asked for longest ago comes first.
        slot = next(slot for slot in self._slots if slot.block is None or slot.block not in keep)
        self._slots.remove(slot)
        self._slots.append(slot)
        slot.block = number
        host = self._streamed[number].host
        if self._copying is None or slot.free is None or slot.ready is None:
            slot.room[: host.numel()].copy_(host)
            return slot
        if slot.used:
            self._copying.wait_event(slot.free)
        with torch.cuda.stream(self._copying):
            slot.room[: host.numel()].copy_(host, non_blocking=True)
            slot.ready.record(self._copying)
        return slot


def parameter_bytes(module: nn.Module) -> int:
    """What the parameters take in a range of their own."""
    return sum(_aligned(parameter.nbytes) for parameter in module.parameters())


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


def _moved(block: nn.Module, host: torch.Tensor) -> _Streamed:
    """The block's parameters in ``host`` now: what they were before (perhaps a mapped file) is let go."""
    owners: list[tuple[nn.Module, str]] = []
    cuts: list[_Cut] = []
    start = 0
    for owner in block.modules():
        for leaf, value in owner._parameters.items():
            if value is not None:
                owners.append((owner, leaf))
                cuts.append(_Cut(start, value.nbytes, value.dtype, value.shape))
                start += _aligned(value.nbytes)
    parameters = tuple(cut.of(host) for cut in cuts)
    for (owner, leaf), parameter in zip(owners, parameters, strict=True):
        # Not every device copies float8; all of them copy bytes.
        old = owner.get_parameter(leaf).detach().contiguous()
        parameter.detach().view(torch.uint8).copy_(old.view(torch.uint8))
        owner._parameters[leaf] = parameter
    return _Streamed(tuple(owners), tuple(cuts), host, parameters)


def _pin(host: torch.Tensor, device: torch.device) -> bool:
    """Locks the pages, so that copies run beside everything else.

    torch's own pinned allocations are rounded up to powers of two, which for these sizes is up to twice the memory.
    """
    if not host.numel():
        return False
    # It has no types of its own.
    runtime: Any = torch.cuda.cudart()
    result = runtime.cudaHostRegister(host.data_ptr(), host.numel(), 0)
    if int(result) != 0:
        _log.warning("%.1f GB could not be pinned (CUDA says %s): streaming is slower.", host.numel() / 1e9, result)
        # CUDA keeps the error for the next one who asks, who has nothing to do with it.
        with suppress(RuntimeError):
            torch.zeros(1, device=device)
        return False
    return True


def _unpin(host: torch.Tensor, device: torch.device) -> None:
    # A copy may still be running.
    torch.cuda.synchronize(device)
    runtime: Any = torch.cuda.cudart()
    runtime.cudaHostUnregister(host.data_ptr())
