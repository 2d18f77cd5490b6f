"""What the set-up has made in a folder, as the add-on and the set-up both read it.

The folder of a set-up holds the environment, a log and this record, which is also the mark by which the set-up knows a
folder as its own. The data directory and the model files lie elsewhere.

Only the standard library is used: the set-up runs where nothing is installed yet.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "KISS3D_BACKEND_DIR"
RECORD = "kiss3d-setup.json"
ENVIRONMENT = "env"
LOG = "setup.log"
FORMAT = 1


@dataclass(frozen=True)
class Installation:
    """A backend that the set-up has made, or has begun to make.

    ``version``: that of the backend which is (to be) in it. ``complete``: whether the last set-up came to its end.
    ``torch``: the build of torch, such as ``cpu`` or ``cu130``. ``steps``: what is done, each with the hash of what it
    was done with. ``data``, ``models``: where the check has found the jobs and the model files, which are not the
    set-up's; "" before it.
    """

    folder: Path
    version: str
    complete: bool
    torch: str = ""
    steps: Mapping[str, str] = field(default_factory=dict[str, str])
    data: str = ""
    models: str = ""

    @property
    def python(self) -> Path:
        """The Python executable of the environment."""
        return environment_python(self.folder)

    @property
    def usable(self) -> bool:
        """Whether a backend can be started from it."""
        return self.complete and self.python.exists()


def environment_python(folder: Path) -> Path:
    """Where the Python executable of the environment in a set-up's folder is."""
    inside = Path("Scripts", "python.exe") if sys.platform == "win32" else Path("bin", "python")
    return folder / ENVIRONMENT / inside


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """``$KISS3D_BACKEND_DIR``, or a folder beside those for this user's programs' data.

    It is not within the data directory, so that whatever happens to one leaves the other alone.
    """
    chosen = environment.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "kiss3d-backend"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "kiss3d-backend"
    chosen = environment.get("XDG_DATA_HOME", "")
    # The specification of these folders says that a relative path is to be ignored.
    return (Path(chosen) if chosen.startswith("/") else Path.home() / ".local" / "share") / "kiss3d-backend"


def read_installation(folder: Path) -> Installation | None:
    """What the set-up has made in ``folder``; None when it is not the set-up's."""
    try:
        record: Any = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            return None
        return Installation(
            folder,
            version=str(record["version"]),
            complete=record["complete"] is True,
            torch=str(record["torch"]),
            steps={str(name): str(done) for name, done in record["steps"].items()},
            data=str(record.get("data", "")),
            models=str(record.get("models", "")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_installation(installation: Installation) -> None:
    """Keeps the record, whole or not at all. Raises OSError."""
    record = {
        "format": FORMAT,
        "version": installation.version,
        "complete": installation.complete,
        "torch": installation.torch,
        "steps": dict(installation.steps),
        "data": installation.data,
        "models": installation.models,
    }
    path = installation.folder / RECORD
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=2), encoding="utf-8")
    partial.replace(path)


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparing: ``1.2.0`` and ``1.2.0rc1`` are both (1, 2, 0). Empty for no version."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
