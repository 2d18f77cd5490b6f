"""docs/troubleshooting.md: every error, as the code has it, and no other."""

from __future__ import annotations

import re

from tests.architecture.source_tree import ROOT

from kiss3d_protocol.errors import ERRORS

ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_every_error_is_told_with_its_exit_code_and_its_remedy() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    told = {code: (int(exit_code), remedy) for code, exit_code, _, remedy in ROW.findall(text)}
    wanted = {
        code: (error.exit_code, error.default_remedy or "Nothing: it was wanted.") for code, error in ERRORS.items()
    }
    assert told == wanted
