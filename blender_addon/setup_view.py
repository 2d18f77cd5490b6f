"""How a set-up of the local backend stands, as a pure function of what it says (no bpy, no clock)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from kiss3d_protocol.errors import Kiss3DError, SetupCancelled, SetupStepFailed, error_from_wire
from kiss3d_protocol.installation import Installation, version_numbers


@frozen
class SetupView:
    """The set-up as the panel shows it. ``step`` is its name, ``detail`` what it is about, such as a package.

    ``fraction``: 0 to 1. ``error``: why the last one ended early; a cancelled one has none. ``done``: it came to its
    end, and nothing was asked for since. ``removing``: the environment is being taken away. ``notes``: what the check
    has found besides, such as a card that stays idle; sentences.
    """

    running: bool = False
    removing: bool = False
    stopping: bool = False
    done: bool = False
    step: str = ""
    detail: str = ""
    fraction: float = 0.0
    error: Kiss3DError | None = None
    notes: tuple[str, ...] = ()


def started(*, removing: bool = False) -> SetupView:
    """The view after the click, before anything was said."""
    return SetupView(running=True, removing=removing)


def asked_to_stop(view: SetupView) -> SetupView:
    """The view after the user cancelled, until it has ended."""
    return evolve(view, stopping=view.running)


def reduce_setup(view: SetupView, event: Mapping[str, Any]) -> SetupView:
    """The view after an event of the set-up; the same object when it says nothing that is shown."""
    match event:
        case {"event": "progress", "step": str(step), "text": str(text), "fraction": float() | int() as fraction}:
            # A step that is done again does not take the bar back.
            return evolve(view, step=step, detail=text, fraction=max(view.fraction, min(float(fraction), 1.0)))
        case {"event": "done", "findings": list(findings)}:
            return evolve(view, done=True, fraction=1.0, detail="", notes=tuple(_notes(findings)))
        case {"event": "error", "code": str(code), "message": str(message), "remedy": str(remedy)}:
            error = error_from_wire(code, message, remedy)
            return view if isinstance(error, SetupCancelled) else evolve(view, error=error)
        case _:
            return view


def _notes(findings: Sequence[Any]) -> Iterator[str]:
    for finding in findings:
        match finding:
            case {"subject": str(subject), "verdict": "warning" | "error", "text": str(text), "remedy": str(remedy)}:
                yield f"{subject}: {text} {remedy}".strip()
            case _:
                pass


def ended(view: SetupView, code: int) -> SetupView:
    """The view after the process of the set-up has ended, with all that it had said."""
    ending = evolve(view, running=False, stopping=False)
    if code == 0 or view.stopping or view.error is not None or code == SetupCancelled.exit_code:
        return ending
    return evolve(ending, error=SetupStepFailed(f"The set-up ended unexpectedly (exit code {code})."))


@frozen
class Standing:
    """What there is of a local backend, against what this extension brings along.

    ``offer``: what the panel offers: "SET_UP", "CONTINUE", "UPGRADE" or nothing.
    """

    offer: str = ""
    version: str = ""


def standing_of(installation: Installation | None, own_version: str) -> Standing:
    """How an installation stands to this extension. One that is newer is left alone."""
    if installation is None:
        return Standing("SET_UP")
    if not installation.complete:
        return Standing("CONTINUE", installation.version)
    if not installation.usable:
        return Standing("SET_UP", installation.version)
    older = version_numbers(installation.version) < version_numbers(own_version)
    return Standing("UPGRADE" if older else "", installation.version)


def version_of_server(server: str) -> str:
    """The version in how a backend calls itself, ``kiss3d/1.2.3``; "" when there is none."""
    name, _, version = server.partition("/")
    return version if name == "kiss3d" and version_numbers(version) else ""


def is_other_version(server: str, own_version: str) -> bool:
    """Whether a connected backend is of another version than this extension."""
    version = version_of_server(server)
    return bool(version) and version_numbers(version) != version_numbers(own_version)
