"""The worker's meter sees what a stage took and gave back, and forgets it for the next."""

from __future__ import annotations

import sys
import time
import types

import pytest

from kiss3d_backend.worker.memory_meter import SAMPLE_SECONDS, ProcessMeter

TAKEN = 96 * 2**20


def test_memory_that_was_given_back_still_counts_for_its_stage_and_not_for_the_next() -> None:
    meter = ProcessMeter()
    meter.start()
    before = meter.stop().ram
    meter.start()
    block = bytearray(b"\1" * TAKEN)
    time.sleep(4 * SAMPLE_SECONDS)
    del block
    during = meter.stop().ram
    meter.start()
    after = meter.stop().ram
    assert before is not None and during is not None and after is not None
    assert during - before > 0.9 * TAKEN
    assert during - after > 0.9 * TAKEN


def test_the_devices_peak_is_torchs_record_since_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        reserved = allocated = 0
        cached = 7

        def is_available(self) -> bool:
            return True

        is_initialized = is_available

        def empty_cache(self) -> None:
            self.cached = 0

        def reset_peak_memory_stats(self) -> None:
            self.reserved = self.allocated = self.cached

        def max_memory_reserved(self) -> int:
            return self.reserved

        def max_memory_allocated(self) -> int:
            return self.allocated

    cuda = Cuda()
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    meter = ProcessMeter()
    meter.start()
    cuda.reserved, cuda.allocated = 50, 40
    used = meter.stop()
    assert (used.vram, used.vram_allocated) == (50, 40)
    meter.start()
    used = meter.stop()
    assert (used.vram, used.vram_allocated) == (0, 0)


def test_without_a_device_nothing_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    meter = ProcessMeter()
    meter.start()
    used = meter.stop()
    assert used.vram is None and used.vram_allocated is None and used.ram
