"""What both kinds of batch read and write: rows of folders and tables, and the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from kiss3d_protocol.batch.manifest import Entry, Manifest
from kiss3d_protocol.batch.rows import read_rows
from kiss3d_protocol.errors import BatchInvalid
from kiss3d_protocol.params import GenerateParams

ENTRY = Entry(name="chair", digest="0", state="submitted", job="1")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rows.csv", "picture,colour\na.png,red\n", "colour"),
        ("rows.csv", "picture,name\na.png,../../escaped\n", "escaped"),
        ("rows.csv", "picture,name\na.png,x\nb.png,X\n", "more than one"),
        ("rows.csv", "picture,seed\na.png,-1\n", "Line 2"),
        ("rows.csv", "prompt\na chair\n", "needs a name"),
        ("rows.jsonl", '{"picture": "a.png"}\n[1]\n', "Line 2"),
        ("rows.jsonl", '{"picture": ["a.png"]}\n', "picture must be a text"),
        ("rows.jsonl", "\n", "no rows"),
        ("rows.txt", "a.png\n", "neither"),
    ],
)
def test_a_wrong_table_is_told_before_anything_is_made(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BatchInvalid, match=said):
        read_rows(tmp_path / name, GenerateParams(), recursive=False)


def test_pictures_of_a_folder_are_named_by_their_paths(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "a.jpg", "more/c.webp", ".hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = [row.name for row in read_rows(tmp_path, GenerateParams(), recursive=False)]
    assert names == ["a-jpg", "a-png", "b"]
    assert [row.name for row in read_rows(tmp_path, GenerateParams(), recursive=True)][-1] == "more/c"


def test_a_row_is_the_same_while_its_picture_and_its_settings_are(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    (row,) = read_rows(tmp_path, GenerateParams(), recursive=False)
    (tmp_path / "b.png").write_bytes(b"picture")
    assert evolve(row, picture=tmp_path / "b.png").digest() == row.digest()
    assert evolve(row, params=GenerateParams(seed=1)).digest() != row.digest()
    (tmp_path / "b.png").write_bytes(b"another")
    assert evolve(row, picture=tmp_path / "b.png").digest() != row.digest()


def test_the_last_line_of_a_name_counts_and_half_a_line_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with Manifest(path) as manifest:
        manifest.write(ENTRY)
        manifest.write(evolve(ENTRY, state="finished", output="chair.glb"))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"name": "lam')
    with Manifest(path) as manifest:
        assert {name: entry.state for name, entry in manifest.entries.items()} == {"chair": "finished"}
        manifest.write(evolve(ENTRY, name="lamp"))
    with Manifest(path) as manifest:
        assert list(manifest.entries) == ["chair", "lamp"]


def test_two_batches_do_not_write_to_one_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with Manifest(path) as manifest:
        with pytest.raises(BatchInvalid, match="Another batch"):
            Manifest(path)
        manifest.write(ENTRY)
    with Manifest(path) as manifest:
        assert list(manifest.entries) == ["chair"]


def test_what_is_no_manifest_is_left_as_it_is_and_not_held(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"a": 1}\n', encoding="utf-8")
    for _ in range(2):
        with pytest.raises(BatchInvalid, match="Line 1"):
            Manifest(path)
    assert path.read_text(encoding="utf-8") == '{"a": 1}\n'
