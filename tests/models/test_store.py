"""What is here, as the store tells it: other tools' files, local files, imports, conversions, leftovers."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.hub import Fault, Hub
from tests.models.conftest import CONFIG, QUICK, REPOSITORY, WEIGHTS

from kiss3d_backend.models import conversion
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.importing import import_file
from kiss3d_backend.models.prune import leftovers, prune
from kiss3d_backend.models.pull import pull
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.errors import (
    JobCancelled,
    ModelDownloadFailed,
    ModelFileCorrupt,
    ModelFileMissing,
    ModelKeysWrong,
    ModelNotFound,
)

MakeStore = Callable[..., ModelStore]
FILE = "weights.safetensors"


@pytest.fixture
def pickle() -> bytes:
    """What the pickle holds: see :mod:`tests.fakes.converter`."""
    return b"a pickle"


@pytest.fixture
def pickled(hub: Hub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, pickle: bytes) -> ModelStore:
    """A store whose thing has a pickle too, and a stand-in for the converter."""
    monkeypatch.setattr(conversion, "CONVERTER", "tests.fakes.converter")
    (hub.folder / REPOSITORY / "main" / "net.ckpt").write_bytes(pickle)
    return make_store('[thing]\npresets = ["fast"]\n[thing.files."net.ckpt"]\nconvert = "lrm"\n')


def test_other_tools_find_our_files(make_store: MakeStore) -> None:
    from huggingface_hub import try_to_load_from_cache

    store = make_store()
    pull("thing", store, settings=QUICK)
    for name, content in ((FILE, WEIGHTS), ("sub/config.json", CONFIG)):
        found = try_to_load_from_cache(REPOSITORY, name, cache_dir=store.cache.root)
        assert isinstance(found, str)
        assert Path(found).read_bytes() == content


@pytest.mark.parametrize("hashes", [True, False])
def test_other_tools_files_are_used_without_a_second_copy(hub: Hub, make_store: MakeStore, hashes: bool) -> None:
    from huggingface_hub import hf_hub_download

    store = make_store(hashes=hashes)
    for name in (FILE, "config.json", "sub/config.json"):
        hf_hub_download(REPOSITORY, name, cache_dir=store.cache.root)
    asked = len(hub.log)
    assert {state.status for state in store.entry("thing").files} == {"present"}
    report = pull("thing", store, settings=QUICK)
    assert (len(report.reused), report.downloaded, report.received) == (3, (), 0)
    assert len(hub.log) == asked
    assert {state.status for state in store.entry("thing").files} == {"verified"}
    assert store.files("thing").path(FILE).is_relative_to(store.cache.root)
    assert prune(store) == (), "what others have downloaded is not ours to delete"


def test_a_damaged_file_in_the_cache_is_found(make_store: MakeStore) -> None:
    store = make_store()
    pull("thing", store, settings=QUICK)
    blob = store.files("thing").path(FILE).resolve()
    blob.write_bytes(WEIGHTS[:-1] + b"x")
    assert [(line.file, line.outcome) for line in store.verify(("thing",))] == [
        ("config.json", "right"),
        ("sub/config.json", "right"),
        (FILE, "wrong"),
    ]
    with pytest.raises(ModelFileCorrupt, match=FILE):
        store.files("thing")


def test_verify_hashes_again_what_looks_unchanged(make_store: MakeStore) -> None:
    store = make_store()
    pull("thing", store, settings=QUICK)
    blob = store.files("thing").path(FILE).resolve()
    status = blob.stat()
    blob.write_bytes(WEIGHTS[:-1] + b"x")
    os.utime(blob, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert {line.file: line.outcome for line in store.verify(("thing",))}[FILE] == "wrong"


def test_a_file_that_is_missing_is_named_with_the_remedy(make_store: MakeStore) -> None:
    with pytest.raises(ModelFileMissing, match=r"'thing' lacks its file config\.json.*kiss3d models pull thing"):
        make_store().files("thing")


def test_a_users_own_file_is_read_where_it_lies(make_store: MakeStore, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"mine")
    store = make_store(f'[thing.files."{FILE}"]\nlocal = "mine.safetensors"')
    pull("thing", store, settings=QUICK)
    assert store.files("thing").path(FILE) == mine
    mine.write_bytes(b"mine, and newer")
    assert store.files("thing").path(FILE) == mine, "theirs may change, as no hash was named"
    wrong = make_store(f'[thing.files."{FILE}"]\nlocal = "mine.safetensors"\nsha256 = "{"1" * 64}"')
    with pytest.raises(ModelFileCorrupt, match="the catalogue names"):
        wrong.files("thing")


def test_what_a_preset_lacks(make_store: MakeStore) -> None:
    store = make_store('[thing]\npresets = ["fast"]')
    total = len(WEIGHTS) + 2 * len(CONFIG)
    assert (store.preset("fast").missing, store.preset("fast").missing_bytes) == (("thing",), total)
    assert store.preset("draft").ready
    pull("fast", store, settings=QUICK)
    assert (store.preset("fast").missing, store.preset("fast").missing_bytes) == ((), 0)


def test_a_pickle_is_converted_and_may_then_be_deleted(hub: Hub, pickled: ModelStore) -> None:
    report = pull("fast", pickled, settings=QUICK)
    assert report.converted == ("thing/net.ckpt",)
    assert pickled.files("thing").path("net.safetensors").read_bytes() == b"A PICKLE"
    assert "net.ckpt" not in pickled.files("thing").paths
    gone = prune(pickled)
    assert [(leftover.path.name, leftover.reason) for leftover in gone] == [
        ("net.ckpt", "a pickle that has been converted")
    ]
    assert pickled.cache.find(REPOSITORY, "main", "net.ckpt") is None
    assert not (pickled.cache.folder(REPOSITORY) / "blobs" / hashlib.sha256(b"a pickle").hexdigest()).exists()
    asked = len(hub.log)
    assert pull("fast", pickled, settings=QUICK).downloaded == ()
    assert len(hub.log) == asked
    assert pickled.files("thing").path("net.safetensors").read_bytes() == b"A PICKLE"
    assert leftovers(pickled) == ()


def test_a_conversion_that_is_damaged_later_is_found(pickled: ModelStore) -> None:
    pull("fast", pickled, settings=QUICK)
    pickled.files("thing").path("net.safetensors").write_bytes(b"else")
    with pytest.raises(ModelFileCorrupt, match="was made by the conversion"):
        pickled.files("thing")


@pytest.mark.parametrize(
    ("pickle", "error", "words"),
    [(b"die", ModelFileCorrupt, "code 3.*something broke"), (b"refuse", ModelKeysWrong, "Not a lrm.*Look")],
)
def test_a_conversion_that_fails(pickled: ModelStore, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        pull("fast", pickled, settings=QUICK)
    assert not pickled.entry("thing").ready


def test_a_users_own_pickle_is_converted_again_when_it_changes(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "CONVERTER", "tests.fakes.converter")
    toml = '[thing]\npresets = ["fast"]\n[thing.files."net.ckpt"]\nconvert = "lrm"\nlocal = "mine.ckpt"'
    store = make_store(toml)
    for content in (b"mine", b"mine, and newer"):
        (tmp_path / "mine.ckpt").write_bytes(content)
        with pytest.raises(ModelFileMissing, match="kiss3d models pull thing"):
            store.files("thing")
        pull("thing", store, settings=QUICK)
        assert store.files("thing").path("net.safetensors").read_bytes() == content.upper()
    assert [leftover.reason for leftover in prune(store)] == ["a conversion that nothing uses"], "the older one"
    assert store.files("thing").path("net.safetensors").read_bytes() == b"MINE, AND NEWER"
    assert (tmp_path / "mine.ckpt").exists()


def test_a_users_own_safetensors_in_the_place_of_a_pickle_needs_no_conversion(
    make_store: MakeStore, tmp_path: Path
) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    store = make_store('[thing.files."net.ckpt"]\nconvert = "lrm"\nlocal = "mine.safetensors"')
    assert pull("thing", store, settings=QUICK).converted == ()
    assert store.files("thing").path("net.safetensors") == tmp_path / "mine.safetensors"


@pytest.mark.parametrize("pickle", [b"sleep"])
def test_a_conversion_can_be_cancelled(pickled: ModelStore) -> None:
    cancel = threading.Event()
    at: list[float] = []

    def on_progress(progress: object) -> None:
        if getattr(progress, "step", "") == "convert":
            cancel.set()
            at.append(time.monotonic())

    with pytest.raises(JobCancelled):
        pull("fast", pickled, on_progress, cancel, QUICK)
    assert time.monotonic() - at[0] < 0.5


def test_an_import_is_known_by_its_hash_whatever_it_is_called(hub: Hub, make_store: MakeStore, tmp_path: Path) -> None:
    mine = tmp_path / "downloaded (1)"
    mine.write_bytes(WEIGHTS)
    store = make_store()
    taken = import_file(mine, store)
    assert (taken.entry, taken.file, taken.trust) == ("thing", FILE, "catalogue")
    assert mine.read_bytes() == taken.path.read_bytes() == WEIGHTS
    report = pull("thing", store, settings=QUICK)
    assert sorted(report.downloaded) == ["thing/config.json", "thing/sub/config.json"]
    assert hub.gets(FILE) == []
    assert store.files("thing").path(FILE) == taken.path


def test_an_import_with_the_name_but_not_the_hash(make_store: MakeStore, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(WEIGHTS[:-1] + b"x")
    store = make_store()
    with pytest.raises(ModelFileCorrupt, match="the catalogue names"):
        import_file(tmp_path / FILE, store)
    assert {state.status for state in store.entry("thing").files} == {"missing"}


def test_an_import_that_could_be_several(make_store: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    store = make_store(hashes=False)
    with pytest.raises(ModelNotFound, match=r"may be one of: thing \(config\.json\), thing \(sub/config\.json\)"):
        import_file(tmp_path / "config.json", store)
    assert import_file(tmp_path / "config.json", store, "thing", "sub/config.json").trust == "first use"
    with pytest.raises(ModelNotFound, match="is not known"):
        import_file(Path(__file__), store)


def test_an_imported_pickle_is_converted(pickled: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "net.ckpt").write_bytes(b"a pickle")
    taken = import_file(tmp_path / "net.ckpt", pickled)
    assert (taken.converted, taken.path.read_bytes()) == (True, b"A PICKLE")
    assert (tmp_path / "net.ckpt").exists()
    state = next(state for state in pickled.entry("thing").files if state.file.name == "net.ckpt")
    assert (state.status, state.path) == ("converted", taken.path)


def test_prune_deletes_parts_and_what_no_preset_needs(hub: Hub, make_store: MakeStore) -> None:
    store = make_store()
    hub.fail(FILE, Fault(truncate_at=200_000))
    with pytest.raises(ModelDownloadFailed):
        pull("thing", store, settings=QUICK)
    found = {leftover.path.name: leftover.size for leftover in leftovers(store)}
    assert found[f"{hashlib.sha256(WEIGHTS).hexdigest()}.part"] == 200_000
    prune(store)
    assert list(store.cache.root.rglob("*.part")) == []
    hub.faults.clear()
    pull("thing", store, settings=QUICK)
    assert len(prune(store)) == 3, "no preset needs the thing"
    assert {state.status for state in store.entry("thing").files} == {"missing"}
    assert list((store.cache.folder(REPOSITORY) / "blobs").iterdir()) == []


def test_what_was_named_just_before_the_end_is_ours(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill after a file got its name and before that was noted must not make it another program's file for ever."""
    store = make_store()
    with monkeypatch.context() as patch:
        patch.setattr(HubCache, "write_ref", _killed)
        with pytest.raises(KeyboardInterrupt):
            pull("thing", store, settings=QUICK)
    assert any(state.path is not None for state in store.entry("thing").files)
    pull("thing", store, settings=QUICK)
    assert len(prune(store)) == 3, "no preset needs the thing"


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_prune_leaves_what_a_setting_needs(make_store: MakeStore) -> None:
    store = make_store("[thing]\non_request = true")
    pull("thing", store, settings=QUICK)
    assert prune(store) == ()


def test_pins_survive_a_lost_cache_and_tell_a_damaged_file(make_store: MakeStore) -> None:
    store = make_store(hashes=False)
    pull("thing", store, settings=QUICK)
    shutil.rmtree(store.cache.root)
    assert {state.trust for state in store.entry("thing").files} == {"trusted on first use"}
    (store.models_dir / "pins.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelFileCorrupt, match=r"pins\.json.*Delete it"):
        store.entry("thing")


def test_the_store_loads_no_http_client() -> None:
    """So that the broker, which asks it for what is missing, starts fast."""
    import subprocess

    code = "import sys; from pathlib import Path; from kiss3d_backend.models.store import ModelStore; "
    code += "ModelStore(Path('nowhere')).preset('fast'); print(sorted({'httpx2', 'torch', 'ssl'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
