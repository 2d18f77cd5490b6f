"""What a job's display prints where there is no terminal."""

from __future__ import annotations

import pytest

from kiss3d_backend.commands.stage_display import StageDisplay
from kiss3d_protocol.messages import StageStarted, WarningRaised, new_job_id

HOSTILE = "[bold]red\x1b[2J"
SHOWN = "[bold]red\\x1b[2J"


def test_texts_of_a_backend_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    job = new_job_id()
    with StageDisplay("chair") as display:
        display.note(f"note {HOSTILE}")
        display.show(
            StageStarted(job=job, number=1, time=0.0, stage="shape", title=f"title {HOSTILE}", index=0, count=2)
        )
        display.show(WarningRaised(job=job, number=2, time=0.0, code="a.b", message=HOSTILE, remedy="Do it."))
    printed = capsys.readouterr().err
    assert f"note {SHOWN}" in printed and f"1/2 title {SHOWN}" in printed and f"Warning: {SHOWN} Do it." in printed
    assert "\x1b" not in printed
