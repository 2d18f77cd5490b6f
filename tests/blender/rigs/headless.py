"""Blender 5.2 without a window, as people start it at a terminal: ``blender --command``, ``blender -b --python``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.blender.rigs.debian import ensure_debian, enter
from tests.blender.rigs.processes import Completed, run_to_end
from tests.blender.rigs.work_folder import ENVIRONMENT, SHARED, new_work_folder

INSTALL = f"""
import bpy, sys
sys.path.insert(0, "{SHARED}/inside")
import kiss3d_inside as inside
inside.install(sys.argv[sys.argv.index("--") + 1])
bpy.ops.wm.save_userpref()
"""


@dataclass(frozen=True)
class HeadlessRig:
    """A Debian folder with a Blender."""

    folder: Path

    @contextmanager
    def installed(self, zip: Path, setup: str = "") -> Iterator[Headless]:
        """A Blender whose preferences have the extension, after the statements of ``setup`` have run in it once."""
        headless = Headless(self.folder, new_work_folder())
        try:
            shutil.copy(zip, headless.work / zip.name)
            (headless.work / "install.py").write_text(f"{INSTALL}{setup}\nbpy.ops.wm.save_userpref()\n", "utf-8")
            line = ["blender", "-b", "--python-exit-code", "3", "--python", f"{SHARED}/install.py"]
            done = headless.run([*line, "--", f"{SHARED}/{zip.name}"])
            assert done.returncode == 0, done.stdout + done.stderr
            yield headless
        finally:
            shutil.rmtree(headless.work, ignore_errors=True)


@dataclass(frozen=True)
class Headless:
    """``work``: the folder that is ``/kiss3d`` inside; commands run in its folder ``home``."""

    debian: Path
    work: Path

    @property
    def home(self) -> Path:
        return self.work / "home"

    def run(self, command: list[str], timeout: float = 120.0) -> Completed:
        """Run a command line in ``home`` to its end. Raises TimedOut."""
        inside = ["env", f"--chdir={SHARED}/home", *command]
        return run_to_end(
            enter(self.debian, inside, {self.work: SHARED}), timeout=timeout, env=ENVIRONMENT, cwd=self.work
        )


def ensure_headless_rig() -> HeadlessRig:
    """Set the rig up, once. Raises :class:`~tests.blender.rigs.cache.RigUnavailable`."""
    return HeadlessRig(ensure_debian())
