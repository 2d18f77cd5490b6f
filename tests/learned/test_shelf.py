"""The shelf loads late, keeps what fits, and lets go of what was used longest ago."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

pytest.importorskip("torch")

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
