"""What lies where."""

from __future__ import annotations

import ast

from tests.architecture.source_tree import ROOT, parsed, python_files, tracked_files

TOP_LEVEL = {
    ".ci",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "backend",
    "blender_addon",
    "docs",
    "packaging",
    "protocol",
    "pyproject.toml",
    "tests",
}
SHAPELESS_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "misc.py", "common.py"}


def test_top_level_holds_only_what_belongs_there() -> None:
    assert {path.parts[0] for path in tracked_files()} - TOP_LEVEL == set()


def test_no_file_is_a_drawer_for_everything() -> None:
    assert [path for path in tracked_files() if path.name in SHAPELESS_NAMES] == []


def test_every_source_parses_on_the_oldest_python() -> None:
    assert len([parsed(path) for path in python_files()]) > 50


def test_dev_tool_parses_on_pythons_that_are_too_old_for_the_project() -> None:
    source = (ROOT / "packaging" / "dev.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))


def test_no_file_is_large() -> None:
    """A clone stays small; pictures in the documentation are the largest thing."""
    limit = 2 * 1024 * 1024
    assert [path for path in tracked_files() if (ROOT / path).stat().st_size > limit] == []
