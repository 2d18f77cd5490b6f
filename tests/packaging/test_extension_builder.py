"""The builder of the extension zips, without its wheels (the whole zips are tested with Blender)."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest
from tests.packaging.scripts import packaging_script

builder = packaging_script("build_extension")

TEMPLATE = """\
id = "kiss3d"
version = "1.2.3"

[permissions]
network = "why"
"""


def test_manifest_is_completed_for_the_variant() -> None:
    completed = tomllib.loads(builder.complete_manifest(TEMPLATE, builder.VARIANTS["py311"], ["a.whl", "b.whl"]))
    assert completed == {
        "id": "kiss3d",
        "version": "1.2.3",
        "blender_version_min": "4.2.0",
        "blender_version_max": "5.1.0",
        "platforms": ["linux-x64", "windows-x64", "macos-arm64", "macos-x64"],
        "wheels": ["./wheels/a.whl", "./wheels/b.whl"],
        "permissions": {"network": "why"},
    }


def test_manifest_without_tables_is_completed_too() -> None:
    template = TEMPLATE.partition("[")[0]
    completed = tomllib.loads(builder.complete_manifest(template, builder.VARIANTS["py313"], []))
    assert completed["blender_version_min"] == "5.1.0"
    assert "blender_version_max" not in completed


@pytest.mark.parametrize("line", ['blender_version_min = "4.2.0"', "wheels = []", "platforms = []"])
def test_template_that_decides_for_all_variants_is_refused(line: str) -> None:
    with pytest.raises(builder.BuildError, match=line.split()[0]):
        builder.complete_manifest(f"{line}\n{TEMPLATE}", builder.VARIANTS["py311"], [])


def test_the_two_shipped_variants_share_no_blender_and_leave_none_out() -> None:
    old, new = (builder.VARIANTS[name] for name in builder.SHIPPED)
    assert old.blender_min == "4.2.0"
    assert old.blender_max == new.blender_min
    assert new.blender_max is None


def test_caches_and_hidden_files_stay_out(tmp_path: Path) -> None:
    kept = ["__init__.py", "ui/panel.py", "blender_manifest.toml"]
    left_out = ["__pycache__/x.cpython-311.pyc", "ui/__pycache__/y.pyc", "ui/z.pyc", ".hidden", ".git/config"]
    for name in kept + left_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {path.relative_to(tmp_path).as_posix() for path in builder.addon_files(tmp_path)} == set(kept)


def test_zip_depends_on_the_content_alone(tmp_path: Path) -> None:
    files = {"b/c.py": b"2", "a.py": b"1"}
    builder.write_zip(tmp_path / "one.zip", files)
    builder.write_zip(tmp_path / "two.zip", dict(reversed(files.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["a.py", "b/c.py"]
        assert archive.testzip() is None


def test_package_without_a_pin_is_an_error() -> None:
    with pytest.raises(builder.BuildError, match="no-such-package"):
        builder.pinned(["no-such-package"])
