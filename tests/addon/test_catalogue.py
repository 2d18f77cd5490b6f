"""The file with the catalogues of an asset library: Blender reads it, and people write into it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from blender_addon.importer.catalogue import CATALOGUES, ensure_catalogue

from kiss3d_protocol.errors import OutputUnwritable, ParamsInvalid

THEIRS = "12345678-1234-4234-8234-123456789abc"


def entries(folder: Path) -> list[list[str]]:
    """What Blender reads: lines after the version, without comments and empty ones."""
    lines = [line.strip() for line in (folder / CATALOGUES).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines[0] == "VERSION 1"
    return [line.split(":") for line in lines[1:]]


def test_new_file_has_the_catalogue_and_keeps_its_id(tmp_path: Path) -> None:
    id = ensure_catalogue(tmp_path, "Props/Chairs")
    assert entries(tmp_path) == [[id, "Props/Chairs", "Props-Chairs"]] and uuid.UUID(id).version == 4
    before = (tmp_path / CATALOGUES).read_bytes()
    assert ensure_catalogue(tmp_path, " Props / Chairs/ ") == id
    assert (tmp_path / CATALOGUES).read_bytes() == before and list(tmp_path.iterdir()) == [tmp_path / CATALOGUES]


def test_what_is_in_the_file_stays(tmp_path: Path) -> None:
    written = f"# Ours\n\nVERSION 1\n\n{THEIRS}:Props:Props"
    (tmp_path / CATALOGUES).write_text(written, encoding="utf-8")
    assert ensure_catalogue(tmp_path, "Props") == THEIRS
    id = ensure_catalogue(tmp_path, "Cadeiras de carvalho")
    assert (tmp_path / CATALOGUES).read_text(encoding="utf-8").startswith(written + "\n")
    assert entries(tmp_path)[1:] == [[id, "Cadeiras de carvalho", "Cadeiras de carvalho"]]


@pytest.mark.parametrize("path", ["", "/", "a:b", "a\\b", "a\nb"])
def test_what_blender_would_change_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ParamsInvalid, match="cannot be a catalogue"):
        ensure_catalogue(tmp_path, path)
    assert not list(tmp_path.iterdir())


def test_name_fits_into_blenders_field(tmp_path: Path) -> None:
    ensure_catalogue(tmp_path, "ä" * 60)
    ((_, path, name),) = entries(tmp_path)
    assert path == "ä" * 60 and len(name.encode()) <= 63


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable):
        ensure_catalogue(tmp_path / "missing", "Props")
    (tmp_path / CATALOGUES).write_bytes(b"\xff\xfe")
    with pytest.raises(OutputUnwritable):
        ensure_catalogue(tmp_path, "Props")
