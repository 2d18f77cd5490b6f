"""A set-up: the steps that are not done yet, one after the other, with what it says meanwhile."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from kiss3d_protocol.errors import SetupCancelled, SetupCheckFailed, SetupStepFailed
from kiss3d_protocol.installation import LOG, Installation, read_installation, write_installation

from .folder import SCRATCH, check_room, locked, mend, take_folder
from .payload import Payload, find_payload, keep_only
from .process import Interrupted, Stop, clean_environment
from .progress import StepProgress, is_progress, overall
from .pythons import Maker, runs
from .steps import Command, Step, plan_steps
from .torch_builds import TorchBuild

Say = Callable[[dict[str, Any]], None]
"""Takes an event: a dict with "event" and what belongs to it. docs/install.md lists them."""

LAST_LINES = 30

IDLE_CARD = ("torch.cpu_build", "torch.gpu_unusable", "gpu.driver_too_old")
"""Codes of doctor's findings with which the backend works, but on the processor: no set-up can mend a driver."""


@dataclass(frozen=True)
class Wish:
    """What a person wants: where, made with what, which torch, which optional parts."""

    folder: Path
    maker: Maker
    torch: TorchBuild
    extras: Sequence[str] = ("gpu", "metrics")


def install(wish: Wish, say: Say, stop: Stop, payload: Callable[[Path], Payload] = find_payload) -> Installation:
    """Sets up a backend, or goes on with it where it stopped; done before, only the check is made again.

    Raises a :class:`SetupError`; :class:`SetupCancelled` when ``stop`` was asked for.
    """
    folder = wish.folder
    take_folder(folder)
    with locked(folder) as lock, (folder / LOG).open("a", encoding="utf-8") as log:
        keep_only(folder / SCRATCH)
        found = payload(folder / SCRATCH)
        before = read_installation(folder)
        kept = Installation(folder, found.version, False, wish.torch.tag, before.steps if before else {})
        steps = plan_steps(folder, wish.maker, wish.torch, found, wish.extras)
        todo = undone(steps, kept)
        if todo[0].stamp:
            check_room(folder, wish.torch.room if todo[0].name != "packages" else wish.torch.room // 2)
        # What was there until now counts as complete until something is done to it.
        write_installation(kept)
        names = [step.name for step in todo]
        say({"event": "plan", "folder": str(folder), "version": found.version, "steps": names, "why": wish.torch.why})
        run = _Run(wish, steps, found, say, stop, log, lock)
        answer: dict[str, Any] = {}
        try:
            for step in todo:
                answer = run.step(step)
                if step.stamp:
                    kept = replace(kept, steps={**kept.steps, step.name: step.stamp})
                    write_installation(kept)
        except Interrupted:
            raise SetupCancelled("The set-up was cancelled.") from None
        kept = replace(kept, complete=True, data=answer["data"], models=answer["models"])
        write_installation(kept)
        say({"event": "done", "python": str(kept.python), "version": kept.version, "torch": kept.torch, **answer})
    return kept


def undone(steps: Sequence[Step], kept: Installation) -> list[Step]:
    """The steps from the first on that is not done as it would be done now; the check is always among them."""
    for index, step in enumerate(steps):
        lost = step.name == "environment" and not runs(kept.python)
        if lost or not step.stamp or kept.steps.get(step.name) != step.stamp:
            return list(steps[index:])
    return []


class _Run:
    """The commands of one set-up, with their log and their progress."""

    def __init__(
        self, wish: Wish, steps: Sequence[Step], payload: Payload, say: Say, stop: Stop, log: TextIO, lock: int
    ) -> None:
        self._wish, self._steps, self._payload = wish, steps, payload
        self._say, self._stop, self._log, self._lock = say, stop, log, lock
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._environment = clean_environment(os.environ)

    def step(self, step: Step) -> dict[str, Any]:
        """Runs a step; the answer of the check, nothing for the others."""
        self._tell(step, 0.0, "")
        if step.name in ("torch", "packages") and (mended := mend(self._wish.folder)):
            self._write(f"taken away, as it was left half made: {', '.join(mended)}")
        if not step.stamp:
            return self._check(step)
        packages = self._payload.pins if step.name == "packages" else self._wish.torch.packages
        for command in step.commands:
            self._run(step, command, StepProgress(packages))
        return {}

    def _run(self, step: Step, command: Command, progress: StepProgress) -> None:
        for argv in filter(None, (command.argv, command.instead)):
            if self._call(argv, lambda line: self._take(step, progress, line)) == 0:
                return
            if not any(sign in line for sign in command.instead_when for line in self._last):
                break
        raise SetupStepFailed(f"{step.title} did not work: {self._reason()}")

    def _check(self, step: Step) -> dict[str, Any]:
        """What doctor says; it fails when that calls something broken, other than the use of the graphics card."""
        lines: list[str] = []
        self._call(step.commands[0].argv, lines.append)
        report = next((found for line in reversed(lines) if (found := _as_report(line))), None)
        for line in lines:
            self._write(line)
        broken = _broken(report)
        if report is None or broken:
            raise SetupCheckFailed(f"The backend was installed, but does not work: {broken or self._reason()}")
        machine = report["machine"]
        where = {"data": machine["data_disk"]["folder"], "models": machine["models_disk"]["folder"]}
        return {"findings": report["findings"], **where}

    def _call(self, argv: Sequence[str], on_line: Callable[[str], None]) -> int:
        self._last.clear()
        self._write("$ " + " ".join(argv))
        try:
            return self._stop.run(argv, self._environment, on_line, self._lock)
        except OSError as error:
            self._write(f"{argv[0]}: {error}")
            return 127

    def _take(self, step: Step, progress: StepProgress, line: str) -> None:
        if not is_progress(line):
            self._write(line)
        if progress.take(line):
            self._tell(step, progress.fraction, progress.text)

    def _tell(self, step: Step, inside: float, text: str) -> None:
        done = overall(self._steps, self._steps.index(step), inside)
        self._say(
            {"event": "progress", "step": step.name, "title": step.title, "fraction": round(done, 4), "text": text}
        )

    def _write(self, line: str) -> None:
        self._last.append(line)
        self._log.write(line + "\n")
        self._log.flush()

    def _reason(self) -> str:
        errors = [line for line in self._last if line.lower().startswith("error")]
        return (errors or [line for line in self._last if line.strip()] or ["nothing was said"])[-1].rstrip(".") + "."


def _as_report(line: str) -> dict[str, Any] | None:
    try:
        report = json.loads(line)
    except ValueError:
        return None
    return report if isinstance(report, dict) and "findings" in report else None


def _broken(report: dict[str, Any] | None) -> str:
    findings = report["findings"] if report else []
    broken = [one for one in findings if one["verdict"] == "error" and one["code"] not in IDLE_CARD]
    return " ".join(f"{one['subject']}: {one['text']}" for one in broken)
