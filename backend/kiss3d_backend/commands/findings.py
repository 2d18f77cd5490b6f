"""What the doctor finds."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

Verdict = Literal["ok", "warning", "error"]


@frozen
class Finding:
    """One line of the report. ``remedy`` is empty when nothing has to be done."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""
