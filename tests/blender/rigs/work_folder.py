"""What a Blender in the Debian folder shares with its test: a folder, and the environment that keeps it in there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.blender.rigs.bpy_env import INSIDE
from tests.blender.rigs.debian import SYSTEM_PATH

from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE, backend_keys, config_dir

SHARED = "/kiss3d"
"""Where the folder appears inside."""

ENVIRONMENT = {
    "PATH": SYSTEM_PATH,
    "HOME": f"{SHARED}/home",
    "BLENDER_USER_RESOURCES": f"{SHARED}/resources",
    CONFIG_DIR_VARIABLE: f"{SHARED}/config",
    "LC_ALL": "C.UTF-8",
}


def new_work_folder() -> Path:
    """With an empty home, empty Blender resources, the module kiss3d_inside, and the tests' own keys."""
    work = Path(tempfile.mkdtemp(prefix="kiss3d-blender-"))
    for name in ("home", "resources"):
        (work / name).mkdir()
    shutil.copytree(INSIDE, work / "inside")
    # The keys of the tests' scripted backends.
    backend_keys()
    shutil.copytree(config_dir(), work / "config")
    return work
