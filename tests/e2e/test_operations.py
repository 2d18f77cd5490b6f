"""A backend as its keeper meets it: status, metrics, logs, and the way it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from tests.fakes import recipes
from tests.fakes.backend_process import MISBEHAVING, REPOSITORY, BackendProcess, collect
from tests.fakes.served import Served, client_with

from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.client import Client
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.messages import Event, Finished, Progress, Status
from kiss3d_protocol.redeem import redeem
from kiss3d_protocol.session import Received

PROMPT = "a heron made of brass, in the reeds"


def kiss3d(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-W", "error", "-m", "kiss3d_backend", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)


def log_of(data_dir: Path) -> list[dict[str, Any]]:
    path = DataDir(data_dir).log
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def running(client: Client, job: str) -> None:
    while True:
        news = client.wait(60)
        assert news is not None
        if isinstance(news, Received) and isinstance(news.message, Progress) and news.message.job == job:
            return


def status_of(client: Client) -> Status:
    client.get_status()
    while True:
        news = client.wait(60)
        assert news is not None
        if isinstance(news, Received) and isinstance(news.message, Status):
            return news.message


@frozen
class House(Served):
    """``metrics``: the address of their page."""

    metrics: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("operations") / "data"
    with BackendProcess(root, recipes=MISBEHAVING, arguments=["--metrics", "127.0.0.1:0"]) as process:
        keys = backend_keys()
        registry = ClientRegistry(DataDir(root).clients, keys.owner.public)
        yield House(process.address, DataDir(root), registry, keys.backend.public, process.told["metrics"])
        registry.close()


def test_status_says_how_it_is_and_to_each_client_its_own(house: Served, make_submit: Any) -> None:
    (mine, blob), (others, _) = make_submit(seed=recipes.SLOW), make_submit()
    with (
        client_with(house.address, house.paired("anna")) as anna,
        client_with(house.address, house.paired("ben")) as ben,
        client_with(house.address, backend_keys().of_owner) as owner,
    ):
        for client in (anna, ben, owner):
            client.connected(60)
        anna.submit(mine, [blob])
        running(anna, mine.job)
        ben.submit(others, [blob])
        seen = wait_for(lambda: (status := status_of(ben)).waiting and status)
        assert (seen.running, seen.waiting, seen.clients, seen.worker, seen.stopping) == (1, 1, 3, "busy", False)
        assert [(job.job, job.state) for job in seen.jobs] == [(others.job, "queued")]
        assert seen.connections == () and seen.problems == ()
        assert seen.memory > 30e6 and seen.disk_free > 0 and seen.uptime_seconds > 0
        everything = status_of(owner)
        assert [job.job for job in everything.jobs] == [mine.job, others.job]
        assert {each.client for each in everything.connections} == {"anna", "ben", "local"}
        told = kiss3d("status", "--connect", house.address, "--json")
        assert told.returncode == 0, told.stderr
        line = json.loads(told.stdout)
        assert line["healthy"] is True and [job["job"] for job in line["jobs"]] == [mine.job, others.job]
        people = kiss3d("status", "--connect", house.address)
        assert people.returncode == 0
        assert "1 running, 1 waiting" in people.stdout and "anna" in people.stdout and mine.job[:8] in people.stdout
        for client, job in ((ben, others.job), (anna, mine.job)):
            client.cancel(job)
            collect(client, job)


def test_metrics_have_figures_and_no_names(house: House) -> None:
    text = wait_for(lambda: "kiss3d_worker_up 1.0" in (body := _get(house.metrics)) and body)
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert figures["kiss3d_healthy"] == "1.0"
    assert float(figures["kiss3d_uptime_seconds"]) > 0 and float(figures["kiss3d_memory_bytes"]) > 30e6
    assert 'kiss3d_jobs{state="queued"}' in figures
    assert "anna" not in text and "disc.png" not in text


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def test_a_health_check_of_nobody_fails() -> None:
    nobody = kiss3d("status", "--connect", "127.0.0.1:9", "--timeout", "60", "--json")
    assert nobody.returncode == 41 and json.loads(nobody.stdout)["code"] == "connect.unreachable"


class TestStopping:
    def test_the_running_job_may_end_and_the_others_wait_for_the_next_backend(
        self, tmp_path: Path, make_submit: Any
    ) -> None:
        (first, blob), (second, _), (late, _) = make_submit(seed=recipes.STEADY), make_submit(), make_submit()
        with (
            BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process,
            Client(process.address, "a/1") as client,
        ):
            client.connected(60)
            client.submit(first, [blob])
            running(client, first.job)
            client.submit(second, [blob])
            process.process.send_signal(signal.SIGTERM)
            assert wait_for(lambda: (status := status_of(client)).stopping and status).running == 1
            # A job is still taken in, and not lost.
            client.submit(late, [blob])
            assert isinstance(collect(client, first.job)[-1], Finished)
            assert process.process.wait(60) == 0
        assert states(tmp_path / "data") == {first.job: "finished", second.job: "queued", late.job: "queued"}
        with (
            BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process,
            Client(process.address, "a/1") as client,
        ):
            client.connected(60)
            for job in (second.job, late.job):
                client.attach(job)
                assert isinstance(collect(client, job)[-1], Finished)

    @pytest.mark.parametrize("arguments", [["--grace", "0.3"], ["--grace", "600"]], ids=["time is over", "asked twice"])
    def test_what_does_not_end_is_put_back_and_was_no_attempt(
        self, tmp_path: Path, make_submit: Any, arguments: list[str]
    ) -> None:
        submit, blob = make_submit(seed=recipes.SLOW)
        with (
            BackendProcess(tmp_path / "data", recipes=MISBEHAVING, arguments=arguments) as process,
            Client(process.address, "a/1") as client,
        ):
            client.connected(60)
            client.submit(submit, [blob])
            running(client, submit.job)
            process.process.send_signal(signal.SIGTERM)
            if arguments[1] == "600":
                wait_for(lambda: status_of(client).stopping)
                process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(60) == 0
        assert states(tmp_path / "data") == {submit.job: "queued"}
        store = JobStore(DataDir(tmp_path / "data").database)
        assert store.get(submit.job).attempts == 0
        store.close()
        assert any(
            line.get("job") == submit.job and "put back" in line["message"] for line in log_of(tmp_path / "data")
        )


def states(root: Path) -> dict[str, str]:
    store = JobStore(DataDir(root).database)
    try:
        return {record.job: record.state for record in store.newest(10)}
    finally:
        store.close()


def test_a_whole_run_leaves_the_job_and_no_secret_in_the_logs(
    tmp_path: Path, make_submit: Any, config_dir: Path
) -> None:
    """Pairing, a job with a prompt, one that breaks, nonsense, a revocation: on the terminal and in the file."""
    root = tmp_path / "data"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "kiss3d_backend", "serve", "--bind", "tcp://127.0.0.1:0", "--data-dir", str(root)]
    command += ["--recipes", MISBEHAVING, "--until-stdin-closes"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        assert process.stdout is not None
        address = next(word for word in process.stdout.readline().split() if word.startswith("tcp://"))
        paired = kiss3d("pair", "anna", "--address", address[6:], "--data-dir", str(root), "--json")
        pairing = json.loads(paired.stdout)["pairing"]
        from kiss3d_protocol.pairing_string import parse_pairing

        string = parse_pairing(pairing)
        server = redeem(string, "box", "test/1\nFORGED ERROR line")
        (good, blob), (broken, _) = make_submit(prompt=PROMPT), make_submit(seed=recipes.BROKEN, prompt=PROMPT)
        jobs = [good.job, broken.job]
        with client_with(address, server.keys) as client:
            client.connected(60)
            ends: list[Event] = []
            for submit in (good, broken):
                client.submit(submit, [blob])
                ends.append(collect(client, submit.job)[-1])
            assert isinstance(ends[0], Finished)
            client.attach("0b8f7c1e-5a55-4d5e-9b1e-0123456789ab")
            client.wait(60)
        assert kiss3d("clients", "revoke", "anna", "--data-dir", str(root)).returncode == 0
        _, terminal = process.communicate(timeout=60)
    file = DataDir(root).log.read_text(encoding="utf-8")
    keys = backend_keys()
    secrets = {
        "the backend's key": keys.backend.secret,
        "the owner's key": keys.owner.secret,
        "anna's key": server.keys.own.secret,
        "the pairing string": pairing,
        "the pairing's key": string.keys.own.secret,
        "the prompt": PROMPT,
        "the name of the picture": "disc.png",
    }
    for text in (file, terminal):
        assert [what for what, secret in secrets.items() if secret in text] == []
        assert "anna" in text and all(job in text for job in jobs)
        assert not any(line.startswith("FORGED") for line in text.splitlines())
    lines = log_of(root)
    about = [line for line in lines if line.get("job") == broken.job]
    assert {"kiss3d_backend.broker.broker", "kiss3d.worker"} <= {line["logger"] for line in about}
    assert len({line["process"] for line in about}) == 2
    assert any("the stage is broken" in line.get("error", "") for line in about)
    # The same was told to people, and no JSON.
    assert "accepted from anna" in terminal and '{"time"' not in terminal
