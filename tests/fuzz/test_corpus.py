"""Hostile bytes: all that was ever found, and some more on every run. The long search is ``tests.benchmarks.fuzz``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.limits import TooSlow, limited, run_case
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).with_name("corpus")


def cases() -> list[Path]:
    return sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", cases(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_is_refused_or_read(path: Path) -> None:
    run_case(TARGETS[path.parent.name], path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_read(name: str) -> None:
    target = TARGETS[name]
    assert {run_case(target, seed) for seed in target.seeds()} == {"accepted"}


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(number=st.integers(0, 2**32 - 1))
def test_what_is_broken_is_refused_in_our_own_words(name: str, number: int) -> None:
    target = TARGETS[name]
    seeds, source = target.seeds(), random.Random(number)
    run_case(target, mutated(source.choice(seeds), seeds, source))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of memory and time need Linux")
def test_the_limits_are_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_seeds() -> list[bytes]:
        return []

    with pytest.raises(MemoryError):
        run_case(Target(lambda data: bytearray(1 << 30), no_seeds), b"")
    monkeypatch.setattr("tests.fuzz.limits.SECONDS", 0.05)
    with pytest.raises(TooSlow):
        run_case(Target(lambda data: [None for _ in iter(int, 1)], no_seeds, 4096), b"")
    with limited(64):
        pass
    assert bytearray(1 << 30)
