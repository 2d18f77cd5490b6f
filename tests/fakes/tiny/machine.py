"""A machine that has pulled tiny models from a test hub, which is gone again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrs
from tests.fakes.hub import Hub
from tests.fakes.tiny.models import write_all

from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE


@attrs.frozen
class Machine:
    """``data``: the data directory. ``environment``: for processes, with this one's keys; no hub can be reached with
    it."""

    data: Path
    environment: dict[str, str]


def machine_with(names: list[str], folder: Path) -> Machine:
    """``names``: presets or catalogue entries, pulled by the real command into an empty HOME below ``folder``."""
    home, data = folder / "home", folder / "home" / "data"
    data.mkdir(parents=True)
    (data / "models.toml").write_text(write_all(folder / "hub"), encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "KISS3D_", "XDG_"))}
    kept |= {name: os.environ[name] for name in (CONFIG_DIR_VARIABLE,) if name in os.environ}
    environment = kept | {"HOME": str(home), "HF_HOME": str(home / "hf"), "PYTHONWARNINGS": "error"}
    with Hub(folder / "hub") as hub:
        command = [sys.executable, "-m", "kiss3d_backend", "models", "pull", "--json", "--data-dir", str(data), *names]
        online = environment | {"HF_ENDPOINT": hub.address}
        done = subprocess.run(command, env=online, capture_output=True, encoding="utf-8", timeout=200, check=False)
        if done.returncode:
            raise AssertionError(done.stdout[-2000:] + done.stderr[-2000:])
    return Machine(data, environment | {"HF_ENDPOINT": "http://127.0.0.1:9", "KISS3D_DATA_DIR": str(data)})
