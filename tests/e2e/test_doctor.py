"""``kiss3d doctor`` as a process on machines with faults: each is named with its remedy, and the worst is its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.fakes.faulty import FaultyMachine

MODELS = '[controlnet_union.files."config.json"]\nlocal = "config.json"\n'
"""A file of the quality preset, which lacks others; one of those is gated."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any]]]:
    """Exit code and findings by code, of three machines; their doctors run side by side."""
    folder = tmp_path_factory.mktemp("machines")
    machines = {
        "processor's torch": FaultyMachine(folder / "a").with_pytorch3d_for_the_processor().with_free_disk(3 * 10**9),
        "old driver": FaultyMachine(folder / "b", driver=(12040, "551.86")).with_torch(runs=False),
        "no Triton": FaultyMachine(folder / "c").with_torch(runs=True).without_triton(),
    }
    running: dict[str, subprocess.Popen[str]] = {}
    for name, machine in machines.items():
        home = machine.folder / "home"
        data = home / "data"
        data.mkdir(parents=True)
        (data / "config.json").write_text("{}", encoding="utf-8")
        (data / "models.toml").write_text(MODELS, encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "KISS3D_", "CUDA_"))}
        path = os.pathsep.join([str(machine.folder), kept.pop("PYTHONPATH", "")])
        environment = kept | {"HOME": str(home), "HF_HOME": str(home / "hf"), "PYTHONPATH": path}
        command = [sys.executable, "-m", "kiss3d_backend", "doctor", "--json", "--data-dir", str(data)]
        running[name] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for name, process in running.items():
        output, _ = process.communicate(timeout=300)
        findings = {each["code"]: each for each in json.loads(output)["findings"] if each["code"]}
        found[name] = (process.returncode, findings)
    return found


@pytest.mark.parametrize(
    ("machine", "code", "verdict", "word", "remedy"),
    [
        ("processor's torch", "torch.cpu_build", "error", "RTX 4070 stays idle", "https://pytorch.org"),
        ("processor's torch", "pytorch3d.cpu_build", "warning", "Not compiled with GPU support", "pip uninstall"),
        ("processor's torch", "disk.little", "warning", "3.0 GB free", "--data-dir"),
        ("processor's torch", "model.gated", "warning", "no Hugging Face token is set", "hf auth login"),
        ("processor's torch", "preset.no_room", "warning", "The disk lacks", "HF_HOME"),
        ("old driver", "gpu.driver_too_old", "error", "Driver 551.86 supports CUDA up to 12.4", "newer driver"),
        ("no Triton", "triton.unusable", "warning", "it is not installed", "pip install -U triton"),
    ],
)
def test_each_fault_is_named_with_its_remedy(
    told: Any, machine: str, code: str, verdict: str, word: str, remedy: str
) -> None:
    finding = told[machine][1][code]
    assert finding["verdict"] == verdict
    assert word in finding["text"] and remedy in finding["remedy"]


def test_the_exit_code_is_that_of_the_worst(told: Any) -> None:
    verdicts = {name: {each["verdict"] for each in findings.values()} for name, (_, findings) in told.items()}
    assert {name: code for name, (code, _) in told.items()} == {
        "processor's torch": 1,
        "old driver": 1,
        "no Triton": 3,
    }
    assert "error" in verdicts["old driver"] and "error" not in verdicts["no Triton"]
    assert "torch.cpu_build" not in told["no Triton"][1], "its torch can use the card"
