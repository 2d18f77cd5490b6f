"""Rules of the add-on that the import linter cannot see."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import blender_addon

ADDON = Path(blender_addon.__file__).parent
WRITES = re.compile(r"bpy\.data\.(\w+\.(new|load|remove)|batch_remove|orphans_purge)\b")


def test_only_the_importer_makes_and_removes_data() -> None:
    offenders = [
        f"{path.relative_to(ADDON)}: {match.group()}"
        for path in ADDON.rglob("*.py")
        if "importer" not in path.relative_to(ADDON).parts
        for match in WRITES.finditer(path.read_text(encoding="utf-8"))
    ]
    assert offenders == []
    assert WRITES.search((ADDON / "importer" / "place.py").read_text(encoding="utf-8")), "the rule itself works"


def test_imports_inside_the_add_on_are_relative() -> None:
    """Blender loads it as bl_ext.REPOSITORY.kiss3d."""
    for path in ADDON.rglob("*.py"):
        assert "blender_addon" not in path.read_text(encoding="utf-8"), path


def test_permissions_are_explained_within_blenders_limit() -> None:
    manifest = tomllib.loads((ADDON / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert set(manifest["permissions"]) == {"network", "files", "clipboard"}
    for reason in manifest["permissions"].values():
        assert 0 < len(reason) < 64 and not reason.endswith(".")
