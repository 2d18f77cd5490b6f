"""What a command shows on stderr, in a terminal and elsewhere."""

from __future__ import annotations

import io
import os

import pytest
from attrs import evolve
from blender_addon.commands.display import Display
from blender_addon.job_state import JobState, Phase, StageLine

from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.errors import OutOfMemory

RUNNING = JobState("1", "chair", Phase.RUNNING, stages=(StageLine("bake", "Texture", 0.0),), fraction=0.5)
DONE = Entry(name="chair", digest="", state="finished", job="1", triangles=12000, seconds=1.25)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def screen(self) -> str:
        """What can be seen: carriage returns go back to the beginning of a line."""
        lines = []
        for line in self.getvalue().split("\n"):
            shown: list[str] = []
            for part in line.split("\r"):
                shown[: len(part)] = part
            lines.append("".join(shown).rstrip())
        return "\n".join(lines)


def test_a_terminal_has_a_line_that_changes_and_one_for_each_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    terminal, now = Terminal(), 0.0
    with Display(terminal, clock=lambda: now) as display:
        display.expect(3, 1)
        now = 1.0
        display.show(evolve(RUNNING, job="2", name="lamp", phase=Phase.QUEUED))
        now = 2.0
        display.show(RUNNING)
        assert terminal.screen() == "1 of 3 are there already\n1/3 | chair: Texture 50% | 1 waiting"
        display.show(evolve(RUNNING, fraction=0.6))
        assert "60%" not in terminal.screen(), "not more often than one can read"
        display.ended(DONE)
        assert terminal.screen() == "1 of 3 are there already\n[2/3] chair: 12,000 triangles, 1.2 s\n"
        now = 3.0
        display.show(evolve(RUNNING, job="3", name="x" * 200))
        assert len(terminal.screen().splitlines()[-1]) == 59, "a line that is wrapped could not be taken away"
    assert terminal.screen().endswith("1.2 s\n")


def test_elsewhere_there_is_one_line_for_each_result_and_nothing_to_obey() -> None:
    stream = io.StringIO()
    with Display(stream, told=lambda error: f"told {error.message}") as display:
        display.expect(2)
        display.show(RUNNING)
        display.ended(DONE)
        failed = Entry(name="evil\x1b[2J", digest="", state="failed", job="2")
        display.ended(failed, OutOfMemory("The memory was full."))
    lines = stream.getvalue().splitlines()
    assert lines == ["[1/2] chair: 12,000 triangles, 1.2 s", "[2/2] evil�[2J: told The memory was full."]
