"""What the set-up says to people, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kiss3d_protocol.installation import Installation, write_installation
from kiss3d_setup import cli


def test_people_are_told_each_step_once_and_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    say = cli.print_words()
    say({"event": "plan", "version": "1.0", "folder": "/opt/kiss3d", "steps": [], "why": "There is no card."})
    for fraction, text in ((0.1, ""), (0.2, ""), (0.3, "torch.whl"), (0.35, "torch.whl")):
        say({"event": "progress", "step": "torch", "title": "Installing torch", "fraction": fraction, "text": text})
    finding = {"subject": "Disk", "verdict": "warning", "text": "It is slow.", "remedy": "Use another.", "code": ""}
    say({"event": "done", "python": "/opt/kiss3d/env/bin/python", "findings": [finding]})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Kiss3D 1.0 into /opt/kiss3d. There is no card.",
        "[ 10%] Installing torch",
        "[ 30%] Installing torch: torch.whl",
        "Disk: It is slow. Use another.",
        "Done. It is started with:",
        f"    {Path('/opt/kiss3d/env/bin/kiss3d')} serve",
        "The draft preset is ready; the others need model files, for example:",
        f"    {Path('/opt/kiss3d/env/bin/kiss3d')} models pull fast",
    ]


def test_errors_have_their_exit_codes_and_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--into", str(tmp_path)]) == 36
    told = capsys.readouterr()
    assert told.out == "" and "There is no set-up in" in told.err and "check the path" in told.err
    assert cli.main(["remove", "--into", str(tmp_path), "--json"]) == 36
    assert json.loads(capsys.readouterr().out)["code"] == "setup.folder"
    assert cli.main(["install", "--into", str(tmp_path), "--torch", "cu118"]) == 39
    assert "none of cpu, cu130, cu126, pypi" in capsys.readouterr().err


def test_status_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_installation(Installation(tmp_path, "1.2.3", True, "cpu", {}, "/data", "/models"))
    assert cli.main(["status", "--into", str(tmp_path), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["version"], status["complete"], status["torch"]) == ("1.2.3", True, "cpu")
    assert cli.main(["remove", "--into", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "stay where they were: /data" in told and "may use too: /models" in told
    assert not tmp_path.exists()
