"""A backend is set up into an empty folder with this machine's registries and torch, interrupted twice, and then used.

What is installed is what people get on a machine without a card, less the networks' libraries (``--extras metrics``),
which tests/e2e/test_wheels.py resolves for every platform: unpacking them takes as long as all the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import trimesh
from tests.architecture.source_tree import ROOT
from tests.packaging.dockerfile import copied_from_the_checkout, read_dockerfile

from kiss3d_backend import __version__ as VERSION
from kiss3d_protocol.errors import SetupCancelled
from kiss3d_protocol.installation import read_installation
from kiss3d_setup.process import clean_environment

PICTURE = ROOT / "docs" / "images" / "demo-picture.png"
PYTHON = os.path.realpath(sys.executable)
SECONDS = 420.0

pytestmark = [pytest.mark.network, pytest.mark.timeout(1500)]


@dataclass
class Run:
    """A set-up that runs, and what it has said."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
        self.process.stdout.close()

    def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition(self.events):
            assert time.monotonic() < deadline and self.process.poll() is None, self.events[-3:]
            time.sleep(0.02)

    def family(self) -> list[psutil.Process]:
        here = psutil.Process(self.process.pid)
        return [here, *here.children(recursive=True)]

    def end(self) -> int:
        code = self.process.wait(SECONDS)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.thread.join(10)
        return code

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.follow)
        self.thread.start()


def start(setup: Path, folder: Path, home: Path) -> Run:
    command = [PYTHON, str(setup), "install", "--json", "--until-stdin-closes", "--into", str(folder)]
    command += ["--tool", "venv", "--python", PYTHON, "--torch", "cpu", "--extras", "metrics"]
    # Compiling every module of torch ahead takes longer here than the few that are used do later.
    environment = environment_for(home) | {"PIP_NO_COMPILE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return Run(subprocess.Popen(command, env=environment, **pipes))  # pyright: ignore[reportArgumentType, reportCallIssue]


def environment_for(home: Path) -> dict[str, str]:
    # Without the paths by which the tests find the project: only what was set up is to be used.
    return {
        **clean_environment(os.environ),
        "KISS3D_DATA_DIR": str(home / "data"),
        "KISS3D_CONFIG_DIR": str(home / "config"),
    }


def steps_of(run: Run) -> list[str]:
    return next(event["steps"] for event in run.events if event["event"] == "plan")


def unpacking(step: str) -> Callable[[list[dict[str, Any]]], bool]:
    """Whether all of a step has been collected, and pip writes it into the environment."""

    def reached(events: list[dict[str, Any]]) -> bool:
        told = [event for event in events if event["event"] == "progress" and event["step"] == step]
        return len(told) > 2 and told[-1]["text"] == ""

    return reached


def newer_clone(folder: Path, version: str) -> Path:
    """What packaging/Dockerfile copies of a checkout, with another version."""
    for name in copied_from_the_checkout(read_dockerfile()[0]):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for path in (folder / "pyproject.toml", folder / "backend" / "kiss3d_backend" / "__init__.py"):
        text = path.read_text(encoding="utf-8")
        assert f'version = "{VERSION}"' in text or f'__version__ = "{VERSION}"' in text
        path.write_text(text.replace(f'"{VERSION}"', f'"{version}"'), encoding="utf-8")
    return folder


def test_set_up_interrupted_resumed_used_and_removed(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, str(ROOT / "packaging" / "build_setup.py"), "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    setup, folder = tmp_path / "kiss3d_setup.pyz", tmp_path / "a folder" / "kiss3d"

    # As a power cut does, in the middle of writing torch.
    first = start(setup, folder, tmp_path)
    first.until(unpacking("torch"))
    for process in first.family():
        process.kill()
    assert first.end() != 0
    left = read_installation(folder)
    assert left is not None and list(left.steps) == ["environment"] and not left.usable

    # As a click on Cancel, or the end of Blender, does.
    second = start(setup, folder, tmp_path)
    second.until(lambda events: any(event.get("step") == "packages" for event in events))
    assert steps_of(second) == ["torch", "packages", "check"]
    family = second.family()
    assert second.process.stdin is not None
    second.process.stdin.close()
    assert second.end() == SetupCancelled.exit_code
    assert second.events[-1]["code"] == "setup.cancelled"
    assert psutil.wait_procs(family, timeout=20)[1] == [], "what it had started has ended with it"

    third = start(setup, folder, tmp_path)
    assert third.end() == 0, third.events[-2:]
    assert steps_of(third) == ["packages", "check"]
    fractions = [event["fraction"] for event in third.events if event["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] >= 0.9
    done = third.events[-1]
    findings = {finding["subject"]: finding["text"] for finding in done["findings"]}
    assert findings["Torch"].startswith("2.13.0+cpu") and findings["Preset draft"] == "Can run here."
    made = read_installation(folder)
    assert made is not None and made.usable and str(made.python) == done["python"]

    mesh = tmp_path / "object.glb"
    generate = [str(made.python), "-m", "kiss3d_backend", "generate", str(PICTURE), "-o", str(mesh), "--json"]
    made_of = subprocess.run(generate, env=environment_for(tmp_path), capture_output=True, text=True, check=False)
    assert made_of.returncode == 0, made_of.stderr
    job = json.loads(made_of.stdout)["job"]
    assert len(trimesh.load_mesh(mesh).faces) > 1000

    # A newer one over it, as from a newer clone; of the files that the image for containers is made of. Its check takes
    # longest, as it compiles the rasterisers anew, and was seen above.
    clone = newer_clone(tmp_path / "clone", "0.1.99")
    newer = start(clone / "packaging" / "setup_backend.py", folder, tmp_path)
    newer.until(lambda events: any(event.get("step") == "check" for event in events))
    newer.process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
    assert newer.end() == SetupCancelled.exit_code
    assert steps_of(newer) == ["packages", "check"]
    asked = [str(made.python), "-m", "kiss3d_backend", "--version"]
    told = subprocess.run(asked, env=environment_for(tmp_path), capture_output=True, text=True, check=True)
    assert "0.1.99" in told.stdout
    assert (tmp_path / "data" / "jobs" / job).is_dir(), "an upgrade keeps the jobs"

    removed = subprocess.run(
        [PYTHON, str(setup), "remove", "--into", str(folder)], capture_output=True, text=True, check=False
    )
    assert removed.returncode == 0, removed.stderr
    assert not folder.exists() and (tmp_path / "data").is_dir(), "the data stay"
