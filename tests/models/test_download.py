"""Downloads from a hub that misbehaves: each ends in the right file or in a clear error, never in a wrong file."""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.fakes.hub import Fault, Hub
from tests.models.conftest import CONFIG, QUICK, REPOSITORY, WEIGHTS

from kiss3d_backend.models.pull import PullProgress, pull
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.errors import (
    JobCancelled,
    Kiss3DError,
    ModelDiskFull,
    ModelDownloadFailed,
    ModelFileCorrupt,
    ModelFileMissing,
    ModelGated,
    ModelNotFound,
    ModelsOffline,
)

MakeStore = Callable[..., ModelStore]
FILE = "weights.safetensors"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def get(store: ModelStore, **more: Any) -> None:
    pull("thing", store, settings=QUICK, **more)


def final_files(store: ModelStore) -> list[bytes]:
    """The contents of everything that has a final name."""
    found = [path for path in store.cache.root.rglob("*") if path.is_file() and not path.is_symlink()]
    names = [path for path in found if path.suffix != ".lock" and not path.name.endswith(".part")]
    return [path.read_bytes() for path in names if "refs" not in path.parts]


def part(store: ModelStore) -> Path:
    return store.cache.part(REPOSITORY, SHA256)


def test_all_files_arrive_and_are_known(make_store: MakeStore) -> None:
    store = make_store()
    told: list[PullProgress] = []
    report = pull("thing", store, told.append, settings=QUICK)
    assert sorted(report.downloaded) == ["thing/config.json", "thing/sub/config.json", f"thing/{FILE}"]
    assert report.received == len(WEIGHTS) + len(CONFIG) * (1 if len(final_files(store)) == 2 else 2)
    files = store.files("thing")
    assert files.path(FILE).read_bytes() == WEIGHTS
    assert files.path("sub/config.json").read_bytes() == CONFIG
    assert [state.status for state in store.entry("thing").files] == ["verified"] * 3
    assert (told[-1].step, told[-1].done, told[-1].eta_seconds) == ("download", told[-1].total, 0.0)
    assert told[-1].total == len(WEIGHTS) + 2 * len(CONFIG)


def test_a_second_pull_asks_the_hub_for_nothing(hub: Hub, make_store: MakeStore) -> None:
    get(make_store())
    asked = len(hub.log)
    get(make_store())
    assert len(hub.log) == asked


def test_a_truncated_body_is_gone_on_with(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(times=1, truncate_at=300_000))
    store = make_store()
    get(store)
    assert [(line.range, line.status) for line in hub.gets(FILE)] == [(None, 200), ("bytes=300000-", 206)]
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


def test_what_a_dead_process_left_is_gone_on_with(hub: Hub, make_store: MakeStore) -> None:
    store = make_store()
    part(store).parent.mkdir(parents=True)
    part(store).write_bytes(WEIGHTS[:500_000])
    assert [(state.status, state.done) for state in store.entry("thing").files if state.file.name == FILE] == [
        ("partial", 500_000)
    ]
    get(store)
    assert [(line.range, line.status, line.sent) for line in hub.gets(FILE)] == [
        ("bytes=500000-", 206, len(WEIGHTS) - 500_000)
    ]
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


def test_a_damaged_part_is_thrown_away(hub: Hub, make_store: MakeStore) -> None:
    store = make_store()
    part(store).parent.mkdir(parents=True)
    part(store).write_bytes(b"x" + WEIGHTS[1:500_000])
    get(store)
    assert [line.range for line in hub.gets(FILE)] == ["bytes=500000-", None]
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


@pytest.mark.parametrize("length", [len(WEIGHTS), len(WEIGHTS) + 7])
def test_a_part_of_full_or_more_length(hub: Hub, make_store: MakeStore, length: int) -> None:
    store = make_store()
    part(store).parent.mkdir(parents=True)
    part(store).write_bytes((WEIGHTS + b"surplus")[:length])
    get(store)
    assert len(hub.gets(FILE)) == (0 if length == len(WEIGHTS) else 1)
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


def test_a_hub_that_ignores_ranges_starts_afresh(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(ignore_range=True))
    store = make_store()
    part(store).parent.mkdir(parents=True)
    part(store).write_bytes(WEIGHTS[:500_000])
    get(store)
    assert [(line.range, line.status) for line in hub.gets(FILE)] == [("bytes=500000-", 200)]
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


