"""A Python for the set-up that is quick: it makes real environments without pip, and plays a script as their pip.

The script is a JSON file: for a word of pip's command line (the first that fits, in order) its lines, its exit code and
whether it goes on until it is ended. Each call is noted in a file beside it.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON = """\
#!{python} -IS
import json, os, sys, time
from pathlib import Path

folder = Path({folder!r})
words = sys.argv[1:]
if "-c" in words:  # whether it starts at all
    sys.exit(0)
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
if "venv" in words:
    made = Path(words[-1]) / "bin" / "python"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(Path(__file__).read_text())
    made.chmod(0o755)
plays = json.loads((folder / "plays.json").read_text())
play = next((play for play in plays if any(play["word"] in word for word in words)), {{}})
for line in play.get("lines", []):
    print(line, flush=True)
if play.get("hangs"):
    if os.fork() == 0:  # a child, as pip has some
        (folder / "child.pid").write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)
sys.exit(play.get("code", 0))
"""

REPORT = {
    "findings": [{"subject": "Torch", "verdict": "ok", "text": "2.13.0+cpu.", "remedy": "", "code": ""}],
    "machine": {"data_disk": {"folder": "/data"}, "models_disk": {"folder": "/models"}},
}


@dataclass
class FakePython:
    """A stand-in for Python, venv, pip and doctor. ``path`` is its executable."""

    folder: Path

    def __post_init__(self) -> None:
        self.path = self.folder / "python"
        self.path.write_text(PYTHON.format(python=sys.executable, folder=str(self.folder)), encoding="utf-8")
        self.path.chmod(0o755)
        self.plays()

    def plays(self, *plays: dict[str, Any]) -> None:
        """What the calls from now on do; doctor is well unless it is among them."""
        doctor = {"word": "doctor", "lines": [json.dumps(REPORT)]}
        whole = json.dumps([*plays, doctor])
        partial = self.folder / "plays.partial"
        partial.write_text(whole, encoding="utf-8")
        partial.replace(self.folder / "plays.json")

    @property
    def calls(self) -> list[str]:
        """What was called since :meth:`forget`, each by what it is about."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [_about(json.loads(line)) for line in lines]

    def forget(self) -> None:
        """Forgets the calls until now."""
        (self.folder / "calls.jsonl").unlink(missing_ok=True)

    @property
    def child(self) -> int | None:
        """The process that a hanging call has started, once it runs."""
        path = self.folder / "child.pid"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return int(text) if text else None


def _about(words: list[str]) -> str:
    if "venv" in words:
        return "venv"
    if "doctor" in words:
        return "doctor"
    more = "--extra-index-url " if "--extra-index-url" in words else ""
    again = "again " if "--force-reinstall" in words else ""
    return more + again + os.path.basename(words[-1])  # noqa: PTH119 - the last word may be a requirement
