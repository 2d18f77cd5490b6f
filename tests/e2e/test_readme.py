"""The README's demo command on a fresh clone with a fresh HOME, just as it is written there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from tests.architecture.source_tree import ROOT, tracked_files

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_has_the_two_commands_for_every_system() -> None:
    for command in ("demo", "test"):
        assert re.search(rf"^python3 packaging/dev\.py {command}$", README, re.MULTILINE)
    assert re.search(r"Windows\W+write `py`", README)


def test_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


@pytest.mark.network
@pytest.mark.timeout(900)
def test_demo_on_a_fresh_clone(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    for path in tracked_files():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, clone / path)
    (line,) = re.findall(r"^(python3 packaging/dev\.py demo)$", README, re.MULTILINE)
    command = [sys._base_executable, *shlex.split(line)[1:]]  # pyright: ignore[reportAttributeAccessIssue]

    first = _run(command, clone, home)
    assert "Installing" in first
    mesh_file, picture_file = clone / "build" / "demo" / "demo.glb", clone / "build" / "demo" / "demo.png"
    assert str(mesh_file) in first and str(picture_file) in first
    _check_mesh(mesh_file)
    _check_picture(picture_file)

    mesh_file.unlink()
    assert "Installing" not in _run(command, clone, home), "the second run must not install again"
    assert mesh_file.is_file()


def _run(command: list[str], clone: Path, home: Path) -> str:
    env = os.environ | {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home / "local")}
    # Compiling every module of the packages ahead takes longer here than the few that are used do later.
    env["PIP_NO_COMPILE"] = "1"
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        env.pop(name, None)
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _check_mesh(path: Path) -> None:
    mesh = trimesh.load(path, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    uv = mesh.visual.uv
    assert uv is not None and len(uv) == len(mesh.vertices)
    texture = mesh.visual.material.baseColorTexture
    assert min(texture.size) >= 1024
    assert len(np.unique(np.asarray(texture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    by_position = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    by_position.merge_vertices(merge_tex=True, merge_norm=True)
    assert by_position.is_watertight
    assert by_position.body_count == 1
    assert by_position.volume > 0


def _check_picture(path: Path) -> None:
    with Image.open(path) as image:
        assert min(image.size) >= 256
        colours = image.convert("RGB").getcolors(image.width * image.height)
    assert colours is not None and len(colours) > 50, "an empty picture"
