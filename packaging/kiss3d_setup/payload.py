"""What is installed: the backend's wheel and the pinned versions, from the archive that this runs in or a checkout."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

ARCHIVE_FOLDER = "payload"
"""Where kiss3d_setup.pyz has the wheel and constraints.txt."""

CONSTRAINTS = "constraints.txt"


@dataclass(frozen=True)
class Payload:
    """``source``: a wheel, or a checkout that pip builds one of. ``digest``: of all that ends up in the environment."""

    source: Path
    constraints: Path
    version: str
    digest: str

    def pin(self, name: str) -> str:
        """``name==version`` from the pinned set. Raises KeyError when it has none."""
        for line in self.constraints.read_text(encoding="utf-8").splitlines():
            pinned, _, version = line.strip().partition("==")
            if version and pinned.lower() == name:
                return f"{name}=={version}"
        raise KeyError(name)

    @property
    def pins(self) -> int:
        """How many packages the pinned set has: no installation has more."""
        return sum("==" in line for line in self.constraints.read_text(encoding="utf-8").splitlines())


def find_payload(scratch: Path) -> Payload:
    """The payload of this set-up; what is in an archive is unpacked to ``scratch``. Raises OSError."""
    here = Path(__file__).resolve()
    archive = next((parent for parent in here.parents if parent.is_file()), None)
    if archive is None:
        return payload_of_checkout(here.parents[2])
    return payload_of_archive(archive, scratch)


def payload_of_archive(archive: Path, scratch: Path) -> Payload:
    """The wheel and the constraints in ``archive``, unpacked to ``scratch``: pip reads no files in archives."""
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            folder, _, file = name.rpartition("/")
            if folder == ARCHIVE_FOLDER and file:
                (scratch / file).write_bytes(packed.read(name))
    (wheel,) = scratch.glob("kiss3d-*.whl")
    constraints = scratch / CONSTRAINTS
    digest = hashlib.sha256(wheel.read_bytes() + constraints.read_bytes()).hexdigest()
    return Payload(wheel, constraints, wheel.name.split("-")[1], digest)


def payload_of_checkout(root: Path) -> Payload:
    """A clone of the project itself."""
    project, constraints = root / "pyproject.toml", root / "packaging" / CONSTRAINTS
    version = str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    files = [project, constraints, *sorted(root.glob("protocol/**/*.*")), *sorted(root.glob("backend/**/*.*"))]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return Payload(root, constraints, version, digest.hexdigest())


def keep_only(scratch: Path) -> None:
    """Makes ``scratch`` an empty folder."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
