"""``kiss3d batch`` as a user runs it: broken pictures, kills, tables, names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trimesh
from PIL import Image, ImageDraw
from tests.fakes.backend_process import REPOSITORY

from kiss3d_protocol.errors import ERRORS

SMALL = ("--faces", "200", "--texture-size", "1024")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With meshes that take .3 seconds: what is tested is what surrounds them."""
    return {
        **os.environ,
        "KISS3D_DATA_DIR": str(tmp_path / "data"),
        "KISS3D_RECIPES": "tests.fakes.short_recipes:RECIPES",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        "PYTHONWARNINGS": "error",
    }


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "kiss3d_backend", "batch", *map(str, arguments)]


def batch(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment, timeout=600, check=False
    )


def draw(path: Path, hue: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(image).ellipse((20, 16, 76, 80), fill=(hue % 200, 90, 200 - hue % 200))
    image.save(path)


def manifest(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def finished(folder: Path) -> Counter[str]:
    return Counter(line["name"] for line in manifest(folder) if line["state"] == "finished")


def assert_error(result: subprocess.CompletedProcess[str], code: str) -> None:
    assert "Traceback" not in result.stderr
    assert result.returncode == ERRORS[code].exit_code, result.stderr


@pytest.mark.timeout(900)
def test_killed_twice_and_resumed_everything_is_made_once(tmp_path: Path, environment: dict[str, str]) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    for number in range(5):
        draw(pictures / ("more" if number % 3 == 0 else "") / f"{number}.png", 20 * number)
    (pictures / "cut.png").write_bytes((pictures / "1.png").read_bytes()[:200])
    (pictures / "text.jpg").write_text("no picture", encoding="utf-8")
    Image.new("RGBA", (96, 96), (0, 0, 0, 0)).save(pictures / "more" / "nothing.png")
    arguments = (pictures, "-o", out, "--recursive", "--resume", *SMALL)
    for wanted in (1, 2):
        process = subprocess.Popen(command(*arguments), env=environment, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if (out / "manifest.jsonl").is_file() and len(finished(out)) >= wanted:
                break
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    result = batch(environment, *arguments, "--json")
    assert_error(result, "batch.incomplete")
    told = json.loads(result.stdout.splitlines()[0])
    codes = {each["name"]: each["code"] for each in told["failed"]}
    assert codes == {
        "cut": "picture.truncated",
        "text": "picture.unreadable",
        "more/nothing": "picture.transparent",
    }
    assert told["results"] == 5
    made = finished(out)
    assert set(made.values()) == {1} and len(made) == 5
    for name in made:
        mesh = trimesh.load(out / f"{name}.glb", force="mesh")
        assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) == 4
        with Image.open(out / f"{name}.png") as sheet:
            assert sheet.width > sheet.height
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "5 of 8 made" in page and 'href="more/0.glb"' in page and "picture.truncated" in page
    # The backend agrees: as many finished jobs as results, each of another name.
    jobs = [sys.executable, "-m", "kiss3d_backend", "jobs", "--json", "--limit", "100"]
    listed = json.loads(subprocess.run(jobs, capture_output=True, text=True, env=environment, check=True).stdout)
    assert Counter(job["name"] for job in listed if job["state"] == "finished") == made
    # Once more: nothing is done, and the same is said.
    before = manifest(out)
    again = batch(environment, *arguments)
    assert_error(again, "batch.incomplete")
    assert manifest(out) == before
    # A picture that was mended is made, also without being asked to try again.
    draw(pictures / "cut.png", 5)
    (pictures / "text.jpg").unlink()
    (pictures / "more" / "nothing.png").unlink()
    mended = batch(environment, *arguments)
    assert mended.returncode == 0, mended.stderr
    assert finished(out) == made + Counter(["cut"])


def test_rows_of_a_table_have_seeds_and_names(tmp_path: Path, environment: dict[str, str]) -> None:
    draw(tmp_path / "a.png", 10)
    table = tmp_path / "rows.csv"
    table.write_text("picture;seed;name\na.png;3;chairs/red\na.png;4;chairs/blue\n\n", encoding="utf-8-sig")
    result = batch(environment, table, "-o", tmp_path / "out", *SMALL)
    assert result.returncode == 0, result.stderr
    assert set(finished(tmp_path / "out")) == {"chairs/red", "chairs/blue"}
    assert (tmp_path / "out" / "chairs" / "blue.glb").is_file()
    # Without --resume nothing is laid over another batch.
    assert_error(batch(environment, table, "-o", tmp_path / "out"), "batch.invalid")


def test_fail_fast_ends_with_the_first_error(tmp_path: Path, environment: dict[str, str]) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.png").write_text("no picture", encoding="utf-8")
    for number in range(3):
        draw(pictures / f"b{number}.png", number)
    result = batch(environment, pictures, "-o", tmp_path / "out", "--fail-fast", *SMALL)
    assert_error(result, "picture.unreadable")
    assert not finished(tmp_path / "out")
