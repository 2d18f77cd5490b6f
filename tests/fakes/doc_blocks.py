"""The code that the pages for people show: fenced blocks and code in a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen
from tests.architecture.source_tree import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCED = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_LINE = re.compile(r"`([^`\n]+)`")


@frozen
class Block:
    """``page``: relative to the repository. ``line``: where its text begins, from 1. ``language``: empty for shells.
    ``file``: the name of the file that it shows, or empty."""

    page: str
    line: int
    language: str
    file: str
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, from the top."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCED.finditer(text):
        line = text.count("\n", 0, found.start(3)) + 1
        yield Block(page.relative_to(ROOT).as_posix(), line, found[1], found[2] or "", found[3])


def code_in_lines(page: Path) -> list[str]:
    """What stands between single backticks, outside of fenced blocks."""
    return _IN_LINE.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
