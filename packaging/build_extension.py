"""Builds the extension zips that people install in Blender: ``python packaging/build_extension.py -o build/extension``.

A zip holds blender_addon/, the manifest completed for its variant, what sets a backend up (kiss3d_setup.pyz), and the
wheels that the add-on needs for every platform, in the versions of constraints.txt. There is one zip for each Python
that Blender has had: a zip with wheels for two Pythons breaks Blender 4.2.0. Building the same tree twice gives the
same bytes.

``platforms`` in the manifest is what Blender checks at installation: on any other platform it refuses with a clear
message, where missing wheels would only show as an import error later.

Runs in the project's own environment (packaging/dev.py makes it). Downloaded wheels are kept in the user's cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import platformdirs

import build_setup
from reproducible_zip import write_zip

ROOT = Path(__file__).resolve().parent.parent
ADDON = ROOT / "blender_addon"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"

BUNDLED = ("attrs", "cattrs", "msgpack", "pyzmq", "typing-extensions")
"""What kiss3d_protocol needs, and what those need in turn on Python 3.11 and later (cattrs: typing-extensions).

Blender 5.2 ships attrs and cattrs itself, Blender 4.2 to 5.1 do not.
"""

PIP_PLATFORMS = {
    "linux-x64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_11_0_arm64",),
    "macos-x64": ("macosx_11_0_x86_64",),
}
"""Blender's platform names, and the wheel tags that suit the oldest system on which Blender 4.2 runs there."""

SETUP_FOLDER = "setup"
"""Where the zip has what sets a backend up. No wheel of the manifest: Blender must not install it."""

LEFT_OUT = ("__pycache__", "*.pyc", "*.pyo", ".*")


class BuildError(Exception):
    """The zip cannot be built; the message says why."""


@dataclass(frozen=True)
class Variant:
    """One zip: the Python inside its Blenders, and which Blenders those are (``max`` is the first that is not)."""

    python: str
    blender_min: str
    blender_max: str | None
    platforms: tuple[str, ...]

    @property
    def abi(self) -> str:
        return "cp" + self.python.replace(".", "")

    @property
    def name(self) -> str:
        return "py" + self.python.replace(".", "")


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("3.11", "4.2.0", "5.1.0", tuple(PIP_PLATFORMS)),
        Variant("3.13", "5.1.0", None, tuple(PIP_PLATFORMS)),
        # Only for tests: Debian builds its Blender with its own Python.
        Variant("3.14", "5.1.0", None, ("linux-x64",)),
    )
}
SHIPPED = ("py311", "py313")


