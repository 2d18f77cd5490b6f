"""The extension as people get it, built from this tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BUILDER = Path(__file__).parents[3] / "packaging" / "build_extension.py"


def build_extension(variant: str, output: Path) -> Path:
    """The zip for the Python ``variant``: "py311" for Blender 4.2 to 5.0, "py314" for that of the window rig."""
    done = subprocess.run(
        [sys.executable, str(BUILDER), "--output", str(output), "--variant", variant], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = output.glob(f"*-{variant}.zip")
    return path
