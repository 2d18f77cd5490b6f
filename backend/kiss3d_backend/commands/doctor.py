"""``kiss3d doctor``: what this machine and this environment can do, before any job is tried."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import asdict, frozen
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiss3d_backend import __version__
from kiss3d_backend.commands.findings import Finding, exit_code
from kiss3d_backend.commands.machine_findings import machine_findings
from kiss3d_backend.commands.model_findings import model_findings
from kiss3d_backend.commands.preset_findings import preset_findings
from kiss3d_backend.config import DataDir, default_data_dir
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.probe import probe_machine
from kiss3d_backend.devices.torch_answer import ask_torch
from kiss3d_backend.mesh.raster import report
from kiss3d_backend.models.hub_cache import default_cache_root
from kiss3d_backend.models.offers import preset_offers
from kiss3d_protocol.errors import DataDirectoryUnusable
from kiss3d_protocol.version import PROTOCOL_VERSION

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "pillow",
    "pyzmq",
    "msgpack",
    "attrs",
    "cattrs",
)
STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}


@frozen
class Examination:
    """``seconds``: of the probe in this process; ``torch_seconds``: of the process that asked torch."""

    machine: Machine
    findings: tuple[Finding, ...]
    seconds: float
    torch_seconds: float


def run_doctor(*, data_dir: Path | None, as_json: bool) -> int:
    """Prints the findings; returns the exit code of the worst of them (:data:`.findings.EXIT_CODES`)."""
    data_dir = data_dir or default_data_dir()
    found = examine(data_dir)
    code = exit_code(found.findings)
    if as_json:
        document = {
            "versions": {"kiss3d": __version__, "protocol": PROTOCOL_VERSION, "python": platform.python_version()},
            "ok": all(finding.verdict != "error" for finding in found.findings),
            "machine": asdict(found.machine),
            "seconds": {"probe": round(found.seconds, 3), "torch": round(found.torch_seconds, 3)},
            "findings": [asdict(finding) for finding in found.findings],
            "presets": [asdict(offer) for offer in preset_offers(data_dir)],
        }
        print(json.dumps(document))
        return code
    table = Table(box=None, show_header=False)
    for finding in found.findings:
        text = f"{finding.text} {finding.remedy}".strip()
        table.add_row(f"[{STYLES[finding.verdict]}]{finding.verdict}[/]", finding.subject, escape(text))
    Console(highlight=False).print(table)
    return code


def examine(data_dir: Path) -> Examination:
    """Everything that can be known without loading a model."""
    data = _data_dir(data_dir)
    usable = all(finding.verdict != "error" for finding in data)
    with ThreadPoolExecutor() as pool:
        # Both spend seconds on importing torch, each in a process of its own.
        rasterizers = pool.submit(_rasterizers)
        began = time.perf_counter()
        answer = ask_torch()
        torch_seconds = time.perf_counter() - began
    began = time.perf_counter()
    machine = probe_machine(data_dir, default_cache_root(), answer)
    seconds = time.perf_counter() - began
    findings = [
        Finding("Kiss3D", "ok", f"{__version__}, protocol {PROTOCOL_VERSION}"),
        Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()} ({sys.executable})"),
        *_libraries(),
        *machine_findings(machine),
        *rasterizers.result(),
        *data,
        # In a folder that cannot be used there is nothing to be found but that.
        *(model_findings(data_dir) if usable else []),
        *(preset_findings(data_dir, machine) if usable else []),
    ]
    return Examination(machine, tuple(findings), seconds, torch_seconds)


def _libraries() -> list[Finding]:
    found: list[str] = []
    missing: list[str] = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    findings = [Finding("Libraries", "ok", ", ".join(found))] if found else []
    if missing:
        names = ", ".join(missing)
        remedy = "Install Kiss3D again with pip."
        findings.append(Finding("Libraries", "error", f"Missing: {names}.", remedy, "libraries.missing"))
    return findings


def _rasterizers() -> list[Finding]:
    try:
        version("torch")
    except PackageNotFoundError:
        return [Finding("Rasteriser", "ok", "Not tried without torch; the draft preset does not need it.")]
    try:
        choices = report.ask()
    except (subprocess.SubprocessError, ValueError, OSError) as error:
        text = f"They cannot be tried ({type(error).__name__})."
        return [Finding("Rasteriser", "warning", text, "Install torch and numba again.", "raster.untried")]
    findings: list[Finding] = []
    for choice in choices:
        slow = choice["back_end"] in ("", "torch")
        text = f"{choice['back_end'] or 'None'}: {choice['reason']}."
        remedy = "Install Kiss3D with its [gpu] extra." if choice["device"] != "cpu" else "Install numba again."
        subject = f"Rasteriser on {choice['device']}"
        findings.append(
            Finding(subject, "warning", text, remedy, "raster.slow") if slow else Finding(subject, "ok", text)
        )
    return findings


def _data_dir(path: Path) -> list[Finding]:
    try:
        DataDir(path).create()
    except DataDirectoryUnusable as error:
        return [Finding("Data directory", "error", error.message, error.remedy, error.code)]
    return [Finding("Data directory", "ok", str(path))]
