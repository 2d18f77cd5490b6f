"""What the doctor says of the rasterisers."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from kiss3d_backend.commands import doctor
from kiss3d_backend.mesh.raster import report


def found(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[doctor.Finding]:
    def ask() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(report, "ask", ask)
    monkeypatch.setattr(doctor, "version", lambda name: "1.0")
    return doctor._rasterizers()


def test_each_device_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = [
        {"back_end": "numba", "device": "cpu", "reason": "it is the fastest on cpu"},
        {"back_end": "torch", "device": "cuda:0", "reason": "it works on cuda; warp is not installed"},
        {"back_end": "", "device": "cuda:1", "reason": "No rasteriser works on cuda:1"},
    ]
    lines = found(monkeypatch, choices)
    assert [line.subject for line in lines] == [f"Rasteriser on {device}" for device in ("cpu", "cuda:0", "cuda:1")]
    assert [line.verdict for line in lines] == ["ok", "warning", "warning"]
    assert lines[1].text == "torch: it works on cuda; warp is not installed."
    assert "[gpu]" in lines[1].remedy
    assert lines[0].remedy == ""


@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("python", 1.0), ValueError("Expecting value")])
def test_a_hanging_driver_is_a_warning(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    (line,) = found(monkeypatch, error)
    assert line.verdict == "warning"
    assert type(error).__name__ in line.text


def test_without_torch_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(report, "ask", lambda: pytest.fail("it was tried"))
    monkeypatch.setattr(doctor, "version", missing)
    (line,) = doctor._rasterizers()
    assert line.verdict == "ok"
