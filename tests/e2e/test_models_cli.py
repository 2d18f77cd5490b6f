"""``kiss3d models`` and pulls over the protocol, against a hub of tests, with a catalogue of tiny files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.fakes.backend_process import MISBEHAVING, REPOSITORY, BackendProcess
from tests.fakes.hub import Fault, Hub, catalogue_lines

from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import ERRORS
from kiss3d_protocol.messages import Refused, Welcome
from kiss3d_protocol.models import (
    ModelList,
    PullCancelled,
    PullFailed,
    PullFinished,
    PullProgress,
)
from kiss3d_protocol.session import LinkChanged, Received

WEIGHTS = bytes(range(256)) * 4096
"""1 MiB."""
CONFIG = b'{"width": 3}\n'
LARGE = "weights.safetensors"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Two repositories: ``small/one`` has weights and a configuration, ``gated/two`` only a configuration."""
    folder = tmp_path / "hub"
    files = {f"small/one/main/{LARGE}": WEIGHTS, "small/one/main/config.json": CONFIG}
    for name, content in {**files, "gated/two/main/config.json": b"{}"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with Hub(folder) as hub:
        hub.gated.add("gated/two")
        yield hub


@pytest.fixture
def data_dir(tmp_path: Path, hub: Hub) -> Path:
    """With a models.toml: ``one`` is needed by the draft preset, ``two`` is gated and needed by none."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    one = catalogue_lines(hub.folder, "one", "small/one")
    two = catalogue_lines(hub.folder, "two", "gated/two")
    one = one.replace('purpose = "a test"', 'purpose = "a test"\npresets = ["draft"]\nlicence = "MIT"')
    two = two.replace('purpose = "a test"', 'purpose = "a test"\ngated = true\nlicence = "Strict"')
    (data_dir / "models.toml").write_text(one + two, encoding="utf-8")
    return data_dir


@pytest.fixture
def environment(tmp_path: Path, hub: Hub, data_dir: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = tmp_path / "home"
    home.mkdir()
    return {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": hub.address,
        "KISS3D_DATA_DIR": str(data_dir),
        "COLUMNS": "200",
    }


@pytest.fixture
def kiss3d(environment: dict[str, str]) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "kiss3d_backend", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def states(kiss3d: Run) -> dict[str, str]:
    return {model["name"]: model["state"] for model in json.loads(kiss3d("models", "list", "--json").stdout)}


def slow(hub: Hub, rate: float = 200_000.0) -> None:
    """So slow that all of it takes five seconds."""
    hub.fail(LARGE, Fault(rate=rate))


def test_list_shows_what_is_known(kiss3d: Run) -> None:
    models = {model["name"]: model for model in json.loads(kiss3d("models", "list", "--json").stdout)}
    one, two = models["one"], models["two"]
    assert (one["state"], one["size"], one["have"]) == ("missing", len(WEIGHTS) + len(CONFIG), 0)
    assert (one["licence"], one["gated"], one["presets"], one["sha256"]) == ("MIT", False, ["draft"], "known")
    assert (two["licence"], two["gated"]) == ("Strict", True)
    assert "flux_schnell_fp8" in models
    table = kiss3d("models", "list").stdout
    (line,) = [line for line in table.splitlines() if line.strip().startswith("one ")]
    assert "missing" in line and "1.0 MB" in line and "MIT" in line and "published" in line
    assert "models.toml" in table


def test_pull_verify_path_and_a_damaged_file(kiss3d: Run, hub: Hub) -> None:
    done = kiss3d("models", "pull", "one", "--json")
    assert done.returncode == 0, done.stderr
    told = lines_of(done.stdout)
    assert {line["event"] for line in told} == {"progress", "finished"}
    progress = [line for line in told if line["event"] == "progress" and line["step"] == "download"]
    assert progress[-1]["bytes"] == progress[-1]["total"] == len(WEIGHTS) + len(CONFIG)
    assert told[-1]["entries"] == ["one"]
    assert told[-1]["received"] == len(WEIGHTS) + len(CONFIG)
    assert states(kiss3d)["one"] == "ready"

    found = json.loads(kiss3d("models", "path", "one", "--json").stdout)["files"]
    assert sorted(found) == ["config.json", LARGE]

    right = json.loads(kiss3d("models", "verify", "--json").stdout)
    assert [(line["entry"], line["outcome"]) for line in right] == [("one", "right"), ("one", "right")]
    weights = Path(found[LARGE]).resolve()
    weights.chmod(0o600)
    weights.write_bytes(b"x" + WEIGHTS[1:])
    wrong = kiss3d("models", "verify", "one")
    assert wrong.returncode == ERRORS["model.corrupt"].exit_code
    assert f"one/{LARGE}" in wrong.stderr and "Traceback" not in wrong.stderr


def test_errors_have_their_exit_codes(kiss3d: Run, data_dir: Path) -> None:
    for arguments, code in (
        (("models", "pull", "three"), "model.catalogue_invalid"),
        (("models", "path", "one"), "model.missing"),
        (("models", "verify", "one"), "model.missing"),
    ):
        result = kiss3d(*arguments, "--json")
        assert result.returncode == ERRORS[code].exit_code, (arguments, result.stderr)
        assert lines_of(result.stdout)[-1]["code"] == code
        assert "Traceback" not in result.stderr
    refused = kiss3d("models", "pull", "two")
    assert refused.returncode == ERRORS["model.gated"].exit_code
    gated = refused.stderr
    assert "'Strict'" in gated and "https://huggingface.co/gated/two" in gated and "hf auth login" in gated
    (data_dir / "models.toml").write_text("[one]\nlicense = 3\n", encoding="utf-8")
    broken = kiss3d("models", "list")
    assert broken.returncode == ERRORS["model.catalogue_invalid"].exit_code
    assert "license" in broken.stderr


def part_of(environment: dict[str, str]) -> Path | None:
    return next(Path(environment["HF_HOME"]).rglob("*.part"), None)


def test_ctrl_c_keeps_what_has_come(environment: dict[str, str], hub: Hub, kiss3d: Run) -> None:
    slow(hub)
    command = [sys.executable, "-m", "kiss3d_backend", "models", "pull", "one", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["bytes"] > 100_000:
            break
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert lines_of(rest)[-1] == {"event": "cancelled"}
    assert "Traceback" not in errors
    assert states(kiss3d)["one"] == "partial"
    hub.faults.clear()
    assert kiss3d("models", "pull", "draft").returncode == 0
    resumed = [line for line in hub.gets(LARGE) if line.range is not None]
    assert [line.status for line in resumed] == [206]


def test_import_and_prune(kiss3d: Run, tmp_path: Path, environment: dict[str, str], hub: Hub) -> None:
    source = tmp_path / "downloaded by hand.bin"
    source.write_bytes(WEIGHTS)
    told = json.loads(kiss3d("models", "import", source, "--json").stdout)
    assert (told["entry"], told["file"], told["trust"]) == ("one", LARGE, "catalogue")
    assert Path(told["path"]).read_bytes() == WEIGHTS
    other = tmp_path / "something else.bin"
    other.write_bytes(b"something else")
    unknown = kiss3d("models", "import", other)
    assert unknown.returncode == ERRORS["model.not_found"].exit_code
    wrong = kiss3d("models", "import", other, "--entry", "one", "--file", LARGE)
    assert wrong.returncode == ERRORS["model.corrupt"].exit_code
    assert kiss3d("models", "pull", "one").returncode == 0
    assert not hub.gets(LARGE)

    assert "nothing to delete" in kiss3d("models", "prune").stdout
    part = Path(environment["HF_HOME"]) / "hub" / "models--small--one" / "blobs" / f"{'0' * 64}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"half")
    asked = kiss3d("models", "prune")
    assert "Nothing was deleted" in asked.stdout and part.exists()
    gone = json.loads(kiss3d("models", "prune", "--yes", "--json").stdout)
    assert (gone["deleted"], [file["path"] for file in gone["files"]]) == (True, [str(part)])
    assert not part.exists()


# ---------------------------------------------------------------------------------------------- over the protocol


@pytest.fixture
def backend(data_dir: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[BackendProcess]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with BackendProcess(data_dir, recipes=MISBEHAVING) as process:
        yield process
    assert process.errors == ""


def until(client: Client, kind: type | tuple[type, ...], seen: list[Any] | None = None, timeout: float = 20.0) -> Any:
    """The next message of this class; what came before goes to ``seen``."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        news = client.wait(left)
        if isinstance(news, Received):
            if isinstance(news.message, kind):
                return news.message
            if seen is not None:
                seen.append(news.message)
        elif isinstance(news, LinkChanged) and news.welcome is not None and seen is not None:
            seen.append(news.welcome)
    raise AssertionError(f"no {kind} came")


def test_a_pull_over_the_protocol_changes_what_is_offered(backend: BackendProcess, make_submit: Any) -> None:
    with Client(backend.address, "test/1") as client, Client(backend.address, "other/1") as other:
        welcome = client.connected(60)
        other.connected(60)
        draft = welcome.presets[0]
        assert (draft.offered, draft.missing_models) == (False, ("one",))
        assert draft.bytes_to_get == len(WEIGHTS) + len(CONFIG)
        assert "one" in welcome.missing_models and welcome.bytes_to_get > draft.bytes_to_get
        submit, blob = make_submit()
        client.submit(submit, [blob])
        refused = until(client, Refused)
        assert refused.code == "model.missing" and "models pull draft" in refused.remedy

        client.list_models()
        listed = until(client, ModelList)
        assert {model.name: model.state for model in listed.models}["one"] == "missing"
        assert listed.pulling == ()

        seen: list[Any] = []
        client.pull_models("draft")
        assert until(client, PullFinished, seen) == PullFinished(("one",))
        progress = [message for message in seen if isinstance(message, PullProgress)]
        assert progress[-1].bytes == progress[-1].total == draft.bytes_to_get
        (changed,) = [message for message in seen if isinstance(message, Welcome)]
        assert changed.presets[0].offered and changed.instance == welcome.instance
        # Somebody who did not pull hears of the change too, and of nothing else.
        news = other.wait(60)
        assert isinstance(news, LinkChanged) and news.welcome is not None and news.welcome.presets[0].offered
        client.submit(submit, [blob])
        assert not isinstance(until(client, object), Refused)


def test_bad_pulls_are_refused_and_errors_arrive(backend: BackendProcess) -> None:
    with Client(backend.address, "test/1") as client:
        client.connected(60)
        client.pull_models(None, ["three"])
        assert until(client, Refused).code == "model.catalogue_invalid"
        client.pull_models("draught")
        assert until(client, Refused).code == "params.preset_unknown"
        client.pull_models(None, ["two"])
        failed = until(client, PullFailed)
        assert failed.code == "model.gated" and "hf auth login" in failed.remedy
        client.cancel_pull()
        assert until(client, PullCancelled) == PullCancelled()


def test_a_pull_is_joined_and_cancelled_and_gone_on_with(
    backend: BackendProcess, hub: Hub, environment: dict[str, str]
) -> None:
    slow(hub)
    with Client(backend.address, "a/1") as first, Client(backend.address, "b/1") as second:
        first.connected(60)
        second.connected(60)
        first.pull_models(None, ["one"])
        while until(first, PullProgress).bytes < 100_000:
            pass
        second.list_models()
        pulling = until(second, ModelList).pulling
        assert pulling == ("one",)
        second.pull_models(None, pulling)
        assert until(second, PullProgress).total == len(WEIGHTS) + len(CONFIG)
        second.cancel_pull()
        asked = time.monotonic()
        for client in (first, second):
            assert until(client, (PullCancelled, PullFinished, PullFailed)) == PullCancelled()
        assert time.monotonic() - asked < 5
        assert len(hub.gets(LARGE)) == 1
        assert part_of(environment) is not None
        hub.faults.clear()
        first.pull_models(None, ["one"])
        assert until(first, (PullCancelled, PullFinished, PullFailed)) == PullFinished(("one",))
    assert [line.status for line in hub.gets(LARGE)] == [200, 206]


def test_a_client_that_comes_back_hears_the_end(backend: BackendProcess, hub: Hub) -> None:
    slow(hub, 500_000.0)
    with Client(backend.address, "test/1") as client:
        client.connected(60)
        client.pull_models("draft")
        until(client, PullProgress)
    with Client(backend.address, "test/1") as again:
        again.connected(60)
        again.list_models()
        assert until(again, ModelList).pulling == ("one",)
        again.pull_models("draft")
        assert until(again, PullFinished) == PullFinished(("one",))
    assert len(hub.gets(LARGE)) == 1


def test_a_pull_ends_with_its_backend(backend: BackendProcess, environment: dict[str, str], hub: Hub) -> None:
    slow(hub, 50_000.0)
    with Client(backend.address, "test/1") as client:
        client.connected(60)
        client.pull_models("draft")
        while until(client, PullProgress).bytes < 20_000:
            pass
        children = psutil.Process(backend.process.pid).children()
        (pull,) = [child for child in children if "pull" in child.cmdline()]
        backend.kill()
        assert psutil.wait_procs([pull], timeout=10)[1] == []
    assert part_of(environment) is not None
