"""The order that CUDA's streams are told to keep while blocks are streamed, without CUDA: streams that only take notes.

A stream knows what is done before its next work; an event carries that to another stream. A copy into a slot must know
the slot's last use, and a use must know the copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from kiss3d_backend.networks.flux.residency import StreamedBlocks


class Stream:
    def __init__(self) -> None:
        self.known: set[int] = set()

    def wait_event(self, event: Event) -> None:
        self.known |= event.known


class Event:
    def __init__(self) -> None:
        self.known: set[int] = set()

    def record(self, stream: Stream) -> None:
        self.known = set(stream.known)


@pytest.mark.parametrize("streamed", [{0, 1, 2, 3, 4}, {1, 3, 4}, {2, 4}, {3}])
@pytest.mark.parametrize("order", [range(5), [0, 1, 2, 0, 1, 2, 3, 4], [4, 1, 3, 3, 0, 2]])
def test_no_slot_is_written_while_it_may_be_read_or_read_before_it_is_written(
    monkeypatch: pytest.MonkeyPatch, streamed: set[int], order: Any
) -> None:
    blocks = [nn.Linear(4, 4).requires_grad_(False) for _ in range(5)]
    streaming = StreamedBlocks(blocks, frozenset(streamed), torch.device("cpu"))
    computing, copying = Stream(), Stream()
    slots = list(streaming._slots)
    holds = [slot.block for slot in slots]
    uses: list[int | None] = [None] * len(slots)
    copies: list[int | None] = [None] * len(slots)
    works = iter(range(10**6))

    @contextmanager
    def on(stream: Any) -> Iterator[None]:
        assert stream is copying
        (changed,) = [number for number, slot in enumerate(slots) if slot.block != holds[number]]
        holds[changed] = slots[changed].block
        assert uses[changed] is None or uses[changed] in stream.known, "it may still be read"
        copies[changed] = next(works)
        stream.known.add(copies[changed])
        yield

    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: computing)
    streaming._copying = copying  # type: ignore[assignment]
    for slot in slots:
        slot.ready, slot.free = Event(), Event()  # type: ignore[assignment]
    expected = [block.weight.clone() for block in blocks]
    for _ in range(3):
        for number in order:
            with streaming.on_device(number) as block:
                assert torch.equal(block.weight, expected[number])
                if number in streamed:
                    (place,) = [place for place, slot in enumerate(slots) if slot.block == number]
                    assert copies[place] in computing.known, "it may not be there yet"
                    uses[place] = next(works)
                    computing.known.add(uses[place])
    assert sum(copy is not None for copy in copies) == len(slots)
