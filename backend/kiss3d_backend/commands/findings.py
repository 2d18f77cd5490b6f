"""What the doctor finds, and what its exit code says of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from attrs import Attribute, field, frozen

Verdict = Literal["ok", "note", "warning", "error"]
"""``note``: a limit that one should know of; nothing is wrong. ``warning``: something does not work, or soon will not.
``error``: jobs fail, or run without the GPU that is there."""

EXIT_CODES: dict[Verdict, int] = {"ok": 0, "note": 0, "warning": 3, "error": 1}
"""Of ``kiss3d doctor``; 2 is a wrong option everywhere, and from 10 on are the codes of errors."""


def _with_a_remedy(finding: Finding, attribute: Attribute[Any], value: str) -> None:
    if finding.verdict != "ok" and not value:
        raise ValueError(f"the finding on {finding.subject} has no {attribute.name}")


@frozen
class Finding:
    """One line of the report.

    ``code``: stable, as "torch.cpu_build", for programs; ``remedy``: what to do. Both may be empty only where the
    verdict is ok; ValueError otherwise.
    """

    subject: str
    verdict: Verdict
    text: str
    remedy: str = field(default="", validator=_with_a_remedy)
    code: str = field(default="", validator=_with_a_remedy)


def exit_code(findings: Iterable[Finding]) -> int:
    """Of the worst finding."""
    found = {finding.verdict for finding in findings}
    return next((code for verdict, code in reversed(EXIT_CODES.items()) if verdict in found), 0)
