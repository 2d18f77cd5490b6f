"""Model files from a local hub, got by real processes: killed, starved, doubled, lied to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from tests.fakes.hub import Fault, Hub, catalogue_lines

from kiss3d_backend.models.catalogue_reader import read_catalogue
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.importing import import_file
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.errors import ModelError

SIZE = 8 << 20
REPOSITORIES = {"big": "maker/big", "small": "maker/small"}


@define
class Machine:
    """A home with nothing in it but a ``models.toml`` that names the hub's files, all of them needed by ``fast``."""

    hub: Hub
    home: Path
    cache: Path

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        return kept | {"HOME": str(self.home), "HF_HOME": str(self.cache), "HF_ENDPOINT": self.hub.address}

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-m", "tests.fakes.puller", str(self.data_dir), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=self.environment)

    def pull(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and the last line."""
        process = self.start(*words)
        told, _ = process.communicate(timeout=60)
        return process.returncode, json.loads(told.splitlines()[-1])

    def store(self) -> ModelStore:
        return ModelStore(self.data_dir, cache=HubCache(self.cache / "hub"))

    def part(self) -> Path:
        return self.store().cache.part(REPOSITORIES["big"], hashlib.sha256(content(0)).hexdigest())

    def final_files(self) -> list[Path]:
        """Everything large that has a final name."""
        found = [path for path in self.cache.rglob("*") if path.is_file() and not path.is_symlink()]
        return [path for path in found if path.stat().st_size >= 1000 and path.suffix not in (".part", ".lock")]


def content(seed: int) -> bytes:
    return hashlib.shake_256(bytes([seed])).digest(SIZE)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "hub"
    for number, repository in enumerate(REPOSITORIES.values()):
        path = folder / repository / "main"
        path.mkdir(parents=True)
        (path / "weights.safetensors").write_bytes(content(number)[: SIZE >> (3 * number)])
        (path / "config.json").write_text(json.dumps({"model": repository}), encoding="utf-8")
    with Hub(folder) as hub:
        machine = Machine(hub, tmp_path / "home", tmp_path / "home" / "hf")
        machine.data_dir.mkdir(parents=True)
        write_catalogue(machine)
        yield machine


def write_catalogue(machine: Machine) -> None:
    """The shipped entries are needed by no preset any more, and those of the hub by ``fast``."""
    hidden = [f"[{name}]\npresets = []\n" for name in read_catalogue(machine.home).entries]
    shown = [
        catalogue_lines(machine.hub.folder, entry, repository).replace("purpose", 'presets = ["fast"]\npurpose', 1)
        for entry, repository in REPOSITORIES.items()
    ]
    (machine.data_dir / "models.toml").write_text("\n".join([*hidden, *shown]), encoding="utf-8")


def wait_for(size: int, part: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while not part.exists() or part.stat().st_size < size:
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < until
        time.sleep(0.005)


def test_killed_in_the_middle_and_run_again(machine: Machine) -> None:
    machine.hub.fail("big/resolve/main/weights.safetensors", Fault(rate=SIZE / 2))
    process = machine.start("fast")
    wait_for(SIZE // 2, machine.part(), process)
    process.kill()
    process.communicate()
    left = machine.part().stat().st_size
    assert SIZE // 2 <= left < SIZE
    assert [path for path in machine.final_files() if path.stat().st_size == SIZE] == []
    assert machine.store().preset("fast").missing == ("big",)

    machine.hub.faults.clear()
    before = len(machine.hub.gets("big"))
    code, report = machine.pull("fast")
    assert (code, report["received"]) == (0, SIZE - left)
    again = machine.hub.gets("big")[before:]
    assert [(line.range, line.status, line.sent) for line in again] == [(f"bytes={left}-", 206, SIZE - left)]
    store = machine.store()
    assert store.files("big").path("weights.safetensors").read_bytes() == content(0)
    assert {line.outcome for line in store.verify(("big", "small"))} == {"right"}
    assert store.preset("fast").ready


def test_two_processes_at_once_get_each_byte_once(machine: Machine) -> None:
    machine.hub.fail("weights.safetensors", Fault(rate=SIZE))
    processes = [machine.start("fast") for _ in range(2)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(line.sent for line in machine.hub.gets("big/resolve/main/weights.safetensors")) == SIZE
    assert {line.outcome for line in machine.store().verify(("big", "small"))} == {"right"}


def test_what_hubs_do_wrong(machine: Machine) -> None:
    """Each in a process and a home of its own, all at once."""
    faults = {
        "a flipped byte": (Fault(flip_at=1000), "model.corrupt", 91),
        "a truncated body": (Fault(truncate_at=0), "model.download_failed", 95),
        "not found": (Fault(status=404, error_code="EntryNotFound", on_head=True), "model.not_found", 94),
        "gated": (Fault(status=401, error_code="GatedRepo", on_head=True), "model.gated", 93),
        "no such range": (Fault(status=416), "model.download_failed", 95),
        "a server that stalls": (Fault(stall_at=0), "model.download_failed", 95),
        "a broken server": (Fault(status=500, on_head=True), "model.download_failed", 95),
    }
    running: list[tuple[Machine, subprocess.Popen[str], str, int]] = []
    hubs: list[Hub] = []
    for name, (fault, code, exit_code) in faults.items():
        hub = Hub(machine.hub.folder, faults={"small/resolve/main/weights.safetensors": fault}).__enter__()
        hubs.append(hub)
        own = Machine(hub, machine.home / name, machine.home / name / "hf")
        own.data_dir.mkdir(parents=True)
        write_catalogue(own)
        running.append((own, own.start("small", "--quick"), code, exit_code))
    for own, process, code, exit_code in running:
        told, _ = process.communicate(timeout=60)
        error = json.loads(told.splitlines()[-1])
        assert (process.returncode, error["code"]) == (exit_code, code)
        assert "weights.safetensors" in error["message"] and error["remedy"]
        assert own.final_files() == []
    for hub in hubs:
        hub.__exit__()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """96 MB of memory mounted as a disk; skipped where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_and_one_that_fills_up(machine: Machine, small_disk: Path) -> None:
    machine.cache = small_disk / "hf"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(64 << 20))
    code, error = machine.pull("big")
    assert (code, error["code"]) == (96, "model.disk_full")
    assert machine.hub.gets() == [], "what cannot fit is not begun"

    filler.unlink()
    machine.hub.fail("big/resolve/main/weights.safetensors", Fault(rate=SIZE / 2))
    process = machine.start("big")
    wait_for(SIZE // 4, machine.part(), process)
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    told, _ = process.communicate(timeout=60)
    error = json.loads(told.splitlines()[-1])
    assert (process.returncode, error["code"]) == (96, "model.disk_full")
    assert f"{SIZE:,} bytes" in error["message"]
    assert machine.final_files() == []
    left = machine.part().stat().st_size
    assert SIZE // 4 <= left < SIZE

    filler.unlink()
    machine.hub.faults.clear()
    assert machine.pull("big")[0] == 0
    assert machine.hub.gets("big")[-1].range == f"bytes={left}-"
    assert machine.store().files("big").path("weights.safetensors").read_bytes() == content(0)


def test_without_a_network_what_is_here_is_here(machine: Machine) -> None:
    assert machine.pull("fast")[0] == 0
    dead = Machine(machine.hub, machine.home, machine.cache)
    asked = len(machine.hub.log)
    code = (
        "import socket, sys; from pathlib import Path\n"
        "def cut(*_, **__): raise AssertionError('the network was touched')\n"
        "socket.getaddrinfo = socket.socket.connect = cut\n"
        "from kiss3d_backend.models.store import ModelStore; from kiss3d_backend.models.pull import pull\n"
        "store = ModelStore(Path(sys.argv[1])); pull('fast', store)\n"
        "print(len(store.files('big').paths), store.preset('fast').ready)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(dead.data_dir)]
    told = subprocess.run(command, capture_output=True, text=True, env=dead.environment, check=True)
    assert told.stdout.split() == ["2", "True"]
    assert len(machine.hub.log) == asked


def test_a_pickle_that_runs_a_command_does_not_run_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    marker = machine.home / "marker"

    class Runs:
        def __reduce__(self) -> Any:
            return os.system, (f"echo > '{marker}'",)

    hostile = machine.hub.folder / "maker" / "hostile" / "main" / "net.ckpt"
    hostile.parent.mkdir(parents=True)
    torch.save({"state_dict": {"lrm_generator.x": torch.zeros(2)}, "callbacks": Runs()}, hostile)
    lines = catalogue_lines(machine.hub.folder, "hostile", "maker/hostile") + 'convert = "lrm"\n'
    with (machine.data_dir / "models.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + lines)
    code, error = machine.pull("hostile")
    assert (code, error["code"]) in {(91, "model.corrupt"), (92, "model.keys")}
    outcomes = {line.outcome for line in machine.store().verify(("hostile",))}
    assert outcomes == {"right"}, "it is the file that the catalogue names, whatever is in it"
    with pytest.raises(ModelError, match=r"net\.ckpt"):
        import_file(hostile, machine.store())
    assert not machine.store().entry("hostile").ready
    assert not marker.exists()