def test_a_file_that_changed_on_the_hub_starts_afresh(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(truncate_at=300_000))
    store = make_store(hashes=False)
    with pytest.raises(ModelDownloadFailed):
        get(store)
    hub.faults.clear()
    newer = WEIGHTS[::-1]
    (hub.folder / REPOSITORY / "main" / FILE).write_bytes(newer)
    get(store)
    assert hub.gets(FILE)[-1].range is None
    assert store.files("thing").path(FILE).read_bytes() == newer


def test_a_file_that_changes_between_description_and_body_is_not_mixed(
    hub: Hub, make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store(hashes=False)
    etag = hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG).hexdigest()
    half = store.cache.part(REPOSITORY, etag)
    half.parent.mkdir(parents=True)
    half.write_bytes(CONFIG[:4])
    (tmp_path / "newer.json").write_bytes(b'{"width": 4}\n')
    hub.fail("config.json", Fault(times=1, another=tmp_path / "newer.json"))
    get(store)
    answers = [(line.range, line.status) for line in hub.gets("config.json")]
    assert answers[:1] == [("bytes=4-", 200)], "If-Range keeps the hub from sending the rest of another file"
    assert store.files("thing").path("config.json").read_bytes() == CONFIG


def test_416_starts_afresh(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(times=1, status=416))
    store = make_store()
    part(store).parent.mkdir(parents=True)
    part(store).write_bytes(WEIGHTS[:500_000])
    get(store)
    assert [line.range for line in hub.gets(FILE)] == ["bytes=500000-", None]
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "fault", [Fault(times=1, flip_at=70_000), Fault(times=2, status=503), Fault(times=1, status=429)]
)
def test_what_passes_by_is_retried(hub: Hub, make_store: MakeStore, fault: Fault) -> None:
    hub.fail(FILE, fault)
    store = make_store()
    get(store)
    assert store.files("thing").path(FILE).read_bytes() == WEIGHTS


def test_a_flipped_byte_that_stays_is_an_error(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(flip_at=70_000))
    store = make_store()
    with pytest.raises(ModelFileCorrupt, match="twice in a row"):
        get(store)
    assert WEIGHTS not in final_files(store)
    assert all(content == CONFIG for content in final_files(store))
    assert not part(store).exists()


def test_a_flipped_byte_in_a_small_file_is_seen_without_a_known_hash(hub: Hub, make_store: MakeStore) -> None:
    hub.fail("config.json", Fault(flip_at=5))
    store = make_store(hashes=False)
    with pytest.raises(ModelFileCorrupt):
        get(store)
    assert not store.cache.find(REPOSITORY, "main", "config.json")


def test_a_stalled_hub_is_given_up(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(stall_at=300_000))
    store = make_store()
    with pytest.raises(ModelDownloadFailed, match=r"nothing came for 0.2 s"):
        get(store)
    assert part(store).stat().st_size == 300_000
    hub.faults.clear()
    get(store)
    assert hub.gets(FILE)[-1].range == "bytes=300000-"


@pytest.mark.parametrize(
    ("toml", "fault", "error", "words"),
    [
        ("", Fault(status=404, error_code="EntryNotFound", on_head=True), ModelNotFound, FILE),
        ("", Fault(status=401, error_code="GatedRepo", on_head=True), ModelGated, "licence"),
        ("", Fault(status=403, on_head=True), ModelGated, f"huggingface.co/{REPOSITORY}"),
        ("", Fault(status=403), ModelGated, "hf auth login"),
        ("", Fault(status=404), ModelNotFound, FILE),
        ("", Fault(status=500, on_head=True), ModelDownloadFailed, "HTTP 500"),
        ("", Fault(status=400), ModelDownloadFailed, "HTTP 400"),
        ('[thing]\nrevision = "v9"', None, ModelNotFound, "v9"),
        ('[thing]\nrepository = "no/body"', None, ModelNotFound, "no/body"),
    ],
)
def test_refusals(
    hub: Hub, make_store: MakeStore, toml: str, fault: Fault | None, error: type[Kiss3DError], words: str
) -> None:
    if fault is not None:
        hub.fail(FILE, fault)
    store = make_store(toml)
    with pytest.raises(error, match=words) as caught:
        get(store)
    assert caught.value.remedy
    assert WEIGHTS not in final_files(store)


def test_refusals_that_stay_are_not_retried(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(status=404, error_code="EntryNotFound", on_head=True))
    with pytest.raises(ModelNotFound):
        get(make_store())
    assert len([line for line in hub.log if line.path.endswith(FILE)]) == 1


