"""docs/scripting.md: everything in it that can be run is run as it is printed, in Blender 5.2 at a terminal."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.architecture.source_tree import ROOT
from tests.blender.rigs.headless import HeadlessRig
from tests.blender.rigs.reports import read_report
from tests.blender.rigs.work_folder import SHARED
from tests.fakes.doc_blocks import PAGES, blocks_of
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Never, ScriptedBackend, ScriptedJob, Step

from kiss3d_protocol.servers import Server, find_endpoint, save_server

PAGE = ROOT / "docs" / "scripting.md"
BLOCKS = tuple(blocks_of(PAGE))
COMMANDS = tuple(line for block in BLOCKS if block.language == "bash" for line in block.text.splitlines())
CHECKS = Path(__file__).parent / "checks"


def test_every_block_is_one_that_is_run() -> None:
    assert PAGE.read_text(encoding="utf-8").count("```") == 2 * len(BLOCKS)
    assert all(block.file or block.language == "bash" for block in BLOCKS), "a file without a name is not run"
    for block in BLOCKS:
        assert any(block.file in line for line in COMMANDS), f"nothing runs {block.file}"
    assert {shlex.split(line)[0] for line in COMMANDS} == {"blender"}


@pytest.mark.parametrize("page", [page for page in PAGES if page != PAGE], ids=lambda page: page.name)
def test_commands_of_other_pages_are_on_this_one(page: Path) -> None:
    lines = [line for block in blocks_of(page) for line in block.text.splitlines() if line.startswith("blender -")]
    assert [line for line in lines if line not in COMMANDS] == []


def forever(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", sphere(8, 6))
    yield Never()


@pytest.mark.usefixtures("config_dir")
def test_page_works_as_printed(headless_rig: HeadlessRig, window_extension_zip: Path) -> None:
    with ScriptedBackend({"forever": forever}) as backend:
        endpoint = find_endpoint(backend.address)
        save_server(Server("workstation", endpoint.address, "test", endpoint.keys))
        setup = (
            "from bl_ext.user_default.kiss3d import preferences\n"
            "chosen = preferences.get(bpy.context)\n"
            f"chosen.mode, chosen.address = 'ADDRESS', {backend.address!r}\n"
        )
        with headless_rig.installed(window_extension_zip, setup) as blender:
            for name in ("chair", "pictures/chair", "pictures/lamp", "stopped/chair", "stopped/forever"):
                draw(blender.home / f"{name}.png")
            broken = blender.home / "pictures" / "sets" / "stool.png"
            broken.parent.mkdir()
            broken.write_text("no picture", encoding="utf-8")
            for block in BLOCKS:
                if block.file:
                    (blender.home / block.file).write_text(block.text, encoding="utf-8")
            for number, line in enumerate(COMMANDS):
                done = blender.run(shlex.split(line))
                said = f"{line}\n{done.stdout}\n{done.stderr}"
                assert done.returncode == (0 if number else 19), said
                assert "Traceback" not in said and done.left_running == [], said
                if not number:
                    assert "[3/3]" in done.stderr and "sets/stool" in done.stderr, said
                    draw(broken)
            for check in ("after_scripting_page", "running", "standing"):
                shutil.copy(CHECKS / f"{check}.py", blender.work)
            line = ["blender", "--background", "--python-exit-code", "3"]
            done = blender.run([*line, "--python", f"{SHARED}/after_scripting_page.py"])
    report = read_report(done.stdout)
    failed = {name: outcome for name, outcome in report.items() if name.startswith("check_") and outcome != "ok"}
    assert done.returncode == 0 and report.get("done") and not failed, f"{failed}\n{done.stdout}\n{done.stderr}"
    made = Counter(job.submit.name for job in backend.submits)
    assert (made["stool"], made["oak"]) == (1, 1), "nothing is made twice"


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 40), "red").save(path)
