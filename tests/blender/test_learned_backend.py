"""The built extension in one real Blender asks a real backend, with the tiny models, for every kind of job; the checks
are in checks/learned.py."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from tests.blender.rigs.bpy_env import BpyEnv, BpyRun, bpy_versions
from tests.fakes.complaints import complaints
from tests.fakes.learned_backend import LearnedBackend

pytest.importorskip("torch", reason="the pipeline needs torch")

SCRIPT = Path(__file__).parent / "checks" / "learned.py"
BUNDLE = Path(__file__).parents[1] / "engine" / "data" / "bundle_bust.webp"
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "demo-picture.png"
SERIES = "4.5."
CHECKS = [
    node.name
    for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]

pytestmark = pytest.mark.parametrize(
    "bpy_env", [version for version in bpy_versions() if version.startswith(SERIES)], indirect=True
)


@pytest.fixture(scope="module")
def learned_run(bpy_env: BpyEnv, extension_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> BpyRun:
    """One Blender that went through all checks."""
    folder = tmp_path_factory.mktemp("learned")
    shutil.copy(BUNDLE, folder)
    shutil.copy(PICTURE, folder / "picture.png")
    with LearnedBackend(folder / "machine") as backend:
        run = bpy_env.run(SCRIPT, extension_zip, backend.address, folder, timeout=800)
        assert complaints(backend.log) == []
    return run


@pytest.mark.parametrize("check", CHECKS)
def test_check(learned_run: BpyRun, check: str) -> None:
    outcome = learned_run.report.get(check, f"was not reached\n{learned_run.stdout}\n{learned_run.stderr}")
    assert outcome == "ok", outcome


def test_blender_ends_normally_and_went_through_every_recipe(learned_run: BpyRun) -> None:
    learned_run.check()
    assert complaints(learned_run.stdout + learned_run.stderr) == []
    recipes = {name: learned_run.report[name] for name in ("image_to_3d", "text_to_3d", "mesh_to_3d", "views_to_3d")}
    for name, stages in recipes.items():
        assert {"coarse", "refine", "texture"} <= set(stages), name
