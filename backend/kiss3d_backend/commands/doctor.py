"""``kiss3d doctor``: what this machine and this environment can do, before any job is tried."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import asdict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiss3d_backend import __version__
from kiss3d_backend.commands.findings import Finding, Verdict
from kiss3d_backend.commands.model_findings import model_findings
from kiss3d_backend.config import DataDir, default_data_dir
from kiss3d_backend.devices.probe import probe_device
from kiss3d_backend.mesh.raster import report
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
FREE_DISK_WARNING = 2 * 2**30
TORCH_SECONDS = 60.0
_TORCH_QUESTION = """
import json, torch
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "available": torch.cuda.is_available()}))
"""


def run_doctor(*, data_dir: Path | None, as_json: bool) -> int:
    """Prints the findings; returns 1 when something is broken, else 0."""
    data_dir = data_dir or default_data_dir()
    findings = examine(data_dir)
    broken = any(finding.verdict == "error" for finding in findings)
    if as_json:
        presets = [asdict(offer) for offer in preset_offers(data_dir)]
        document = {
            "versions": {"kiss3d": __version__, "protocol": PROTOCOL_VERSION, "python": platform.python_version()},
            "ok": not broken,
            "findings": [asdict(finding) for finding in findings],
            "presets": presets,
        }
        print(json.dumps(document))
        return int(broken)
    table = Table(box=None, show_header=False)
    styles = {"ok": "green", "warning": "yellow", "error": "red"}
    for finding in findings:
        text = f"{finding.text} {finding.remedy}".strip()
        table.add_row(f"[{styles[finding.verdict]}]{finding.verdict}[/]", finding.subject, escape(text))
    Console(highlight=False).print(table)
    return int(broken)


def examine(data_dir: Path) -> list[Finding]:
    """Everything that can be known without loading a model."""
    data = _data_dir(data_dir)
    usable = all(finding.verdict != "error" for finding in data)
    return [
        Finding("Kiss3D", "ok", f"{__version__}, protocol {PROTOCOL_VERSION}"),
        Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()} ({sys.executable})"),
        *_libraries(),
        _torch(),
        *_device(),
        *_rasterizers(),
        *data,
        # In a folder that cannot be used there is nothing to be found but that.
        *(model_findings(data_dir) if usable else []),
    ]


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
        findings.append(Finding("Libraries", "error", f"Missing: {names}.", "Install Kiss3D again with pip."))
    return findings


def _torch() -> Finding:
    try:
        version("torch")
    except PackageNotFoundError:
        return Finding("Torch", "ok", "Not installed; the draft preset does not need it.")
    try:
        # In a process of its own: a broken or hanging driver must not take the doctor with it.
        answer = subprocess.run(
            [sys.executable, "-c", _TORCH_QUESTION], capture_output=True, text=True, timeout=TORCH_SECONDS, check=True
        )
        told = json.loads(answer.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        return Finding("Torch", "warning", f"It cannot be imported ({type(error).__name__}).", "Install it again.")
    build = f"built for CUDA {told['cuda']}" if told["cuda"] else "built for the CPU"
    state = "the GPU can be used" if told["available"] else "no GPU can be used"
    return Finding("Torch", "ok", f"{told['version']}, {build}; {state}.")


def _device() -> list[Finding]:
    device = probe_device()
    text = f"{device.name} ({device.kind})"
    if device.vram_total is not None and device.vram_free is not None:
        text += f", {_gib(device.vram_free)} of {_gib(device.vram_total)} free"
    memory = f"{_gib(device.ram_free)} of {_gib(device.ram_total)} free"
    return [Finding("Device", "ok", text), Finding("Memory", "ok", memory)]


def _rasterizers() -> list[Finding]:
    try:
        version("torch")
    except PackageNotFoundError:
        return [Finding("Rasteriser", "ok", "Not tried without torch; the draft preset does not need it.")]
    try:
        choices = report.ask()
    except (subprocess.SubprocessError, ValueError, OSError) as error:
        text = f"They cannot be tried ({type(error).__name__})."
        return [Finding("Rasteriser", "warning", text, "Install torch and numba again.")]
    findings: list[Finding] = []
    for choice in choices:
        slow = choice["back_end"] in ("", "torch")
        text = f"{choice['back_end'] or 'None'}: {choice['reason']}."
        remedy = "Install Kiss3D with its [gpu] extra." if choice["device"] != "cpu" else "Install numba again."
        subject = f"Rasteriser on {choice['device']}"
        findings.append(Finding(subject, "warning" if slow else "ok", text, remedy if slow else ""))
    return findings


def _data_dir(path: Path) -> list[Finding]:
    try:
        DataDir(path).create()
    except DataDirectoryUnusable as error:
        return [Finding("Data directory", "error", error.message, error.remedy)]
    free = shutil.disk_usage(path).free
    verdict: Verdict = "ok" if free > FREE_DISK_WARNING else "warning"
    remedy = "" if verdict == "ok" else "Free some disk space, or choose another folder with --data-dir."
    return [Finding("Data directory", "ok", str(path)), Finding("Disk", verdict, f"{_gib(free)} free.", remedy)]


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
