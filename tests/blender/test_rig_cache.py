"""Set-ups that are interrupted are done again, whole ones are kept, and impossible ones say why."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from tests.blender.rigs import cache
from tests.blender.rigs.bpy_env import ensure_bpy_env
from tests.blender.rigs.cache import RigUnavailable, ensure
from tests.blender.rigs.debian import ensure_debian


def test_whole_set_up_is_kept_until_its_recipe_changes(tmp_path: Path) -> None:
    built: list[str] = []
    for recipe in ("one", "one", "two", "two"):
        ensure(tmp_path / "rig", recipe, lambda folder, recipe=recipe: built.append(recipe))
    assert built == ["one", "two"]


def test_interrupted_set_up_is_done_again_from_nothing(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(tmp_path / "rig", "one", interrupted)
    assert (tmp_path / "rig" / "half").exists()
    rig = ensure(tmp_path / "rig", "one", lambda folder: (folder / "whole").touch())
    assert not (rig / "half").exists()
    assert (rig / "whole").exists()


def test_only_one_builds(tmp_path: Path) -> None:
    building = threading.Event()
    built: list[int] = []

    def slowly(folder: Path) -> None:
        assert not building.is_set()
        building.set()
        threading.Event().wait(0.2)
        built.append(1)
        building.clear()

    threads = [threading.Thread(target=ensure, args=(tmp_path / "rig", "one", slowly)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are looked up in /proc")
def test_folder_with_a_mount_in_it_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RigUnavailable, match="/proc is still mounted"):
        monkeypatch.setattr(cache.shutil, "rmtree", lambda folder: pytest.fail("deleted"))
        cache.remove(Path("/proc"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system is the reason")
def test_window_without_root_is_unavailable_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RigUnavailable, match="needs root"):
        ensure_debian()


@pytest.mark.network
def test_blender_that_does_not_exist_is_unavailable_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KISS3D_TEST_CACHE", str(tmp_path))
    with pytest.raises(RigUnavailable, match=r"bpy==0\.0\.1"):
        ensure_bpy_env("0.0.1", tmp_path)
