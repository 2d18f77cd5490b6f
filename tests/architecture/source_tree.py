"""The project's files as git sees them: what is committed, and what is about to be."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("protocol", "backend", "blender_addon", "packaging")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Paths relative to the checkout, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    paths = (Path(name) for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if (ROOT / path).is_file())


@cache
def python_files(*tops: str) -> tuple[Path, ...]:
    """Python sources below these top folders, or all of them."""
    return tuple(path for path in tracked_files() if path.suffix == ".py" and (not tops or path.parts[0] in tops))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a source file, as Python 3.11 reads it."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 11))
