"""The executor over Ray without a cluster: what refuses, what places there are, and a line that comes and goes."""

from __future__ import annotations

import importlib.util
import json
import queue
import re
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.architecture.source_tree import ROOT

from kiss3d_backend.config import DataDir
from kiss3d_backend.executor.over_ray import far_files as far
from kiss3d_backend.executor.over_ray import fleet as ray_fleet
from kiss3d_backend.executor.over_ray import remote_worker
from kiss3d_backend.executor.over_ray.connect import connect
from kiss3d_backend.executor.over_ray.file_desk import FileDesk
from kiss3d_backend.executor.over_ray.fleet import Place, places_of
from kiss3d_backend.executor.over_ray.kept_words import KeptWords
from kiss3d_backend.executor.over_ray.remote_worker import RemoteWorker
from kiss3d_backend.executor.over_ray.worker_actor import ActorConfig, WorkerActor
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.reports.record import RunRecord
from kiss3d_backend.worker.messages import CancelJob, WorkerNetworks, WorkerReady, to_fields
from kiss3d_backend.worker.process import Ended
from kiss3d_protocol.errors import ArtifactLost, ClusterUnreachable, DataDirectoryUnusable, EnginePartMissing
from kiss3d_protocol.messages import new_job_id


def test_ray_understands_what_the_page_has_it_start() -> None:
    start = pytest.importorskip("ray.scripts.scripts", reason="Ray has no wheels for Macs with Intel processors").start
    page = (ROOT / "docs" / "more-machines.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ray start (.+)$", page, re.MULTILINE) + re.findall(r"`ray start (--.+?)`", page)
    known = {option for parameter in start.params for option in parameter.opts}
    said = {word for line in lines for word in shlex.split(line) if word.startswith("--")}
    assert {"--head", "--address", "--port", "--num-gpus"} <= said <= known


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnginePartMissing) as refused:
        connect("auto")
    assert refused.value.code == "backend.part_missing" and "kiss3d[ray]" in refused.value.remedy


@pytest.mark.parametrize("address", ["ray://box:10001", "box", "box:", ":6379", "box:port", "127.0.0.1:99999"])
def test_what_is_no_address_of_a_cluster_is_refused(address: str) -> None:
    with pytest.raises(ClusterUnreachable):
        connect(address)


