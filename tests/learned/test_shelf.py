"""The shelf loads late, keeps what fits, and lets go of what was used longest ago."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
from tests.fakes.machines import gpu, machine

pytest.importorskip("torch")

from kiss3d_backend.devices.planner import plan
from kiss3d_backend.devices.room import Place
from kiss3d_backend.devices.workload import workload_of
from kiss3d_backend.networks.loading import noting_uses
from kiss3d_backend.networks.shelf import Shelf, Slot


class Network:
    pass


def slots(limit: int, **sizes: int) -> tuple[dict[str, Slot[Network]], list[str]]:
    shelf, loads = Shelf(limit), []

    def loader(name: str) -> Callable[[], Network]:
        def load() -> Network:
            loads.append(name)
            return Network()

        return load

    return {name: shelf.add(name, loader(name), lambda size=size: size) for name, size in sizes.items()}, loads


def test_nothing_is_loaded_before_it_is_asked_for_and_then_once() -> None:
    made, loads = slots(10, a=4, b=4)
    assert loads == []
    assert made["a"]() is made["a"]()
    assert loads == ["a"]
    assert [slot.loaded for slot in made.values()] == [True, False]


def test_what_a_job_called_for_and_what_is_in_memory_are_told_by_the_same_names() -> None:
    shelf = Shelf(10)
    made = [shelf.add(name, Network, lambda: 4, "one role") for name in ("dev", "schnell", "lrm")]
    with noting_uses() as used:
        made[0]()
        made[0]()
        made[1]()
    assert used == {"dev", "schnell"} and set(shelf.names) == {"dev", "schnell"}
    made[2]()
    assert used == {"dev", "schnell"}, "what comes after it is another's"
    assert set(shelf.names) == {"schnell", "lrm"}


def test_what_was_used_longest_ago_makes_room() -> None:
    made, loads = slots(10, a=4, b=4, c=4)
    for name in "abac":
        made[name]()
    assert [slot.loaded for slot in made.values()] == [True, False, True]
    made["b"]()
    assert loads == ["a", "b", "c", "b"]
    assert [slot.loaded for slot in made.values()] == [False, True, True]


def test_a_network_larger_than_the_shelf_stands_alone() -> None:
    made, _ = slots(10, a=4, big=40)
    made["a"]()
    made["big"]()
    assert [slot.loaded for slot in made.values()] == [False, True]


def test_room_is_made_before_the_next_one_is_loaded() -> None:
    shelf = Shelf(10)
    first = shelf.add("first", Network, lambda: 8)
    alive = weakref.ref(first())
    seen: list[object] = []
    shelf.add("second", lambda: seen.append(alive()) or Network(), lambda: 8)()
    assert seen == [None]


def test_clear_frees_everything() -> None:
    shelf = Shelf(10)
    slot = shelf.add("only", Network, lambda: 1)
    alive = weakref.ref(slot())
    shelf.clear()
    assert alive() is None
    assert not slot.loaded


def planned(limit: int, places: dict[str, Place]) -> tuple[Shelf, dict[str, Slot[Network]], list[str]]:
    shelf, loads = Shelf(limit), []

    def loader(name: str) -> Callable[[], Network]:
        def load() -> Network:
            loads.append(name)
            return Network()

        return load

    made = {name: shelf.add(name, loader(name), lambda place=place: place.nbytes) for name, place in places.items()}
    shelf.follow(places, limit)
    return shelf, made, loads


def test_what_the_plan_keeps_stays_and_is_not_released() -> None:
    places = {"a": Place("a", 4, keep=True), "b": Place("b", 4), "c": Place("c", 4)}
    _, made, _ = planned(10, places)
    for name in "abc":
        made[name]()
    assert [slot.loaded for slot in made.values()] == [True, False, True]
    made["a"].release()
    made["c"].release()
    assert [slot.loaded for slot in made.values()] == [True, False, False]


def test_room_is_made_for_the_work_too_also_of_what_is_loaded() -> None:
    places = {"a": Place("a", 4), "b": Place("b", 4, work=3), "c": Place("c", 1)}
    shelf, made, _ = planned(9, places)
    made["a"]()
    made["b"]()
    assert not made["a"].loaded
    made["c"]()
    made["b"]()
    assert made["c"].loaded, "1 + 4 + 3 fit"
    shelf.reserve(5)
    assert [slot.loaded for slot in made.values()] == [False, True, False]


def test_another_model_of_the_same_role_takes_the_place() -> None:
    """A model switch: what both presets use stays, and the first model goes though the plan keeps its role."""
    shelf = Shelf(30)
    schnell = shelf.add("schnell transformer", Network, lambda: 20, "transformer")
    dev = shelf.add("dev transformer", Network, lambda: 20, "transformer")
    lrm = shelf.add("lrm", Network, lambda: 5)
    shelf.follow({"transformer": Place("transformer", 20, keep=True), "lrm": Place("lrm", 5, keep=True)}, 30)
    schnell()
    lrm()
    dev()
    assert [slot.loaded for slot in (schnell, dev, lrm)] == [False, True, True]
    assert shelf.loaded == ("lrm", "transformer")


@pytest.mark.parametrize("size", [8.0, 12.0, 24.0])
def test_the_shelf_loads_what_the_plan_foresaw(size: float) -> None:
    """The calls of two jobs, one after the other, on a card of so many GiB."""
    there = machine(gpu=gpu(vram=size))
    fast = plan("image_to_3d", workload_of("image_to_3d", "fast"), there)
    shelf, made, loads = planned(fast.limit, dict(fast.places))
    for stages in (fast.cold, fast.warm):
        for stage, demand in zip(stages, fast.demands, strict=True):
            loads.clear()
            shelf.reserve(fast.work_without_networks(stage.stage))
            for phase in demand.phases:
                for name in phase.uses:
                    made[name]()
                for name in phase.done:
                    if name in made:
                        made[name].release()
            assert tuple(loads) == stage.loads
