"""The extension zips: what Blender's own tool and Blender itself say about them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.architecture.source_tree import ROOT
from tests.blender.rigs.bpy_env import BpyEnv
from tests.blender.rigs.window import WindowRig

BUILDER = ROOT / "packaging" / "build_extension.py"
PLATFORM_TAGS = {"linux-x64": "manylinux", "windows-x64": "win_amd64", "macos-arm64": "macosx", "macos-x64": "macosx"}


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All variants, by name."""
    output = tmp_path_factory.mktemp("zips")
    _build(output)
    return {path.stem.rpartition("-")[2]: path for path in output.glob("*.zip")}


def _build(output: Path) -> None:
    command = [sys.executable, str(BUILDER), "--output", str(output), "--variant", "all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _manifest(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return tomllib.loads(archive.read("blender_manifest.toml").decode())


def test_every_wheel_is_listed_and_for_one_python(zips: dict[str, Path]) -> None:
    assert zips.keys() == {"py311", "py313", "py314"}
    for variant, path in zips.items():
        with zipfile.ZipFile(path) as archive:
            wheels = {name for name in archive.namelist() if name.endswith(".whl")}
            assert {"LICENSE", "__init__.py"} <= set(archive.namelist())
            assert not [name for name in archive.namelist() if "__pycache__" in name]
        manifest = _manifest(path)
        assert {f"./{name}" for name in wheels} == set(manifest["wheels"])
        pythons = {name.split("-")[-3] for name in wheels} - {"py3"}
        assert pythons <= {"cp" + variant[2:], "cp312"}, "the stable ABI's wheel has the tag of its oldest Python"
        for platform in manifest["platforms"]:
            for package in ("msgpack", "pyzmq"):
                assert any(package in name and PLATFORM_TAGS[platform] in name for name in wheels), (package, platform)


def test_building_again_gives_the_same_bytes(zips: dict[str, Path], tmp_path: Path) -> None:
    _build(tmp_path)
    for path in zips.values():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_blenders_own_tool_finds_nothing_wrong(bpy_env: BpyEnv, zips: dict[str, Path]) -> None:
    for path in zips.values():
        done = subprocess.run(
            [bpy_env.python, bpy_env.extension_tool, "validate", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_blender_takes_its_zip_and_the_wheels_in_it(bpy_env: BpyEnv, zips: dict[str, Path]) -> None:
    run = bpy_env.run(
        """
import sys, kiss3d_inside as inside
with inside.installed(sys.argv[1]):
    inside.assert_bundled("zmq", "msgpack", "attrs", "cattrs", "kiss3d_protocol")
    import zmq
    context = zmq.Context()
    inside.report(zmq=zmq.__version__)
    context.term()
""",
        zips["py311"],
    ).check()
    assert f"pyzmq-{run.report['zmq']}" in " ".join(_manifest(zips["py311"])["wheels"])


def test_blender_refuses_the_zip_of_another_python(bpy_env: BpyEnv, zips: dict[str, Path]) -> None:
    script = """
import sys, kiss3d_inside as inside
try:
    inside.install(sys.argv[1])
except (AssertionError, RuntimeError) as refused:
    inside.report(refused=str(refused))
"""
    run = bpy_env.run(script, zips["py313"]).check()
    assert run.report.get("refused"), run.stdout


def test_newest_blender_takes_its_zip(window_rig: WindowRig, zips: dict[str, Path], tmp_path: Path) -> None:
    """Blender 5.2 has an attrs and a cattrs of its own: its own code and ours must both work with what is found."""
    with window_rig.open("", zip=zips["py314"], screenshots=tmp_path) as window:
        window.execute("inside.assert_bundled('zmq', 'msgpack', 'kiss3d_protocol')")
        window.execute("import kiss3d_protocol.messages, bl_pkg")
        print(window.evaluate("{name: __import__(name).__file__ for name in ('attrs', 'cattrs')}"))
        window.execute("bpy.ops.extensions.repo_refresh_all()")
        assert "Traceback" not in window.output
        assert window.quit() == 0
