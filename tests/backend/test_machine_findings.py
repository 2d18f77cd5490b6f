"""What the doctor says of machines with faults; each would have shown only minutes into a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.fakes.machines import GIB, gpu, machine

from kiss3d_backend.commands.findings import Finding, exit_code
from kiss3d_backend.commands.machine_findings import machine_findings
from kiss3d_backend.commands.preset_findings import preset_findings
from kiss3d_backend.devices.machine import Disk, Machine, TorchBuild
from kiss3d_backend.devices.planner import plan
from kiss3d_backend.devices.workload import workload_of
from kiss3d_protocol.messages import PresetOffer

CPU_TORCH: dict[str, Any] = {
    "device": "cpu",
    "torch": TorchBuild("2.13.0+cpu"),
    "triton_works": False,
    "expandable_segments": False,
    "pinned_memory": False,
}
PROCESSOR_ALONE = CPU_TORCH | {"gpu": None}
TOO_OLD = CPU_TORCH | {
    "torch": TorchBuild("2.13.0+cu130", "13.0", "The NVIDIA driver on your system is too old"),
    "gpu": gpu(driver="551.86", driver_cuda=(12, 4)),
}
NO_KERNELS = CPU_TORCH | {
    "torch": TorchBuild("2.13.0+cu130", "13.0", "no kernel image is available"),
    "gpu": gpu("GTX 1080", 8, (6, 1)),
}
DISK = machine().data_disk
WINDOWS: dict[str, Any] = {"platform": "win32", "expandable_segments": False, "swap_total": 32 * GIB}

FAULTS: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    # code: the machine, the verdict, a word of the sentence, one of the remedy, the subject
    "torch.cpu_build": (CPU_TORCH, "error", "RTX 4070", "pytorch.org", "Torch"),
    "gpu.driver_too_old": (TOO_OLD, "error", "up to 12.4, but torch was built for 13.0", "newer driver", "GPU driver"),
    "torch.gpu_unusable": (NO_KERNELS, "error", "no kernel image", "supports this card", "Torch"),
    "torch.broken": (
        CPU_TORCH | {"torch": TorchBuild("2.13.0", problem="it ended with code -11: nothing")},
        "error",
        "code -11",
        "Install it again",
        "Torch",
    ),
    "torch.missing": (PROCESSOR_ALONE | {"torch": None}, "note", "draft preset", "kiss3d[gpu]", "Torch"),
    "triton.unusable": (
        {"triton_works": False, "triton_reason": "it is not installed"},
        "warning",
        "it is not installed",
        "pip install -U triton.",
        "Triton",
    ),
    "pytorch3d.cpu_build": (
        {"pytorch3d": "cpu"},
        "warning",
        "Not compiled with GPU support",
        "FORCE_CUDA",
        "pytorch3d",
    ),
    "pytorch3d.unknown_build": ({"pytorch3d": "unknown"}, "note", "cannot be told", "Nothing has to be", "pytorch3d"),
    "gpu.no_bfloat16": ({"gpu": gpu("RTX 2060", 6, (7, 5))}, "note", "bfloat16", "fast preset", "GPU precision"),
    "gpu.fixed_segments": (WINDOWS, "note", "segments", "PYTORCH_CUDA_ALLOC_CONF", "GPU allocator"),
    "gpu.memory_fallback": (WINDOWS, "note", "many times slower", "Sysmem Fallback", "GPU memory"),
    "gpu.no_pinned_memory": ({"pinned_memory": False}, "warning", "slowly", "ulimit -l", "Pinned memory"),
    "ram.little": ({"ram_total": 8 * GIB}, "warning", "8.0 GiB", "16 GiB or more", "Memory"),
    "ram.in_use": ({"ram_available": 3 * GIB}, "warning", "3.0 GiB of 32.0 GiB", "Close other", "Memory"),
    "ram.little_pagefile": (WINDOWS | {"swap_total": 2 * GIB}, "warning", "2.0 GiB", "Virtual memory", "Pagefile"),
    "disk.little": ({"data_disk": evolve(DISK, free=3 * 10**9)}, "warning", "3.0 GB free", "--data-dir", "Disk"),
    "disk.full": ({"data_disk": evolve(DISK, free=10**8)}, "error", "100.0 MB free", "--data-dir", "Disk"),
    "disk.slow": ({"models_disk": Disk("/mnt", 10**12, 9e7)}, "note", "slow", "HF_HOME", "Disk of the models"),
}


def by_code(given: Machine) -> dict[str, Finding]:
    return {finding.code: finding for finding in machine_findings(given) if finding.code}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_is_named_with_its_remedy(code: str) -> None:
    changes, verdict, word, remedy, subject = FAULTS[code]
    finding = by_code(machine(**changes))[code]
    assert (finding.subject, finding.verdict) == (subject, verdict)
    assert word in finding.text and remedy in finding.remedy


@pytest.mark.parametrize("code", FAULTS)
def test_the_exit_code_tells_the_worst(code: str) -> None:
    changes, verdict, *_ = FAULTS[code]
    found = machine_findings(machine(**changes))
    expected = {"error": 1, "warning": 3, "note": 0}
    worst = next(each for each in expected if any(finding.verdict == each for finding in found))
    assert exit_code(found) == expected[worst]
    if verdict == "error":
        assert exit_code(found) == 1


def test_a_machine_in_order_has_nothing_to_be_done() -> None:
    found = machine_findings(machine(pytorch3d="cuda"))
    assert {finding.verdict for finding in found} == {"ok"} and exit_code(found) == 0
    assert not any(finding.remedy for finding in found)
    told = {finding.subject: finding.text for finding in found}
    assert "RTX 4070, compute capability 8.9, 11.4 GiB of 12.0 GiB free, driver 580.65.06" in told["Device"]
    assert "built for CUDA 13.0" in told["Torch"] and "flash, cudnn, efficient, math" in told["Torch"]
    assert "fast (2.1 GB per second)" in told["Disk"]


def test_a_driver_of_the_same_major_version_is_no_fault_while_torch_runs() -> None:
    """Minor version compatibility: a CUDA 12.8 build runs on a driver for 12.4."""
    given = machine(gpu=gpu(driver_cuda=(12, 4)), torch=TorchBuild("2.9.0+cu128", "12.8"))
    assert by_code(given) == {}


def test_a_machine_without_a_gpu_is_not_blamed_for_a_torch_without_cuda() -> None:
    assert by_code(machine(**PROCESSOR_ALONE)) == {}
    macbook = PROCESSOR_ALONE | {"device": "mps", "platform": "darwin", "torch": TorchBuild("2.13.0")}
    assert by_code(machine(**macbook)) == {}


def test_triton_on_windows_comes_from_another_package() -> None:
    given = machine(**WINDOWS, triton_works=False, triton_reason="it is not installed")
    remedy = by_code(given)["triton.unusable"].remedy
    assert "triton-windows" in remedy and "gcc" not in remedy


def test_the_desktop_on_the_same_card_is_said() -> None:
    (device, *_) = machine_findings(machine(gpu=gpu(shares_display=True)))
    assert device.text.endswith("shared with the desktop.")


def test_cards_below_8_9_convert_layer_by_layer() -> None:
    found = {finding.subject: finding for finding in machine_findings(machine(gpu=gpu("RTX 3060", 12, (8, 6))))}
    assert found["GPU precision"].verdict == "ok" and "layer by layer" in found["GPU precision"].text


@pytest.mark.parametrize(("remedy", "code"), [("", "a.code"), ("Do this.", "")])
def test_a_finding_without_a_remedy_or_a_code_cannot_be(remedy: str, code: str) -> None:
    Finding("Disk", "ok", "Fine.")
    with pytest.raises(ValueError, match="Disk"):
        Finding("Disk", "note", "Slow.", remedy, code)


def presets(monkeypatch: pytest.MonkeyPatch, given: Machine, *offers: PresetOffer) -> list[Finding]:
    monkeypatch.setattr("kiss3d_backend.commands.preset_findings.preset_offers", lambda data_dir: offers)
    return preset_findings(Path("data"), given)


def test_presets_on_the_processor_are_slow_but_for_the_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = [PresetOffer(name, name.title(), True) for name in ("draft", "fast")]
    draft, fast = presets(monkeypatch, machine(**PROCESSOR_ALONE), *offers)
    assert (draft.verdict, fast.verdict, fast.code) == ("ok", "note", "preset.slow")
    draft, fast = presets(monkeypatch, machine(), *offers)
    assert (draft.text, fast.verdict) == ("Can run here.", "ok")


@pytest.mark.parametrize(("vram", "words"), [(24, "resident"), (12, "streamed"), (6, "text on the processor")])
def test_a_preset_that_fits_says_how_it_runs(monkeypatch: pytest.MonkeyPatch, vram: float, words: str) -> None:
    given = machine(gpu=gpu("RTX 3060", vram, (8, 6)))
    (fast,) = presets(monkeypatch, given, PresetOffer("fast", "Fast", True))
    planned = plan("image_to_3d", workload_of("image_to_3d", "fast"), given)
    assert fast.verdict == "ok" and words in fast.text and planned.name in fast.text
    assert f"{planned.ram / GIB:.1f} GiB of memory" in fast.text


@pytest.mark.parametrize("missing", [(), ("lrm",)])
def test_a_preset_that_does_not_fit_says_so_before_anything_is_downloaded(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    offer = PresetOffer("quality", "Quality", not missing, "", missing, 36 * 10**9 if missing else 0)
    (quality,) = presets(monkeypatch, machine(gpu=gpu("GTX 1650", 4, (7, 5))), offer)
    assert (quality.verdict, quality.code) == ("warning", "backend.memory_too_small")
    assert "GiB of the graphics card's memory" in quality.text and quality.remedy


def test_a_preset_whose_models_find_no_room_says_how_much_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = PresetOffer("fast", "Fast", False, "Model files are missing.", ("lrm", "birefnet"), 29 * 10**9)
    (roomy,) = presets(monkeypatch, machine(), offer)
    assert (roomy.verdict, roomy.code) == ("note", "preset.models_missing")
    assert "lrm, birefnet; 29.0 GB" in roomy.text and "With them it can run here: FLUX streamed" in roomy.text
    (tight,) = presets(monkeypatch, machine(models_disk=evolve(DISK, free=3 * 10**9)), offer)
    assert tight.code == "preset.no_room" and "lacks 26.0 GB" in tight.text and "HF_HOME" in tight.remedy


def test_a_preset_that_is_not_offered_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = PresetOffer("fast", "Fast", False, "It needs torch.")
    (fast,) = presets(monkeypatch, machine(**PROCESSOR_ALONE | {"torch": None}), offer)
    assert (fast.verdict, fast.text, fast.code) == ("warning", "It needs torch.", "preset.unavailable")
