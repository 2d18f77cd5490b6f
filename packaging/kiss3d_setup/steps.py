"""The steps of a set-up, as commands with what they depend on: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kiss3d_protocol.installation import ENVIRONMENT, environment_python

from .payload import Payload
from .pythons import Maker
from .torch_builds import TorchBuild

NO_SUCH_RELEASE = ("No matching distribution found for torch", "there is no version of torch")
"""How pip and uv say that the places they know do not have this build of torch."""


@dataclass(frozen=True)
class Command:
    """One program call. ``instead``: what is run when it fails and has said one of ``instead_when``."""

    argv: tuple[str, ...]
    instead: tuple[str, ...] = ()
    instead_when: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A part that is done as a whole. ``share``: of the time, all of them together 1. ``stamp``: the hash of all that
    its outcome depends on; "" for one that is done every time."""

    name: str
    title: str
    share: float
    commands: tuple[Command, ...]
    stamp: str = ""


def plan_steps(folder: Path, maker: Maker, torch: TorchBuild, payload: Payload, extras: Sequence[str]) -> list[Step]:
    """All steps of a set-up in ``folder``, in their order. Each stamp has those before it in it."""
    python = str(environment_python(folder))
    install = _install_command(maker, python, payload)
    wanted = f"{payload.source}[{','.join(extras)}]" if extras else str(payload.source)
    environment = _environment_commands(folder, maker, [*install, payload.pin("pip")])
    steps = [
        Step("environment", "Making the environment", 0.05, environment),
        Step("torch", "Installing torch", 0.4, (_torch_command(install, maker, torch),)),
        Step("packages", "Installing the backend", 0.45, _package_commands(install, maker, wanted, payload)),
        Step("check", "Checking", 0.1, (Command((python, "-m", "kiss3d_backend", "doctor", "--json")),)),
    ]
    # The folder belongs to it: an environment that was moved does not work any more. So does what makes it.
    stamp = json.dumps([str(folder), maker.python if maker.chosen else "", maker.uv is None])
    stamped: list[Step] = []
    for step in steps[:-1]:
        about = {"torch": torch.requirement, "packages": f"{payload.digest} {sorted(extras)}"}.get(step.name, "")
        stamp = hashlib.sha256(f"{stamp}\0{step.name}\0{about}".encode()).hexdigest()
        stamped.append(Step(step.name, step.title, step.share, step.commands, stamp))
    return [*stamped, steps[-1]]


def _environment_commands(folder: Path, maker: Maker, install_pip: Sequence[str]) -> tuple[Command, ...]:
    environment = str(folder / ENVIRONMENT)
    if maker.uv is not None:
        return (Command((maker.uv, "venv", "--clear", "--no-project", "--python", maker.python, environment)),)
    # venv's own pip is as old as its Python; the pinned one tells how far a download is.
    first = tuple(word for word in install_pip if word != RAW_PROGRESS)
    return (Command((maker.python, "-I", "-m", "venv", "--clear", environment)), Command(first))


RAW_PROGRESS = "--progress-bar=raw"


def _install_command(maker: Maker, python: str, payload: Payload) -> tuple[str, ...]:
    constraint = ("--constraint", str(payload.constraints))
    if maker.uv is not None:
        return (maker.uv, "pip", "install", "--no-progress", "--python", python, *constraint)
    pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--prefer-binary")
    return (*pip, RAW_PROGRESS, *constraint)


def _torch_command(install: tuple[str, ...], maker: Maker, torch: TorchBuild) -> Command:
    """First from where this machine's settings say, which may be a mirror or a folder; only then from PyTorch."""
    first = (*install, torch.requirement)
    if not torch.index:
        return Command(first)
    if maker.uv is not None:
        return Command(first, (*install, "--torch-backend", torch.tag, torch.requirement), NO_SUCH_RELEASE)
    return Command(first, (*install, "--extra-index-url", torch.index, torch.requirement), NO_SUCH_RELEASE)


def _package_commands(install: tuple[str, ...], maker: Maker, wanted: str, payload: Payload) -> tuple[Command, ...]:
    source = str(payload.source)
    if payload.source.suffix != ".whl":
        # What builds a wheel of a checkout is pinned too. Not by a variable: pip splits those at spaces.
        pinned = "--build-constraint" if maker.uv is None else "--build-constraints"
        install = (*install, pinned, str(payload.constraints))
    if maker.uv is not None:
        return (Command((*install, "--reinstall-package", "kiss3d", wanted)),)
    # pip keeps an installed package of the same version, also when it was built of other sources.
    again = tuple(word for word in install if word != RAW_PROGRESS)
    return (Command((*install, wanted)), Command((*again, "--force-reinstall", "--no-deps", source)))
