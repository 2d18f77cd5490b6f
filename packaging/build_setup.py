"""Builds kiss3d_setup.pyz, which sets up a backend: ``python packaging/build_setup.py -o build/setup``.

The file brings the backend's wheel and constraints.txt along, and needs nothing but a Python to run. It is the same
for every platform. The extension has it inside; on a server it is run by itself. Building the same tree twice gives
the same bytes. Runs in the project's own environment (packaging/dev.py makes it).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from reproducible_zip import write_zip

ROOT = Path(__file__).resolve().parent.parent
NAME = "kiss3d_setup.pyz"

SHARED = ("__init__.py", "errors.py", "installation.py")
"""The modules of kiss3d_protocol that the set-up uses: they need the standard library only."""


def files(wheel: Path) -> dict[str, bytes]:
    """All files of the archive, by their names in it."""
    packaging = ROOT / "packaging"
    found = {"__main__.py": packaging / "setup_backend.py", "payload/constraints.txt": packaging / "constraints.txt"}
    found |= {f"kiss3d_setup/{path.name}": path for path in (packaging / "kiss3d_setup").glob("*.py")}
    found |= {f"kiss3d_protocol/{name}": ROOT / "protocol" / "kiss3d_protocol" / name for name in SHARED}
    found[f"payload/{wheel.name}"] = wheel
    return {name: path.read_bytes() for name, path in found.items()}


def build(output: Path) -> Path:
    """Write ``output/kiss3d_setup.pyz`` and return its path. Raises subprocess.CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="kiss3d-setup-") as scratch:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        (wheel,) = Path(scratch).glob("kiss3d-*.whl")
        content = files(wheel)
    output.mkdir(parents=True, exist_ok=True)
    path = output / NAME
    write_zip(path, content)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the set-up of the backend as one file.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "setup", metavar="DIR")
    try:
        path = build(parser.parse_args().output)
    except subprocess.CalledProcessError as failed:
        print(f"error: the wheel could not be built:\n{failed.stdout}{failed.stderr}", file=sys.stderr)
        return 1
    print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
