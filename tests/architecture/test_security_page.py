"""docs/security.md names a test for every promise, docs/service.md and the unit say what the programs understand."""

from __future__ import annotations

import ast
import configparser
import re
import shlex

import pytest
from tests.architecture.source_tree import ROOT, parsed
from typer.main import get_command

from kiss3d_backend.cli import app

SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SERVICE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
UNIT = ROOT / "packaging" / "systemd" / "kiss3d.service"


def promises() -> list[list[str]]:
    section = SECURITY.split("## What is promised\n")[1].split("\n## ")[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_promise_has_a_test_that_is_there() -> None:
    assert len(promises()) > 15
    for promise, shown in promises():
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
        assert named, promise
        for path, test in named:
            functions = {node.name for node in ast.walk(parsed(ROOT / path)) if isinstance(node, ast.FunctionDef)}
            assert test in functions, f"{path}::{test}"


def commands_of(text: str) -> list[str]:
    return re.findall(r"kiss3d(?:\.exe)? ((?:serve|status|pair)\b[^\n`]*)", text)


@pytest.mark.parametrize("line", commands_of(SERVICE + UNIT.read_text(encoding="utf-8")))
def test_commands_of_the_service_are_understood(line: str) -> None:
    name, *words = shlex.split(line.split("  ")[0])
    command = get_command(app).commands[name]  # pyright: ignore[reportAttributeAccessIssue]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_unit_stops_it_as_it_wants_to_be_stopped() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    unit.read(UNIT, encoding="utf-8")
    service = unit["Service"]
    words = shlex.split(service["ExecStart"])
    assert float(words[words.index("--grace") + 1]) < float(service["TimeoutStopSec"])
    assert service["KillMode"] == "mixed"
    hardened = ("NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "RestrictNamespaces")
    assert all(service[key] in ("yes", "strict") for key in hardened)
