"""docs/install.md: its commands are understood, and its tables are those of the code."""

from __future__ import annotations

import ast
import re
import shlex

import pytest
from tests.architecture.source_tree import ROOT
from tests.fakes.doc_blocks import blocks_of

from kiss3d_setup.cli import parser
from kiss3d_setup.torch_builds import CUDA_BUILDS, INDEX, TORCH, build_of

PAGE = ROOT / "docs" / "install.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROGRAMS = ("setup_backend.py", "kiss3d_setup.pyz")


def commands() -> list[str]:
    lines = [line for block in blocks_of(PAGE) for line in block.text.splitlines()]
    lines += [block for page in ("service.md",) for block in (ROOT / "docs" / page).read_text().splitlines()]
    return [line for line in lines if any(f"{program} " in line for program in PROGRAMS)]


@pytest.mark.parametrize("line", commands())
def test_commands_are_understood(line: str) -> None:
    words = shlex.split(line.replace("\\", "/"))
    at = next(index for index, word in enumerate(words) if word.endswith(PROGRAMS))
    parser().parse_args(words[at + 1 :])


def test_every_option_is_told() -> None:
    assert len(commands()) >= 6
    source = (ROOT / "packaging" / "kiss3d_setup" / "cli.py").read_text(encoding="utf-8")
    options = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_argument"
        and isinstance(node.args[0], ast.Constant)
    }
    assert {option for option in options if f"`{option}" not in TEXT} == {"--own-python-last"}, "which is Blender's"


def test_builds_and_drivers_are_those_of_the_code() -> None:
    for build in CUDA_BUILDS:
        row = next(line for line in TEXT.splitlines() if line.startswith("| NVIDIA") and f"`{build.tag}`" in line)
        assert ".".join(map(str, build.linux_driver)) in row and ".".join(map(str, build.windows_driver)) in row
    assert f"'torch=={TORCH}'" in TEXT
    assert f"'torch=={TORCH}+cu130' --extra-index-url {INDEX.format(tag='cu130')}" in TEXT
    assert f"{build_of('cpu').room / 1e9:.0f} GB of disk without" in TEXT
    assert f"{build_of('cu130').room / 1e9:.0f} GB with one" in TEXT


def test_events_are_those_that_are_said() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "packaging" / "kiss3d_setup").glob("*.py")]
    said = {name for source in sources for name in re.findall(r'\{"event": "(\w+)"', source)}
    told = set(re.findall(r"^\| `(\w+)` \| `", TEXT, re.MULTILINE))
    assert said == told
