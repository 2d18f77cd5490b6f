"""Results on a grid: nothing overlaps, whatever sizes they have."""

from __future__ import annotations

import itertools

from blender_addon.importer.grid import grid
from hypothesis import given
from hypothesis import strategies as st

EXTENT = st.tuples(st.floats(0.01, 100), st.floats(0.01, 100))


def test_first_row_is_in_front_and_goes_to_the_right() -> None:
    assert grid([(1, 1)] * 5, 1.0) == [(0, 0), (2, 0), (4, 0), (0, 2), (2, 2)]
    assert grid([(1, 1)] * 3, 0.5, columns=1) == [(0, 0), (0, 1.5), (0, 3)]
    assert grid([(1, 1)] * 2, 1.0, columns=10, left=7) == [(7.5, 0), (9.5, 0)]
    assert grid([], 1.0) == []


def test_a_column_is_as_wide_as_its_widest_and_a_row_as_deep_as_its_deepest() -> None:
    assert grid([(4, 1), (1, 3), (2, 1), (2, 1)], 1.0, columns=2) == [(0, 0), (4, 0), (0, 3), (4, 3)]


@given(st.lists(EXTENT, max_size=20), st.integers(1, 6) | st.none(), st.floats(-10, 10) | st.none())
def test_nothing_overlaps(extents: list[tuple[float, float]], columns: int | None, left: float | None) -> None:
    gap = 0.25
    placed = list(zip(grid(extents, gap, columns, left), extents, strict=True))
    for ((x, y), (width, depth)), ((u, v), (other_width, other_depth)) in itertools.combinations(placed, 2):
        apart = max(abs(x - u) - (width + other_width) / 2, abs(y - v) - (depth + other_depth) / 2)
        assert apart >= gap - 1e-6
    if left is not None:
        assert all(x - width / 2 >= left - 1e-6 for (x, _), (width, _) in placed)
