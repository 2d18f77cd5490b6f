from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.hub import Hub, catalogue_lines

from kiss3d_backend.models.catalogue import Catalogue
from kiss3d_backend.models.catalogue_reader import parse_catalogue
from kiss3d_backend.models.download.settings import DownloadSettings
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.store import ModelStore

REPOSITORY = "someone/model"
QUICK = DownloadSettings(parallel=2, attempts=3, backoff=0.01, longest_backoff=0.02, stall=0.2, describe=2.0)
WEIGHTS = bytes(range(256)) * 4096
"""1 MiB."""
CONFIG = b'{"width": 3}\n'


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository: large weights, a small configuration, and the same small one under a second name."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    for name, content in {"weights.safetensors": WEIGHTS, "config.json": CONFIG, "sub/config.json": CONFIG}.items():
        path = folder / REPOSITORY / "main" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    with Hub(folder) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield hub


@pytest.fixture
def make_store(hub: Hub, tmp_path: Path) -> Callable[..., ModelStore]:
    """A store with an empty cache, and of the hub's files only. ``toml``: laid over the catalogue of the hub."""

    def make(toml: str = "", *, hashes: bool = True) -> ModelStore:
        lines = catalogue_lines(hub.folder, "thing", REPOSITORY).splitlines()
        text = "\n".join(line for line in lines if hashes or not line.startswith(("sha256", "size")))
        catalogue = parse_catalogue(text, tmp_path / "hub.toml", Catalogue({}))
        if toml:
            catalogue = parse_catalogue(toml, tmp_path / "models.toml", catalogue)
        return ModelStore(tmp_path / "data", catalogue, HubCache(tmp_path / "cache"))

    return make