def test_a_backend_without_its_cluster_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound, but nobody listens there.
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-W", "error", "-m", "kiss3d_backend", "serve", "--bind", "127.0.0.1:0", "--json"]
        command += ["--data-dir", str(tmp_path / "data"), "--executor", "ray", "--ray-address", address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ClusterUnreachable.exit_code
    told = json.loads(done.stdout)
    assert (told["event"], told["code"]) == ("error", "backend.cluster_unreachable") and address in told["message"]
    assert not (tmp_path / "data").exists()


def node(identity: str, *, cards: float | None = None, cores: float = 8.0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": cores, **({} if cards is None else {"GPU": cards})}
    return {"Alive": alive, "NodeID": identity * 56, "NodeManagerHostname": "box", "Resources": resources}


def test_there_is_a_place_for_each_card_of_each_machine_that_lives() -> None:
    nodes = [node("b", cards=2.0), node("a", cards=1.0, cores=0.0), node("c"), node("d", cards=1.0, alive=False)]
    assert places_of(nodes) == (
        Place("box/aaaaaaaa/0", "a" * 56, 1),
        Place("box/bbbbbbbb/0", "b" * 56, 4),
        Place("box/bbbbbbbb/1", "b" * 56, 4),
    )
    assert places_of([]) == ()


def test_a_fleet_follows_the_machines_and_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nodes: list[dict[str, Any]] = [node("a", cards=1.0)]
    away: list[Exception] = []

    def listed() -> list[dict[str, Any]]:
        if away:
            raise away[0]
        return nodes

    context = SimpleNamespace(get_node_id=lambda: "here")
    fake = SimpleNamespace(nodes=listed, get_runtime_context=lambda: context, shutdown=lambda: None)
    monkeypatch.setattr(ray_fleet, "connect", lambda address: None)
    monkeypatch.setattr(ray_fleet, "ray_api", lambda: fake)
    monkeypatch.setattr(ray_fleet, "_actor", lambda cls, node, **options: lambda *arguments: None)
    monkeypatch.setattr(ray_fleet, "WATCH_SECONDS", 3600.0)
    fleet = ray_fleet.RayFleet("auto", tmp_path, "unused:RECIPES", None)
    before = fleet.slots()
    assert list(before) == ["box/aaaaaaaa/0"] and fleet.problem is None
    nodes.append(node("b", cards=1.0))
    fleet.look()
    assert list(fleet.slots()) == ["box/aaaaaaaa/0", "box/bbbbbbbb/0"]
    assert fleet.slots()["box/aaaaaaaa/0"] is before["box/aaaaaaaa/0"]
    away.append(OSError("the head is away"))
    fleet.look()
    assert len(fleet.slots()) == 2, "nobody knows that they are gone"
    assert fleet.problem is not None and fleet.problem.code == "backend.cluster_unreachable"
    away.clear()
    nodes[:] = [node("c")]
    fleet.look()
    assert fleet.slots() == {} and fleet.problem.code == "backend.no_workers"
    fleet.close()


def test_words_are_kept_until_what_follows_is_asked_for() -> None:
    words = KeptWords()
    for number in range(3):
        words.add(("log", str(number)))
    assert [text for _, text in words.after(0, 0.0)] == ["0", "1", "2"]
    assert [text for _, text in words.after(0, 0.0)] == ["0", "1", "2"], "the answer was lost"
    words.add(("log", "3"))
    assert [text for _, text in words.after(2, 0.0)] == ["2", "3"]
    assert words.after(4, 0.0) == []
    threading.Timer(0.05, words.add, [("log", "4")]).start()
    assert words.after(4, 60.0) == [("log", "4")], "whoever waits is woken"


def test_another_version_does_not_join() -> None:
    with pytest.raises(RuntimeError, match=r"but the backend is 0\.0\.1"):
        WorkerActor(ActorConfig("0.0.1", "/nowhere", "unused:RECIPES", None, 1), None)


class RayError(Exception):
    """As Ray's."""


class Unavailable(RayError):
    """As Ray's ActorUnavailableError."""


class FakeRay:
    """Ray, whose calls fail as often as the test says: before they arrive, or on the way back."""

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(ActorUnavailableError=Unavailable, RayError=RayError)
        self.killed: list[Any] = []

    def wait(self, references: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return references, []

    def get(self, reference: Any, timeout: float = 0.0) -> Any:
        if isinstance(reference, BaseException):
            raise reference
        return reference

    def kill(self, actor: Any) -> None:
        self.killed.append(actor)


class FakeActor:
    """An actor in this process, behind a line on which every second call is lost in one way or the other."""

    def __init__(self) -> None:
        self.words = KeptWords()
        self.orders: dict[int, dict[str, Any]] = {}
        self.calls = 0
        self.gone: Exception | None = None
        self.said = SimpleNamespace(remote=lambda heard: self._carry(lambda: self.words.after(heard, 0.01)))
        self.take = SimpleNamespace(
            remote=lambda number, fields: self._carry(lambda: self.orders.setdefault(number, fields))
        )

    def _carry(self, act: Any) -> Any:
        if self.gone is not None:
            return self.gone
        self.calls += 1
        if self.calls % 4 == 1:
            return Unavailable("on the way there")
        result = act()
        return Unavailable("on the way back") if self.calls % 4 == 3 else result


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    for module in (remote_worker, far):
        monkeypatch.setattr(module, "ray_api", lambda: fake)
    monkeypatch.setattr(remote_worker, "AGAIN_SECONDS", 0.001)
    return fake


def test_nothing_is_skipped_or_doubled_over_a_line_that_fails(ray: FakeRay) -> None:
    actor, told = FakeActor(), queue.SimpleQueue[Any]()
    worker = RemoteWorker("box/1/0", actor, told.put, lambda: None)
    said = [WorkerReady(7, {}), *(WorkerNetworks((str(number),), ()) for number in range(50))]
    for message in said:
        actor.words.add(("message", to_fields(message)))
    orders = [CancelJob(new_job_id()) for _ in range(20)]
    for order in orders:
        worker.say(order)
    assert [told.get(timeout=30) for _ in said] == said
    while len(actor.orders) < len(orders):
        pass
    assert list(actor.orders.values()) == [to_fields(order) for order in orders]
    worker.close(30)
    assert isinstance(told.get(timeout=30), Ended) and told.empty()
    assert ray.killed == [actor]


def test_the_end_of_a_worker_is_told_once_and_of_one_that_is_killed_at_once(ray: FakeRay) -> None:
    actor, told = FakeActor(), queue.SimpleQueue[Any]()
    worker = RemoteWorker("box/1/0", actor, told.put, lambda: None)
    actor.gone = RayError("the node has died")
    end = told.get(timeout=30)
    assert isinstance(end, Ended) and end.why.code == "job.worker_died" and "box/1/0" in end.why.message
    worker.close(30)
    assert told.empty()
    # One behind a line that stays cut off.
    actor = FakeActor()
    actor.gone = Unavailable("for ever")
    worker = RemoteWorker("box/2/0", actor, told.put, lambda: None)
    worker.kill()
    assert isinstance(told.get(timeout=30), Ended)
    worker.close(30)
    assert told.empty() and ray.killed == [actor]


class LocalDesk:
    """The handle of a desk that is in this process."""

    def __init__(self, desk: FileDesk) -> None:
        self._desk = desk

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._desk, name))


def test_files_of_other_machines_lie_beside_the_backend(ray: FakeRay, data_dir: DataDir) -> None:
    files = far.far_files(LocalDesk(FileDesk(str(data_dir.root))))
    name = files.artifacts.put(memoryview(b"a mesh"))
    assert files.artifacts.read(name) == b"a mesh"
    assert (data_dir.artifacts / name[:2] / name).read_bytes() == b"a mesh"
    with pytest.raises(ArtifactLost):
        files.artifacts.read("0" * 64)
    assert files.checkpoints.load("k" * 64) is None
    files.checkpoints.save("k" * 64, (np.arange(3), "three"))
    loaded = files.checkpoints.load("k" * 64)
    assert loaded is not None and loaded[0][1] == "three" and loaded[0][0].tolist() == [0, 1, 2]
    job = new_job_id()
    files.reports.save_run(job, RunRecord(recipe="fake", jobs_before=2))
    files.reports.save_picture(job, "preview-1.webp", b"a picture")
    folder = ReportFolder(data_dir.reports)
    assert folder.read_run(job) == RunRecord(recipe="fake", jobs_before=2)
    assert (folder.folder(job) / "preview-1.webp").read_bytes() == b"a picture"
    for wrong in ("../preview.webp", "..", "", "a/b"):
        with pytest.raises(ValueError, match="not a plain name"):
            files.reports.save_picture(job, wrong, b"")


def test_a_desk_that_cannot_be_reached_costs_notes_and_ends_what_needs_it(ray: FakeRay) -> None:
    away = SimpleNamespace(remote=lambda *_: RayError("away"))
    files = far.far_files(SimpleNamespace(**dict.fromkeys(vars(FileDesk), away)))
    with pytest.raises(DataDirectoryUnusable):
        files.artifacts.put(b"a mesh")
    assert files.checkpoints.load("k" * 64) is None
    files.checkpoints.save("k" * 64, "value")
    with pytest.raises(OSError, match="cannot be reached"):
        files.reports.save_run(new_job_id(), RunRecord())
