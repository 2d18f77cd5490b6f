"""Commands about keys and jobs beside a backend that runs: everything as processes, and none of them starts again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import recipes
from tests.fakes.backend_process import MISBEHAVING, BackendProcess, collect

from kiss3d_protocol.client import Client
from kiss3d_protocol.deletion import Deleted
from kiss3d_protocol.errors import ERRORS, KeyRefused
from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE
from kiss3d_protocol.messages import Cancelled, Event, Progress
from kiss3d_protocol.servers import find_server
from kiss3d_protocol.session import LinkChanged, LinkState, Received

Command = Callable[..., Any]


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Where the owner of the backend, and two people on other computers, have their keys. The owner's is set."""
    found = {name: tmp_path / name for name in ("owner", "anna", "ben")}
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(found["owner"]))
    return found


@pytest.fixture
def backend(tmp_path: Path, homes: dict[str, Path]) -> Iterator[BackendProcess]:
    with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process:
        yield process
    assert process.stop() == 0


@pytest.fixture
def kiss3d(tmp_path: Path, homes: dict[str, Path]) -> Command:
    """Runs a command as somebody; returns its JSON, or the code of its error."""

    def run(who: str, *arguments: str, told: str = "") -> Any:
        result = subprocess.run(
            [sys.executable, "-m", "kiss3d_backend", *arguments, "--json"],
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "KISS3D_DATA_DIR": str(tmp_path / "data"), CONFIG_DIR_VARIABLE: str(homes[who])},
        )
        assert "Traceback" not in result.stderr
        said = json.loads(result.stdout)
        if result.returncode:
            assert result.returncode == ERRORS[said["code"]].exit_code
            return said["code"]
        return said

    return run


def pair(kiss3d: Command, backend: BackendProcess, name: str, *options: str) -> None:
    address = backend.address.removeprefix("tcp://")
    told = kiss3d("owner", "pair", name, "--address", address, *options)
    assert kiss3d(name, "connect", "--name", "box", told=told["pairing"])["client"] == name


def until(client: Client, kind: type, *, seen: list[Event] | None = None) -> Any:
    while True:
        news = client.wait(60)
        assert news is not None
        if not isinstance(news, Received):
            continue
        if seen is not None and isinstance(news.message, Event) and news.message.number:
            seen.append(news.message)
        if isinstance(news.message, kind):
            return news.message


def back_again(client: Client, seen: list[Event] | None = None) -> None:
    """Waits until the connection has been lost and made anew."""
    lost = False
    while True:
        news = client.wait(60)
        assert news is not None
        if isinstance(news, LinkChanged):
            lost |= news.state is LinkState.LOST
            if lost and news.state is LinkState.CONNECTED:
                return
        elif seen is not None and isinstance(news.message, Event) and news.message.number:
            seen.append(news.message)


def test_keys_rotate_while_a_job_runs_and_nobody_loses_it(
    backend: BackendProcess, homes: dict[str, Path], kiss3d: Command, monkeypatch: pytest.MonkeyPatch, make_submit: Any
) -> None:
    for name in ("anna", "ben"):
        pair(kiss3d, backend, name)
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(homes["anna"]))
    # The commands take a while on a busy machine; this job runs for a minute.
    submit, blob = make_submit(seed=recipes.DEAF)
    before = find_server("box")
    seen: list[Event] = []
    with Client("box", "anna/1") as anna:
        anna.connected(60)
        anna.submit(submit, [blob])
        until(anna, Progress, seen=seen)
        assert kiss3d("owner", "keys", "rotate")["to_renew"] == ["anna", "ben"]
        back_again(anna, seen)
        after = find_server("box")
        assert after.keys.backend != before.keys.backend and after.keys.own == before.keys.own
        until(anna, Progress, seen=seen)
        # The same process goes on with the same job, and the owner may end it.
        (job,) = kiss3d("owner", "jobs", "--connect", backend.address)
        assert (job["job"], job["state"]) == (submit.job, "running")
        stopped = kiss3d("owner", "jobs", "cancel", job["job"][:8], "--connect", backend.address)
        assert stopped == {"job": submit.job, "state": "cancelled"}
        until(anna, Cancelled, seen=seen)
        assert [event.number for event in seen] == list(range(1, len(seen) + 1))
        # Who was not there has to pair again, and is still the same client.
        monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(homes["ben"]))
        with Client("box", "ben/1") as ben, pytest.raises(KeyRefused, match="another key"):
            ben.connected(60)
        pair(kiss3d, backend, "ben", "--renew")
        with Client("box", "ben/1") as ben:
            ben.connected(60)
    # The owner's own clients find new keys in the key file.
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(homes["owner"]))
    with Client(backend.address, "owner/1") as owner:
        owner.connected(60)
        kiss3d("owner", "keys", "rotate")
        back_again(owner)
    clients = kiss3d("owner", "clients", "list")["clients"]
    assert [(client["name"], client["revoked"]) for client in clients] == [("anna", None), ("ben", None)]


def test_jobs_are_deleted_by_their_owner_or_an_admin(
    backend: BackendProcess, homes: dict[str, Path], kiss3d: Command, monkeypatch: pytest.MonkeyPatch, make_submit: Any
) -> None:
    for name in ("anna", "ben"):
        pair(kiss3d, backend, name)
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(homes["anna"]))
    (slow, blob), (quick, _) = make_submit(seed=recipes.HANG), make_submit()
    with Client("box", "anna/1") as anna:
        anna.connected(60)
        anna.submit(quick, [blob])
        collect(anna, quick.job)
        anna.submit(slow, [blob])
        until(anna, Progress)
        # On the disk, behind the back of a backend that works on it, it may not be.
        assert kiss3d("owner", "jobs", "delete", slow.job) == "job.not_ended"
        assert kiss3d("owner", "jobs", "delete", quick.job[:8], slow.job) == "job.not_ended"
        assert kiss3d("owner", "jobs", "delete", "ffffffff") == "job.unknown"
        assert kiss3d("ben", "jobs", "--connect", "box") == []
        assert kiss3d("ben", "jobs", "delete", slow.job, "--connect", "box") == "job.unknown"
        # From one moment to the next ben may do everything, and then no more.
        assert kiss3d("owner", "clients", "admin", "ben") == {"client": "ben", "admin": True}
        assert kiss3d("ben", "jobs", "delete", slow.job[:8], "--connect", "box") == {"deleted": [slow.job]}
        assert kiss3d("owner", "clients", "admin", "ben", "--off") == {"client": "ben", "admin": False}
        assert isinstance(until(anna, Cancelled), Cancelled)
        assert until(anna, Deleted) == Deleted(slow.job)
    assert kiss3d("owner", "clients", "admin", "nobody") == "pairing.client_unknown"
    # The first of two was deleted before the second was refused.
    assert kiss3d("anna", "jobs", "--connect", "box") == []
    assert list((backend.log.parents[1] / "jobs").iterdir()) == []
