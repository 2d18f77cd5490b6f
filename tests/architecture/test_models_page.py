"""docs/models.md against the catalogue: every entry with its source, its licence and its presets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.architecture.source_tree import ROOT

from kiss3d_backend.models.catalogue import Entry
from kiss3d_backend.models.catalogue_reader import read_catalogue

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = {
    found[1]: [cell.strip() for cell in found[0].split("|")[2:-1]]
    for found in re.finditer(r"^\| `(\w+)`.*\|$", PAGE, re.MULTILINE)
}
ALL = ("fast", "balanced", "quality")


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    return dict(read_catalogue(Path(tmp_path_factory.mktemp("empty"))).entries)


def test_every_entry_has_a_row_and_no_other(entries: dict[str, Entry]) -> None:
    assert list(ROWS) == list(entries)


def test_rows_say_what_the_catalogue_says(entries: dict[str, Entry]) -> None:
    for name, entry in entries.items():
        source, licence, presets, purpose = ROWS[name]
        assert source == f"[{entry.repository}]({entry.page})"
        assert licence == entry.licence + (", gated" if entry.gated else "")
        said = "all three" if entry.presets == ALL else ", ".join(entry.presets) or "on request"
        assert (presets, purpose) == (said, entry.purpose)
