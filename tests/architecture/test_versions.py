"""The versions written in several places agree."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.metadata import requires
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from tests.architecture.source_tree import ROOT
from tests.packaging.scripts import packaging_script

import kiss3d_backend


def _toml(*path: str) -> dict[str, Any]:
    return tomllib.loads(ROOT.joinpath(*path).read_text(encoding="utf-8"))


@cache
def pins() -> dict[str, Version]:
    lines = (ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(entry) == 2 for entry in entries), "every line is NAME==VERSION"
    return {canonicalize_name(name): Version(version) for name, version in entries}


PROJECT = _toml("pyproject.toml")["project"]
PROTOCOL = _toml("protocol", "pyproject.toml")["project"]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
]


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_every_requirement_has_a_pin_that_satisfies_it(line: str) -> None:
    requirement = Requirement(line)
    assert canonicalize_name(requirement.name) in pins()
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_what_the_requirements_need_is_pinned_too() -> None:
    """So that two installations of the same commit are the same, down to the last package."""
    unpinned: set[str] = set()
    todo = [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]]
    seen: set[str] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name not in pins():
            unpinned.add(name)
        for extra in (requirement.extras or {""}) | {""}:
            if f"{name}[{extra}]" in seen:
                continue
            seen.add(f"{name}[{extra}]")
            needed = [Requirement(line) for line in requires(name) or []]
            todo += [need for need in needed if need.marker is None or need.marker.evaluate({"extra": extra})]
    assert unpinned == set()


def test_protocol_asks_for_the_same_versions_as_the_whole() -> None:
    assert set(PROTOCOL["dependencies"]) <= set(PROJECT["dependencies"])
    assert PROTOCOL["requires-python"] == PROJECT["requires-python"]


def test_extension_bundles_just_what_the_protocol_needs() -> None:
    needed = {canonicalize_name(Requirement(line).name) for line in PROTOCOL["dependencies"]}
    assert needed <= set(packaging_script("build_extension").BUNDLED)


def test_project_has_one_version() -> None:
    manifest = _toml("blender_addon", "blender_manifest.toml")
    versions = {PROJECT["version"], PROTOCOL["version"], manifest["version"], kiss3d_backend.__version__}
    assert len(versions) == 1


def test_dev_tool_asks_for_the_python_of_the_project() -> None:
    oldest = ".".join(map(str, packaging_script("dev").OLDEST_PYTHON))
    assert PROJECT["requires-python"] == f">={oldest}"
