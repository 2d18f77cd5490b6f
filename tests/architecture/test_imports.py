"""Who imports whom: the contracts in pyproject.toml, and what really ends up in a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.source_tree import ROOT

LIGHT = (
    "kiss3d_backend.broker",
    "kiss3d_backend.cli",
    "kiss3d_backend.clients",
    "kiss3d_backend.devices",
    "kiss3d_backend.executor",
    "kiss3d_backend.jobs",
    "kiss3d_backend.models",
    "kiss3d_backend.worker.supervisor",
)
"""What the broker's process may import: all modules below these."""

HEAVY = ("torch", "numba", "warp", "cv2", "scipy", "skimage")

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys

imported = []
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    imported.append(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        importlib.import_module(found.name)
        imported.append(found.name)
files = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]
print(json.dumps({"imported": imported, "modules": files}))
"""


def _modules_after_importing(*names: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports.exe" if sys.platform == "win32" else "lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_broker_process_is_free_of_heavy_libraries() -> None:
    after = _modules_after_importing(*LIGHT)
    assert "kiss3d_backend.broker.server" in after["imported"]
    assert [name for name in after["modules"] if name.split(".")[0] in HEAVY] == []


def test_the_check_would_see_a_heavy_library() -> None:
    assert "scipy" in _modules_after_importing("kiss3d_backend.mesh.relax")["modules"]


def test_protocol_needs_only_its_libraries() -> None:
    """The add-on bundles these four and nothing else, so a fifth would be missing inside Blender."""
    before = set(_modules_after_importing("json")["modules"])
    after = _modules_after_importing("kiss3d_protocol")
    outside = {name.split(".")[0] for name in set(after["modules"]) - before} - set(sys.stdlib_module_names)
    allowed = {"kiss3d_protocol", "attr", "attrs", "cattr", "cattrs", "msgpack", "typing_extensions", "zmq"}
    assert outside - allowed == set()
