"""Every command of README.md and docs/, run as it is printed, on a machine with tiny models and short recipes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trimesh
import typer.main
from attrs import define, field
from PIL import Image
from tests.architecture.source_tree import ROOT
from tests.fakes.backend_process import REPOSITORY, BackendProcess
from tests.fakes.doc_blocks import PAGES, blocks_of, code_in_lines
from tests.fakes.hub import Hub
from tests.fakes.tiny.models import write_all

from kiss3d_backend.cli import app
from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE

pytest.importorskip("torch", reason="the tiny models need torch")

RECIPES = "tests.fakes.short_recipes:RECIPES"
ELSEWHERE = {
    "python3 packaging/dev.py": "tests/e2e/test_readme.py, and the run that this test is part of",
    "sudo useradd": "changes the machine's users",
    "sudo python3 packaging/setup_backend.py": "writes to /opt; tests/e2e/test_set_up.py does the same elsewhere",
    "python3 packaging/setup_backend.py": "tests/e2e/test_set_up.py",
    "python3 build/setup/kiss3d_setup.pyz": "tests/e2e/test_set_up.py",
    ".venv/bin/python packaging/build_setup.py": "tests/e2e/test_set_up.py",
    "py packaging": "Windows",
    "docker": "no Docker here; tests/packaging/test_dockerfile.py reads the image's file",
    "python3 -m pip download": "downloads all that is installed once more",
    "PIP_NO_INDEX": "needs the downloads of the line before it",
    "sudo cp packaging/systemd": "needs systemd; tests/e2e/test_operations.py reads the unit",
    "sudo systemctl": "needs systemd",
    "nssm": "Windows",
    "pip install 'kiss3d[gpu,ray]'": "no registry has kiss3d yet; the test extra has ray",
    "ray start": "tests/e2e/test_ray.py starts a cluster; tests/backend/test_over_ray.py knows the options",
    "kiss3d serve --executor ray": "tests/e2e/test_ray.py, which has the cluster for it",
    "jq": "a program of its own",
    "blender --": "tests/blender/test_scripting_page.py",
}
"""What cannot be run here, by how it begins, and why."""
SHELLS = ("", "sh", "bash", "console")
AS_ITS_USER = "sudo -u kiss3d -H /opt/kiss3d/env/bin/"
PATIENCE = 400
"""Seconds that a command may take: a whole reconstruction is among them, and other tests run beside it."""
REMARK = re.compile(r"\s{2,}\(.*\)$")


@define
class Desk:
    """A backend that has been paired as gpu-box, and for each page a folder with the files that it speaks of.

    ``jobs``: one that is done, of this user, and one of the client of gpu-box.
    """

    home: Path
    environment: dict[str, str]
    backend: BackendProcess
    folder: Path
    jobs: dict[str, str] = field(factory=dict[str, str])
    pairing: str = field(default="", repr=False)

    def begin(self, page: str) -> None:
        """Each page stands for itself."""
        self.folder = self.home / page
        write_files(self.folder, self.home / "hub")

    def prepared(self, line: str) -> list[str]:
        """The command as it can be run here: this backend's address, and one of its jobs."""
        line = REMARK.sub("", line).removeprefix(AS_ITS_USER)
        address = self.backend.address
        for printed, here in {
            "tcp://127.0.0.1:47800": address,
            "gpu-box:47800": address.removeprefix("tcp://"),
            "tcp://0.0.0.0:47800": "tcp://127.0.0.1:0",
        }.items():
            line = line.replace(printed, here)
        line = re.sub(r"\b(ID|3f2a91c0)\b", self.jobs.get("gpu-box" if "gpu-box" in line else "", ""), line)
        line = re.sub(r"\banna\b", f"anna-{self.folder.stem.lower()}", line)
        arguments = shlex.split(line)[1:]
        # The page speaks of a backend at the address that needs no saying.
        return [*arguments, "--connect", address] if arguments[0] == "status" and "gpu-box" not in line else arguments

    def run(self, line: str) -> str:
        """Fails unless the command ends well. Returns what it printed."""
        arguments = self.prepared(line)
        if arguments[0] == "serve":
            return self._serve(arguments[1:])
        given = {"connect": self.pairing, "models": "y\n"}.get(arguments[0], "")
        done = subprocess.run(
            [sys.executable, "-m", "kiss3d_backend", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        # A machine without a graphics card is one that the doctor, and so the status, has something to say of.
        wellness = (0, 1, 3) if arguments[0] in ("doctor", "status") else (0,)
        assert done.returncode in wellness, f"{line}\n{done.stdout}\n{done.stderr}"
        if arguments[0] == "pair":
            (self.pairing,) = re.findall(r"^\s*(kiss3d\S+)\s*$", done.stdout, re.MULTILINE)
        if arguments[0] == "connect":
            self.jobs["gpu-box"] = self.make_job("gpu-box")
        return done.stdout

    def make_job(self, where: str) -> str:
        """The id of a job that is done."""
        told = self.run(f"kiss3d generate chair.png -o first.glb --json --connect {where}")
        return json.loads(told.splitlines()[-1])["job"]

    def _serve(self, arguments: list[str]) -> str:
        """Starts it beside the desk's own, on a free port, and ends it with Ctrl-C."""
        here = [] if "--bind" in arguments else ["--bind", "tcp://127.0.0.1:0"]
        command = [sys.executable, "-m", "kiss3d_backend", "serve", *arguments, *here]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE)
        assert "tcp://127.0.0.1:" in told and process.returncode == 0, told + rest + errors
        return told + rest


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("desk")
    data = home / "data"
    data.mkdir()
    (data / "models.toml").write_text(write_all(home / "hub"), encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "KISS3D_", "XDG_"))}
    with Hub(home / "hub") as hub, pytest.MonkeyPatch.context() as patch:
        environment = kept | {
            "HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": hub.address,
            "KISS3D_DATA_DIR": str(data),
            "KISS3D_RECIPES": RECIPES,
            "KISS3D_CACHE_DIR": os.environ["KISS3D_CACHE_DIR"],
            CONFIG_DIR_VARIABLE: str(home / "config"),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "PYTHONWARNINGS": "error",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        with BackendProcess(data, recipes=RECIPES) as backend:
            desk = Desk(home, environment, backend, home)
            desk.begin("before")
            for preset in ("fast", "quality"):
                desk.run(f"kiss3d models pull {preset}")
            desk.run("kiss3d pair desk --address gpu-box:47800")
            desk.run("kiss3d connect --name gpu-box")
            desk.jobs[""] = desk.make_job("tcp://127.0.0.1:47800")
            yield desk


def write_files(folder: Path, hub: Path) -> None:
    """The files that the pages name; what they show does not matter to commands."""
    (folder / "pictures" / "more").mkdir(parents=True)
    demo = ROOT / "docs" / "images" / "demo-picture.png"
    for name in ("chair.png", "pictures/a.png", "pictures/more/b.png"):
        shutil.copy(demo, folder / name)
    trimesh.creation.box().export(folder / "old-chair.glb")
    with Image.open(ROOT / "tests" / "engine" / "data" / "bundle_bust.webp") as bundle:
        bundle.save(folder / "bundle.png")
    (weights,) = hub.rglob("flux1-schnell-fp8.safetensors")
    shutil.copy(weights, folder)
    examples = [block.text for block in blocks_of(ROOT / "docs" / "extending.md") if block.language == "python"]
    (folder / "my_recipes.py").write_text("\n\n".join(examples), encoding="utf-8")
    (folder / "chairs.csv").write_text("picture,prompt,name\nchair.png,an oak chair,oak\n", encoding="utf-8")


def shell_lines(page: Path) -> Iterator[tuple[str, str]]:
    """Where each line of a shell stands, and the line."""
    for block in blocks_of(page):
        if block.language in SHELLS:
            for number, line in enumerate(block.text.splitlines()):
                if line.strip():
                    yield f"{block.page}:{block.line + number}", line.strip()


WITH_COMMANDS = [page for page in PAGES if any(shell_lines(page))]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_every_command_of_a_page_ends_well(desk: Desk, page: Path) -> None:
    desk.begin(page.name)
    for where, line in shell_lines(page):
        if any(line.startswith(known) for known in ELSEWHERE):
            continue
        assert line.removeprefix(AS_ITS_USER).startswith("kiss3d "), f"{where}: nothing runs {line!r}"
        desk.run(line)


def test_what_is_run_elsewhere_is_still_there() -> None:
    lines = [line for page in WITH_COMMANDS for _, line in shell_lines(page)]
    assert len(lines) > 30
    assert [known for known in ELSEWHERE if not any(line.startswith(known) for line in lines)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_running_text_can_be_parsed(page: Path) -> None:
    for code in code_in_lines(page):
        if code.startswith("kiss3d ") and not any(sign in code for sign in ("|", "...", "COMMAND")):
            assert_parsed(shlex.split(code)[1:])


def test_the_recipe_that_a_page_adds_makes_flat_meshes(desk: Desk) -> None:
    desk.begin("example")
    desk.environment |= {"KISS3D_RECIPES": "my_recipes:RECIPES"}
    try:
        desk.run("kiss3d generate chair.png -o coin.glb")
    finally:
        desk.environment |= {"KISS3D_RECIPES": RECIPES}
    width, height, depth = trimesh.load(desk.folder / "coin.glb", force="mesh").extents
    assert 0 < depth < 0.2 * min(width, height)


def assert_parsed(arguments: list[str]) -> None:
    """Fails for a command or an option that does not exist; what it needs besides may be left out."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("kiss3d", [], resilient_parsing=True)
    while hasattr(command, "resolve_command") and arguments and not arguments[0].startswith("-"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert [word for word in arguments if word.startswith("-") and word not in known | {"--help"}] == [], arguments