def build(variant: Variant, output: Path, *, addon: Path = ADDON, cache: Path | None = None) -> Path:
    """Write ``output/ID-VERSION-VARIANT.zip`` and return its path. Raises :class:`BuildError`."""
    template = (addon / "blender_manifest.toml").read_text(encoding="utf-8")
    manifest = tomllib.loads(template)
    with tempfile.TemporaryDirectory(prefix="kiss3d-extension-") as scratch:
        wheels = [*bundled_wheels(variant, cache or cache_folder()), protocol_wheel(Path(scratch))]
        wheels.sort(key=lambda wheel: wheel.name)
        files = {path.relative_to(addon).as_posix(): path.read_bytes() for path in addon_files(addon)}
        files |= {f"wheels/{wheel.name}": wheel.read_bytes() for wheel in wheels}
        files[f"{SETUP_FOLDER}/{build_setup.NAME}"] = build_setup.build(Path(scratch)).read_bytes()
        files["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    completed = complete_manifest(template, variant, [wheel.name for wheel in wheels])
    files["blender_manifest.toml"] = completed.encode()
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{manifest['id']}-{manifest['version']}-{variant.name}.zip"
    write_zip(path, files)
    return path


def addon_files(addon: Path) -> list[Path]:
    """Every file of the add-on that belongs into the zip."""

    def kept(path: Path) -> bool:
        parts = path.relative_to(addon).parts
        return not any(Path(part).match(pattern) for part in parts for pattern in LEFT_OUT)

    return [path for path in addon.rglob("*") if path.is_file() and kept(path)]


def complete_manifest(template: str, variant: Variant, wheels: Iterable[str]) -> str:
    """The template with what depends on the variant, put before its first table (where TOML wants it)."""
    ours: dict[str, str | list[str]] = {"blender_version_min": variant.blender_min}
    if variant.blender_max:
        ours["blender_version_max"] = variant.blender_max
    ours["platforms"] = list(variant.platforms)
    ours["wheels"] = [f"./wheels/{name}" for name in wheels]
    taken = sorted(ours.keys() & tomllib.loads(template).keys())
    if taken:
        raise BuildError(
            f"blender_manifest.toml sets {', '.join(taken)}: that depends on the variant and is added here"
        )
    lines = template.splitlines()
    first_table = next((at for at, line in enumerate(lines) if line.startswith("[")), len(lines))
    return "\n".join([*lines[:first_table], *map(_toml_line, ours.items()), "", *lines[first_table:]]) + "\n"


def _toml_line(entry: tuple[str, str | list[str]]) -> str:
    name, value = entry
    if isinstance(value, str):
        return f'{name} = "{value}"'
    return "\n".join([f"{name} = [", *(f'    "{item}",' for item in value), "]"])


def bundled_wheels(variant: Variant, cache: Path) -> list[Path]:
    """The wheels from the package index for all platforms of the variant, each file once."""
    pins = pinned(BUNDLED)
    with ThreadPoolExecutor(max_workers=4) as pool:
        folders = list(pool.map(lambda platform: _download(variant, platform, pins, cache), variant.platforms))
    return list({wheel.name: wheel for folder in folders for wheel in folder.glob("*.whl")}.values())


def pinned(names: Iterable[str]) -> list[str]:
    """``name==version`` for each name, from constraints.txt."""
    pins = dict(
        line.strip().lower().replace("_", "-").split("==")
        for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    missing = [name for name in names if name not in pins]
    if missing:
        raise BuildError(f"{CONSTRAINTS.name} has no version of {', '.join(missing)}")
    return [f"{name}=={pins[name]}" for name in names]


def _download(variant: Variant, platform: str, pins: list[str], cache: Path) -> Path:
    done = cache / "wheels" / variant.name / platform / "-".join(pins).replace("==", "_")
    if done.is_dir():
        return done
    done.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=done.parent))
    tags = [part for tag in PIP_PLATFORMS[platform] for part in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    pip += ["--only-binary=:all:", "--implementation", "cp"]
    try:
        _run([*pip, "--python-version", variant.python, *tags, "--dest", str(partial), *pins])
        partial.replace(done)
    except OSError:
        if not done.is_dir():  # not the other process that was quicker
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return done


def protocol_wheel(output: Path) -> Path:
    """The project's own wheel of the messages, built from protocol/."""
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output)], cwd=ROOT / "protocol")
    (wheel,) = output.glob("kiss3d_protocol-*.whl")
    return wheel


def blender_validator(cache: Path) -> Path | None:
    """Blender's own extension tool from the newest ``bpy`` environment of the tests, where there is one."""
    found = sorted(cache.glob("bpy-*/**/bl_pkg/cli/blender_ext.py"))
    return found[-1] if found else None


def validate(path: Path, tool: Path) -> None:
    """Let Blender's tool check the zip. Raises :class:`BuildError` with what it says."""
    _run([sys.executable, str(tool), "validate", str(path)])


def cache_folder() -> Path:
    """The tests' cache: the wheels lie beside the Blenders."""
    chosen = os.environ.get("KISS3D_TEST_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kiss3d-tests", appauthor=False))


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise BuildError(f"'{' '.join(command)}' failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Blender extension zips.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "extension", metavar="DIR")
    parser.add_argument("--variant", choices=[*VARIANTS, "all"], help="one zip; left out: the two that are shipped")
    chosen = parser.parse_args()
    names = {None: SHIPPED, "all": tuple(VARIANTS)}.get(chosen.variant, (chosen.variant,))
    tool = blender_validator(cache_folder())
    try:
        for name in names:
            path = build(VARIANTS[name], chosen.output)
            if tool:
                validate(path, tool)
            checked = "checked by Blender's own tool" if tool else "not checked: no bpy environment in the tests' cache"
            print(f"{path}  {path.stat().st_size / 1e6:.2f} MB  ({checked})", flush=True)
    except (BuildError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
