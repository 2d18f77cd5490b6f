"""How many cores there are to use."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiss3d_backend.mesh.raster.threads import usable_cores


@pytest.mark.parametrize(
    ("quota", "most"),
    [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("max 100000", None), ("?", None)],
)
def test_a_container_may_have_fewer(tmp_path: Path, quota: str, most: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n", encoding="ascii")
    everywhere = usable_cores(tmp_path / "missing")
    assert everywhere >= 1
    assert usable_cores(file) == (everywhere if most is None else min(everywhere, most))
