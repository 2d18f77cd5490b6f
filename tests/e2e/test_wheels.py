"""Everything installs from wheels alone: on Windows, Linux and macOS, with Python 3.11 to 3.13, with the extras.

uv resolves the oldest and the newest Python of each platform, pip itself Windows with Python 3.12; about a minute. Both
read the metadata that a registry serves beside its wheels, so no wheel is downloaded. Left out: Python 3.12 elsewhere,
Intel Macs, for which there is no torch any more, and Linux on ARM. On macOS the release is 14, the oldest that
onnxruntime has wheels for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
PLATFORMS = ("x86_64-pc-windows-msvc", "x86_64-manylinux_2_28", "aarch64-apple-darwin")
PYTHONS = ("3.11", "3.13")

pytestmark = pytest.mark.network

# pip chooses wheels by --platform, but reads "sys_platform" and its kin off the interpreter that it runs in.
PIP_FOR_WINDOWS = """
import sys
from pip._vendor.packaging import markers
here = markers.default_environment()
here |= {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64"}
here |= {"python_version": "3.12", "python_full_version": "3.12.0"}
markers.default_environment = lambda: dict(here)
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]


def resolved(platform: str, python: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    command = [sys.executable, "-m", "uv", "pip", "compile", ROOT / "pyproject.toml", "--all-extras"]
    command += ["-c", CONSTRAINTS, "--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet"]
    command += ["--python-platform", platform, "--python-version", python]
    environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=240, check=False, env=environment
    )
    return f"{platform}, Python {python}", result


def test_every_platform_has_wheels() -> None:
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(resolved, platform, python) for platform in PLATFORMS for python in PYTHONS]
        results = [job.result() for job in jobs]
    failed = {name: result.stderr[-600:] for name, result in results if result.returncode}
    assert not failed
    for name, result in results:
        pins = set(result.stdout.split())
        names = {pin.partition("==")[0] for pin in pins}
        assert {"torch", "numba", "xatlas"} <= names, name
        assert ("warp-lang" in names) == ("apple" not in name), name
        assert "pytorch3d" not in names, name


def test_a_release_without_wheels_is_noticed(tmp_path: Path) -> None:
    """The check can fail: pytorch3d has a source distribution only."""
    asked = tmp_path / "asked.in"
    asked.write_text("pytorch3d\n", encoding="utf-8")
    command = [sys.executable, "-m", "uv", "pip", "compile", str(asked), "--only-binary", ":all:", "--quiet"]
    command += ["--python-platform", PLATFORMS[0], "--python-version", "3.12"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode != 0
    assert "pytorch3d" in result.stderr


def test_pip_agrees_for_windows(tmp_path: Path) -> None:
    asked, report = tmp_path / "asked.txt", tmp_path / "report.json"
    asked.write_text("\n".join(requirements()), encoding="utf-8")
    command = [sys.executable, "-c", PIP_FOR_WINDOWS, "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--only-binary=:all:", "--platform", "win_amd64", "--implementation", "cp", "--python-version", "3.12"]
    command += [
        "--target",
        str(tmp_path / "nothing"),
        "--report",
        str(report),
        "-c",
        str(CONSTRAINTS),
        "-r",
        str(asked),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr[-600:]
    chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    names = {each["metadata"]["name"].lower() for each in chosen}
    assert {"torch", "numba", "warp-lang", "xatlas"} <= names
    assert not any(name.startswith("nvidia-cu") for name in names)
    assert all(each["download_info"]["url"].endswith(".whl") for each in chosen)