def test_an_optional_file_may_be_absent(hub: Hub, make_store: MakeStore) -> None:
    store = make_store('[thing.files."extra.json"]\noptional = true')
    assert pull("thing", store, settings=QUICK).absent == ("thing/extra.json",)
    assert store.entry("thing").ready
    assert "extra.json" not in store.files("thing").paths


def test_a_gated_repository_needs_the_token_which_nobody_else_sees(
    hub: Hub, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.gated.add(REPOSITORY)
    with pytest.raises(ModelGated):
        get(make_store())
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    caplog.set_level("DEBUG")
    with Hub(hub.folder) as storage:
        hub.storage = storage
        get(make_store())
        assert [line.token for line in storage.log] == [False]
    assert hub.gets("config.json")[0].token
    assert "verysecret" not in caplog.text
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"verysecret" in path.read_bytes()]
    assert kept == []


def test_a_token_that_cannot_be_sent_is_not_told(
    hub: Hub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecrét")
    with pytest.raises(ModelDownloadFailed) as caught:
        get(make_store())
    seen: BaseException | None = caught.value
    assert "HF_TOKEN" in str(seen)
    assert seen is not None and seen.__cause__ is None and "secr" not in str(seen)


def test_an_expired_address_of_the_storage_host_is_renewed(hub: Hub, make_store: MakeStore) -> None:
    with Hub(hub.folder) as storage:
        hub.storage = storage
        storage.fail(f"{FILE}?signature=secret", Fault(times=1, status=403))
        store = make_store()
        get(store)
        assert [line.status for line in storage.gets(FILE)] == [403, 200]
    assert len([line for line in hub.log if line.path.endswith(FILE)]) == 2


def test_offline_touches_no_network(hub: Hub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelsOffline, match="HF_HUB_OFFLINE"):
        get(make_store())
    assert hub.log == []


def test_another_file_than_the_catalogue_names_is_not_even_begun(hub: Hub, make_store: MakeStore) -> None:
    store = make_store(f'[thing.files."{FILE}"]\nsha256 = "{"0" * 64}"')
    with pytest.raises(ModelFileCorrupt, match="another file"):
        get(store)
    assert hub.gets() == []


@pytest.mark.parametrize("name", [FILE, "config.json"])
def test_what_was_trusted_at_first_is_held_to_it(hub: Hub, make_store: MakeStore, name: str) -> None:
    store = make_store(hashes=False)
    get(store)
    assert {state.trust for state in store.entry("thing").files} == {"trusted on first use"}
    shutil.rmtree(store.cache.root)
    path = hub.folder / REPOSITORY / "main" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelFileCorrupt):
        get(store)
    assert path.read_bytes() not in final_files(store)


def test_cancel_ends_at_once_and_keeps_the_part(hub: Hub, make_store: MakeStore) -> None:
    hub.fail(FILE, Fault(stall_at=300_000))
    store = make_store()
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(JobCancelled):
        pull("thing", store, cancel=cancel, settings=evolve(QUICK, stall=20.0))
    assert time.monotonic() - started < 0.3 + 0.5
    assert part(store).stat().st_size == 300_000


def test_a_full_disk_is_told_before(hub: Hub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage(hub.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=1_000_000))
    with pytest.raises(ModelDiskFull, match=r"0\.00 GB free"):
        get(make_store())
    assert hub.gets() == []


def test_a_disk_that_fills_up_keeps_the_part(hub: Hub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from kiss3d_backend.models.download import transfer

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = make_store()
    monkeypatch.setattr(transfer.os, "fsync", full)
    with pytest.raises(ModelDiskFull, match="bytes of"):
        get(store)
    monkeypatch.undo()
    assert final_files(store) == []


def test_a_users_own_file_that_is_not_there_is_not_downloaded(hub: Hub, make_store: MakeStore) -> None:
    store = make_store(f'[thing.files."{FILE}"]\nlocal = "mine.safetensors"')
    with pytest.raises(ModelFileMissing, match=r"mine\.safetensors"):
        get(store)
    assert hub.log == []


def test_without_links_the_file_itself_is_in_the_snapshot(
    hub: Hub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    store = make_store()
    get(store)
    for name, content in ((FILE, WEIGHTS), ("config.json", CONFIG), ("sub/config.json", CONFIG)):
        path = store.files("thing").path(name)
        assert (path.is_symlink(), path.read_bytes()) == (False, content)
