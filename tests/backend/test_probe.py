"""What the probe reads from drivers, files and disks that are not there; and that it takes no time."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fakes.machines import GIB, gpu, machine

from kiss3d_backend.devices import disk, nvidia, probe, torch_answer
from kiss3d_backend.devices.machine import Disk, Gpu, TorchBuild, machine_from_json, machine_to_json
from kiss3d_backend.devices.pytorch3d import pytorch3d_build
from kiss3d_backend.devices.torch_answer import TorchAnswer, answer_to_json, ask_torch


class TestMachine:
    def test_it_goes_through_json(self) -> None:
        given = machine(gpu=gpu(shares_display=True), pytorch3d="cpu", attention=["math"])
        assert machine_from_json(machine_to_json(given)) == given

    def test_what_is_no_machine_is_refused(self) -> None:
        with pytest.raises(Exception, match="Machine"):
            machine_from_json("{}")
        with pytest.raises(ValueError, match="Expecting"):
            machine_from_json("no JSON")

    @pytest.mark.parametrize(
        ("capability", "bfloat16", "float8"),
        [((7, 5), False, False), ((8, 0), True, False), ((8, 6), True, False), ((8, 9), True, True)],
    )
    def test_precisions_by_compute_capability(self, capability: tuple[int, int], bfloat16: bool, float8: bool) -> None:
        given = machine(gpu=gpu(capability=capability))
        assert (given.bfloat16, given.float8) == (bfloat16, float8)

    def test_a_card_that_torch_cannot_use_is_not_computed_on(self) -> None:
        given = machine(device="cpu")
        assert (given.name, given.vram_total, given.vram_free) == (given.processor, None, None)
        assert (given.compute_capability, given.bfloat16, given.shares_display) == (None, False, False)

    @pytest.mark.parametrize(("rate", "speed"), [(None, "unknown"), (9e7, "slow"), (5e8, "medium"), (3e9, "fast")])
    def test_speeds_of_disks(self, rate: float | None, speed: str) -> None:
        assert Disk("/", 1, rate).speed == speed


class FakeNvml:
    """One or two cards; ``missing`` are functions that this driver does not have."""

    NVML_DRIVER_WDDM = 0

    class NVMLError(Exception):
        pass

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.names = {"GPU-a": "RTX 3060", "GPU-b": "RTX 4090"}
        self.open = 0
        self.display = 0

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in self.missing:
            return self._refuse
        return super().__getattribute__(name)

    def _refuse(self, *_: Any) -> Any:
        raise self.NVMLError("not supported")

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if index >= len(self.names):
            raise self.NVMLError("not found")
        return list(self.names)[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in self.names:
            raise self.NVMLError("not found")
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> str:
        return self.names[handle]

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return SimpleNamespace(total=12 * GIB, free=11 * GIB)

    def nvmlDeviceGetCudaComputeCapability(self, handle: str) -> tuple[int, int]:
        return 8, 6

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return 12040

    def nvmlSystemGetDriverVersion(self) -> str:
        return "551.86"

    def nvmlDeviceGetDisplayActive(self, handle: str) -> int:
        return self.display

    def nvmlDeviceGetCurrentDriverModel(self, handle: str) -> int:
        return self.NVML_DRIVER_WDDM


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)  # pyright: ignore[reportArgumentType]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake


class TestNvidia:
    def test_everything_that_the_driver_tells(self, nvml: FakeNvml) -> None:
        assert nvidia.nvidia_gpu() == Gpu("RTX 3060", 12 * GIB, 11 * GIB, (8, 6), "551.86", (12, 4), False)
        assert nvml.open == 0

    def test_a_driver_that_tells_little(self, nvml: FakeNvml) -> None:
        nvml.missing = (
            "nvmlDeviceGetCudaComputeCapability",
            "nvmlSystemGetCudaDriverVersion_v2",
            "nvmlSystemGetDriverVersion",
            "nvmlDeviceGetDisplayActive",
        )
        assert nvidia.nvidia_gpu() == Gpu("RTX 3060", 12 * GIB, 11 * GIB)

    @pytest.mark.parametrize("missing", ["nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMemoryInfo"])
    def test_a_driver_that_fails_is_no_card(self, nvml: FakeNvml, missing: str) -> None:
        nvml.missing = (missing,)
        assert nvidia.nvidia_gpu() is None and nvml.open == 0

    @pytest.mark.parametrize(
        ("visible", "name"),
        [("1", "RTX 4090"), ("1,0", "RTX 4090"), ("GPU-b", "RTX 4090"), ("", None), ("-1", None), ("7", None)],
    )
    def test_the_card_that_cuda_may_see(
        self, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str, name: str | None
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        found = nvidia.nvidia_gpu()
        assert (None if found is None else found.name) == name

    def test_the_card_that_torch_takes(self, nvml: FakeNvml) -> None:
        for uuid in ("GPU-b", "b"):
            found = nvidia.nvidia_gpu(uuid)
            assert found is not None and found.name == "RTX 4090"

    @pytest.mark.parametrize(
        ("platform", "display", "shared"), [("linux", 0, False), ("linux", 1, True), ("win32", 0, True)]
    )
    def test_a_desktop_on_the_card(
        self, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, platform: str, display: int, shared: bool
    ) -> None:
        monkeypatch.setattr(sys, "platform", platform)
        nvml.display = display
        found = nvidia.nvidia_gpu()
        assert found is not None and found.shares_display is shared


def put_pytorch3d(folder: Path, compiled: bytes | None) -> None:
    """A distribution that must not be imported; ``compiled`` is in its extension."""
    package = folder / "pytorch3d"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('it was imported')", encoding="utf-8")
    info = folder / "pytorch3d-0.7.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pytorch3d\nVersion: 0.7.9\n", encoding="utf-8")
    if compiled is not None:
        (package / f"_C{EXTENSION_SUFFIXES[0]}").write_bytes(compiled)


class TestPytorch3d:
    @pytest.mark.parametrize(
        ("compiled", "build"),
        [
            (b"\x7fELF..libc10.so\0Not compiled with GPU support\0", "cpu"),
            (b"\x7fELF..libcudart.so.12\0.nv_fatbin\0", "cuda"),
            (b"MZ...cudart64_12.dll\0.nv_fatb", "cuda"),
            (b"\x7fELF..", "unknown"),
            (b"", "unknown"),
            (None, "unknown"),
        ],
    )
    def test_what_it_was_compiled_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bytes | None, build: str
    ) -> None:
        put_pytorch3d(tmp_path, compiled)
        monkeypatch.syspath_prepend(tmp_path)
        assert pytorch3d_build() == build
        assert "pytorch3d" not in sys.modules

    def test_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        assert pytorch3d_build() is None


class TestDisk:
    def test_it_is_measured_and_nothing_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(disk, "PIECE", 2**16)
        found = disk.examine_disk(tmp_path)
        assert found.write_rate is not None and found.write_rate > 0 and found.free > 0
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("below", ["", "not/yet/there"])
    def test_it_is_not_measured_where_it_must_not_be(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
    ) -> None:
        monkeypatch.setattr(disk, "_write_rate", lambda folder: pytest.fail("it was written to"))
        assert disk.examine_disk(tmp_path / below, measure=below != "").write_rate is None
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: SimpleNamespace(free=disk.ROOM_TO_MEASURE - 1))
        assert disk.examine_disk(tmp_path).write_rate is None

    def test_a_folder_that_cannot_be_written_has_no_rate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(disk.os, "fsync", full)
        assert disk.examine_disk(tmp_path).write_rate is None
        assert list(tmp_path.iterdir()) == []


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """``answer``: a finished process, or the error that running it ends in."""

    def run(command: list[str], **_: Any) -> Any:
        assert command[1:] == ["-m", torch_answer.MODULE]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(torch_answer.subprocess, "run", run)
    monkeypatch.setattr(torch_answer, "version", lambda name: "2.13.0")


class TestAnswer:
    def test_an_answer_after_what_a_driver_prints(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = TorchAnswer(TorchBuild("2.13.0+cu130", "13.0"), "cuda", gpu(), "a", True, "", ("flash",), True, True)
        text = "a driver says hello\n" + answer_to_json(told) + "\n"
        answering(monkeypatch, subprocess.CompletedProcess([], 0, text, ""))
        assert ask_torch() == told

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (subprocess.CompletedProcess([], -11, "", ""), "code -11: it said nothing"),
            (subprocess.CompletedProcess([], 1, "", "Traceback\nImportError: libcudnn.so.9"), "libcudnn.so.9"),
            (subprocess.CompletedProcess([], 0, "", ""), "cannot be understood"),
            (subprocess.CompletedProcess([], 0, "{}", ""), "cannot be understood"),
            (subprocess.CompletedProcess([], 0, "hello", ""), "cannot be understood"),
            (subprocess.TimeoutExpired("python", 120.0), "120 s"),
            (OSError("no memory"), "cannot be started"),
        ],
    )
    def test_a_torch_that_cannot_be_asked(self, monkeypatch: pytest.MonkeyPatch, answer: Any, problem: str) -> None:
        answering(monkeypatch, answer)
        told = ask_torch()
        assert told is not None and told.device == "cpu" and told.build.version == "2.13.0"
        assert problem in told.build.problem

    def test_no_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> str:
            raise torch_answer.PackageNotFoundError(name)

        answering(monkeypatch, AssertionError("it was started"))
        monkeypatch.setattr(torch_answer, "version", missing)
        assert ask_torch() is None


class TestProbe:
    def test_the_driver_knows_more_than_torch(self, nvml: FakeNvml, tmp_path: Path) -> None:
        by_torch = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 20 * GIB, (8, 9))
        answer = TorchAnswer(TorchBuild("2.13.0", "13.0"), "cuda", by_torch, "b", True, attention=("flash",))
        found = probe.probe_machine(tmp_path, tmp_path, answer, measure_disks=False)
        assert found.gpu is not None and (found.gpu.name, found.gpu.driver) == ("RTX 4090", "551.86")
        assert (found.device, found.triton_works, found.attention) == ("cuda", True, ("flash",))

    def test_a_card_that_the_driver_library_does_not_know(self, nvml: FakeNvml, tmp_path: Path) -> None:
        """Of another maker, or where NVML is missing."""
        card = Gpu("Radeon RX 7900", 24 * GIB, 20 * GIB)
        answer = TorchAnswer(TorchBuild("2.13.0+rocm7.0"), "cuda", card)
        assert probe.probe_machine(tmp_path, tmp_path, answer, measure_disks=False).gpu == card
        nvml.missing = ("nvmlInit",)
        card = Gpu("Orin", 8 * GIB, 6 * GIB, (8, 7))
        answer = TorchAnswer(TorchBuild("2.13.0", "13.0"), "cuda", card, "c")
        assert probe.probe_machine(tmp_path, tmp_path, answer, measure_disks=False).gpu == card

    def test_without_torch_the_card_is_known_all_the_same(self, nvml: FakeNvml, tmp_path: Path) -> None:
        found = probe.probe_machine(tmp_path, tmp_path / "models", None, measure_disks=False)
        assert (found.device, found.torch, found.triton_works) == ("cpu", None, False)
        assert found.gpu is not None and found.gpu.compute_capability == (8, 6)
        assert found.cores >= 1 and found.ram_total > found.ram_available > 0

    def test_one_disk_is_measured_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Path] = []

        def rate(folder: Path) -> float:
            asked.append(folder)
            return 1e9

        monkeypatch.setattr(disk, "_write_rate", rate)
        found = probe.probe_machine(tmp_path, tmp_path / "models", None)
        assert asked == [tmp_path]
        assert (found.data_disk.write_rate, found.models_disk.write_rate) == (1e9, 1e9)

    def test_it_takes_a_fraction_of_a_second(self, tmp_path: Path) -> None:
        """Of the processor's time, since this machine may be busy; disks have their own limit."""
        began = time.process_time()
        probe.probe_machine(tmp_path, tmp_path, None)
        assert time.process_time() - began < 0.5

    def test_the_welcome_has_the_same_card(self, nvml: FakeNvml) -> None:
        device = probe.probe_device()
        assert (device.kind, device.name, device.vram_total) == ("cuda", "RTX 3060", 12 * GIB)
