"""Blender as a Python module (the ``bpy`` wheels), one environment for each version.

The wheels need Python 3.11. Blender 5.1 and later have none: for those there is the window rig.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.blender.rigs.cache import RigUnavailable, cache_folder, ensure
from tests.blender.rigs.processes import Completed, run_to_end
from tests.blender.rigs.reports import read_report

DEFAULT_VERSIONS = ("4.2.23", "4.5.15", "5.0.1")
INSIDE = Path(__file__).parent / "inside"
PACKAGES = ("numpy==1.26.4",)
"""The 4.2 and 4.5 wheels need numpy 1; 5.0 takes it as well."""

_KEPT_VARIABLES = (
    *("PATH", "LANG", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS"),
    # The tests' own, where the keys of their scripted backends lie.
    "KISS3D_CONFIG_DIR",
)


def bpy_versions() -> tuple[str, ...]:
    """The versions to test: ``$KISS3D_BLENDERS`` (comma separated), or the newest of each supported series."""
    chosen = os.environ.get("KISS3D_BLENDERS", "")
    return tuple(part.strip() for part in chosen.split(",") if part.strip()) or DEFAULT_VERSIONS


class BpyRun(Completed):
    """The finished run of a script; ``report`` has what it handed to ``kiss3d_inside.report``."""

    report: dict[str, Any]

    def check(self) -> BpyRun:
        """Return self, or fail with everything the script printed when its exit code is not 0."""
        assert self.returncode == 0, f"exit code {self.returncode}\n{self.stdout}\n--- stderr\n{self.stderr}"
        return self


@dataclass(frozen=True)
class BpyEnv:
    """One ``bpy`` version that is ready to run scripts."""

    version: str
    python: Path
    scratch: Path = field(repr=False)

    @property
    def series(self) -> tuple[int, int]:
        """For example ``(4, 5)``."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def extension_tool(self) -> Path:
        """Blender's own ``blender_ext.py``, a plain Python script (``validate``, ``build``)."""
        found = sorted(self.python.parent.parent.rglob("bl_pkg/cli/blender_ext.py"))
        assert found, f"no blender_ext.py in the environment of bpy {self.version}"
        return found[0]

    def new_home(self) -> Path:
        """An empty folder to give to several runs, so that a later one finds what an earlier one installed."""
        return Path(tempfile.mkdtemp(prefix=f"home-{self.version}-", dir=self.scratch))

    def run(
        self,
        script: Path | str,
        *args: str | os.PathLike[str],
        timeout: float = 120.0,
        env: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> BpyRun:
        """Run a script (a path, or the source itself) in this Blender and wait for its end.

        It starts with an own HOME, empty Blender resources and none of the caller's environment; pass ``home``
        to keep them between runs. The script can ``import kiss3d_inside``; ``args`` are its ``sys.argv[1:]``.
        Raises :class:`~tests.blender.rigs.processes.TimedOut` after ``timeout`` seconds.
        """
        own_home = home is None
        home = self.new_home() if home is None else home
        try:
            if isinstance(script, str):
                source, script = script, home / "script.py"
                script.write_text(source, encoding="utf-8")
            completed = run_to_end(
                [self.python, "-X", "faulthandler", script, *args],
                timeout=timeout,
                env=isolated_environment(home) | dict(env or {}),
                cwd=home,
            )
        finally:
            if own_home:
                shutil.rmtree(home, ignore_errors=True)
        completed.__class__ = BpyRun
        assert isinstance(completed, BpyRun)
        completed.report = read_report(completed.stdout)
        return completed


def isolated_environment(home: Path) -> dict[str, str]:
    """Environment variables that keep a process inside ``home``: settings, caches, data, temporary files."""
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home / "appdata",
        "LOCALAPPDATA": home / "localappdata",
        "BLENDER_USER_RESOURCES": home / "blender",
        "TMPDIR": home / "tmp",
        "TEMP": home / "tmp",
        "TMP": home / "tmp",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {name: str(folder) for name, folder in folders.items()} | {"PYTHONPATH": str(INSIDE)}


def ensure_bpy_env(version: str, scratch: Path) -> BpyEnv:
    """Install ``bpy`` of this version into its own cached environment, once.

    ``scratch`` is where runs get their temporary homes. Raises :class:`RigUnavailable`.
    """
    python = _python_311()
    recipe = f"bpy=={version} {' '.join(PACKAGES)} {python}"

    def build(folder: Path) -> None:
        _install(python, folder, f"bpy=={version}", *PACKAGES)

    folder = ensure(cache_folder() / f"bpy-{version}", recipe, build)
    return BpyEnv(version, _venv_python(folder), scratch)


def _install(python: Path, folder: Path, *requirements: str) -> None:
    # The pip of the running environment installs: this is quicker than one pip for each environment.
    _must([str(python), "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(_venv_python(folder)), "install"]
    _must([*pip, "--quiet", "--no-cache-dir", "--no-compile", "--only-binary=:all:", "--no-input", *requirements])
    _must([str(_venv_python(folder)), "-c", "import bpy; print(bpy.app.version_string)"])


def _must(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as slow:
        raise RigUnavailable(f"'{' '.join(command)}' did not end within 900 s") from slow
    except subprocess.CalledProcessError as failed:
        lines = (failed.stderr or failed.stdout or "").strip().splitlines() or ["no output"]
        raise RigUnavailable(f"{lines[-1]} (from {' '.join(command)})") from failed


def _venv_python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _python_311() -> Path:
    """A Python 3.11: the one that runs, or one that this machine has elsewhere."""
    probe = "import sys; print(sys.version_info[:2] == (3, 11), sys._base_executable)"
    candidates = [[sys.executable], ["python3.11"], ["python3"]]
    if sys.platform == "win32":
        candidates.insert(1, ["py", "-3.11"])
    for candidate in candidates:
        try:
            answer = subprocess.run([*candidate, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        right, _, path = answer.stdout.strip().partition(" ")
        if right == "True":
            return Path(path)
    raise RigUnavailable("the bpy wheels need Python 3.11, and none was found on this machine")
