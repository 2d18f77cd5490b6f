"""The measure of how long Blender was held."""

from __future__ import annotations

from blender_addon.tick_times import KEPT, TickTimes


def test_kinds_of_ticks_are_told_apart() -> None:
    times = TickTimes()
    for seconds in (0.001, 0.002, 0.009):
        times.add(seconds, "")
    for seconds, imported in ((0.02, "coarse"), (0.04, "refined"), (0.3, "final")):
        times.add(seconds, imported)
    assert times.summary() == {
        "plain": {"count": 3, "median_ms": 2.0, "max_ms": 9.0},
        "update": {"count": 2, "median_ms": 30.0, "max_ms": 40.0},
        "final": {"count": 1, "median_ms": 300.0, "max_ms": 300.0},
    }


def test_only_the_newest_are_kept_and_none_is_no_kind() -> None:
    times = TickTimes()
    for _ in range(KEPT + 1):
        times.add(0.001, "")
    assert times.summary()["plain"]["count"] == KEPT and set(times.summary()) == {"plain"}
