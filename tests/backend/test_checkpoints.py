"""What stages made is kept, found again, and never believed when it is damaged."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tests.stages.context import Record

from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_backend.pipeline.checkpoints import FolderCheckpoints, checkpoint_key
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.report import Check
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.snapshot import SnapshotUnreadable, freeze, register, thaw
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Picture

MESH = Mesh(
    np.eye(3, dtype=np.float32),
    np.array([[0, 1, 2]], dtype=np.int32),
    colours=np.full((3, 4), 9, np.uint8),
    texture=Texture(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)),
)

arrays = npst.arrays(st.sampled_from([np.float32, np.int32, np.uint8, np.bool_]), npst.array_shapes(min_side=0))
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
values = st.recursive(plain | st.binary() | arrays, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if attrs.has(type(a)):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in attrs.fields(type(a)))
    return type(a) is type(b) and a == b


@given(values)
def test_a_value_comes_back_as_it_was_and_has_one_form(value: object) -> None:
    data = freeze(value)
    assert same(thaw(data), value)
    assert freeze(value) == data


def test_meshes_and_pictures_come_back() -> None:
    value = (MESH, Picture(np.zeros((2, 3, 4), np.uint8)), "words")
    assert same(thaw(freeze(value)), value)


def test_a_strided_array_comes_back() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-3]
    assert same(thaw(freeze(array)), array)


@pytest.mark.parametrize("value", [{"a": 1}, {1, 2}, object(), [1], threading.Event()])
def test_other_things_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        freeze(value)


def test_a_class_that_only_has_the_right_name_is_refused() -> None:
    @attrs.frozen
    class Mesh:
        path: str

    with pytest.raises(TypeError):
        freeze(Mesh("x"))
    with pytest.raises(ValueError, match="two classes"):
        register(Mesh)


@given(st.data())
def test_damaged_bytes_are_refused_or_harmless(data: st.DataObject) -> None:
    good = bytearray(freeze((MESH, "x")))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(good)))
    for damaged in (bytes(good), bytes(good[:cut])):
        try:
            thaw(damaged)
        except SnapshotUnreadable:
            continue


def test_keys_tell_everything_apart_that_shapes_a_result() -> None:
    keys = {
        checkpoint_key("stage", "settings", 1, MESH),
        checkpoint_key("other", "settings", 1, MESH),
        checkpoint_key("stage", "others", 1, MESH),
        checkpoint_key("stage", "settings", 2, MESH),
        checkpoint_key("stage", "settings", 1, attrs.evolve(MESH, positions=-MESH.positions)),
    }
    assert len(keys) == 5
    assert checkpoint_key("stage", "settings", 1, MESH) in keys


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    kept = FolderCheckpoints(tmp_path)
    kept.save("key", MESH)
    found = kept.load("key")
    assert found is not None
    assert same(found[0], MESH)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert kept.load("key") is None
    assert kept.load("nothing") is None


def test_the_folder_stays_within_its_limit_and_what_was_used_stays(tmp_path: Path) -> None:
    size = len(freeze(np.zeros(1000, np.uint8)))
    kept = FolderCheckpoints(tmp_path, limit=3 * size)
    for name in "abc":
        kept.save(name, np.zeros(1000, np.uint8))
        os.utime(tmp_path / f"{name}.safetensors", (ord(name), ord(name)))
    assert kept.load("a") is not None
    kept.save("d", np.zeros(1000, np.uint8))
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}


def test_a_folder_that_cannot_be_written_does_not_stop_the_job(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    kept = FolderCheckpoints(blocked)
    kept.save("key", MESH)
    assert kept.load("key") is None


class Count(Stage[int, int]):
    title = "Counting"
    weight = 1.0

    def __init__(self, name: str, kept: bool, warns: bool = False) -> None:
        self.name, self.kept, self.warns = name, kept, warns
        self.runs = 0

    def run(self, value: int, context: StageContext) -> int:
        self.runs += 1
        if self.warns:
            context.warn("some.code", "Something.", "")
            context.checked("bundle.iou", 0.5, least=0.9, bundle=1)
        return value + context.seed


class Counts(Recipe):
    name = "counts"

    def __init__(self, *stages: Count) -> None:
        self.stages = stages

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        value = len(inputs.picture)
        for stage in self.stages:
            value = run.stage(stage, value)
        return MESH


def test_a_second_run_makes_only_what_was_not_kept(tmp_path: Path) -> None:
    kept, passing, warns = Count("kept", True), Count("passing", False), Count("warns", True, warns=True)

    def go(picture: bytes, seed: int) -> list[bool]:
        recipe = Counts(kept, passing, warns)
        report = run_recipe(
            recipe, JobInputs(picture, seed), Record(), threading.Event(), FolderCheckpoints(tmp_path / "kept")
        )
        assert [warning.code for warning in report.warnings] == ["some.code"]
        assert report.stages[2].checks == (Check("bundle.iou", 0.5, 0.9, bundle=1),)
        return [stage.from_checkpoint for stage in report.stages]

    assert go(b"a", 3) == [False, False, False]
    assert go(b"a", 3) == [True, False, True]
    assert (kept.runs, passing.runs, warns.runs) == (1, 2, 1)
    assert go(b"a", 4) == [False, False, False]
    assert go(b"ab", 3) == [False, False, False]
