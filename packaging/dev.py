"""Set up this checkout and run the demo or the tests.

    python3 packaging/dev.py demo
    python3 packaging/dev.py test

Needs Python 3.11 or newer and git, nothing else. Everything is installed into ``.venv`` in the checkout, in the
versions of ``packaging/constraints.txt``; the system's Python stays as it is. A second run installs nothing.
This file uses the standard library only, and must parse on older Pythons to be able to say that they are too old.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
STAMP = VENV / "kiss3d-set-up.json"
OLDEST_PYTHON = (3, 11)

# One more than there are cores, as many tests wait for processes of their own.
PROCESSES = min(4, (os.cpu_count() or 1) + 1)
# A file's tests stay in one process, for their fixtures; files are handed out in their order, fast layers first.
SIDE_BY_SIDE = ["-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder"]
# Of these the longest files first: the many short ones of the last layers leave no process without work at the end.
SLOW_LAYERS = ("blender", "e2e", "engine", "learned", "gpu")
NO_LAYERS = ("benchmarks", "fakes")
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "pyright": ["pyright"],
    "import-linter": ["lint-imports"],
}


class SetUpError(Exception):
    """The environment cannot be made; the message says what to do."""


def main() -> int:
    if sys.version_info < OLDEST_PYTHON:
        return _fail(
            "Kiss3D needs Python {}.{} or newer, and this is Python {}.{} ({}). Install a newer one, for example "
            "Python 3.12, and run this command with it.".format(*OLDEST_PYTHON, *sys.version_info[:2], sys.executable)
        )
    own, extra = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(prog="dev.py", description="Set up this checkout and run the demo or the tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="make a mesh and a rendered picture from the shipped picture")
    demo.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "demo", metavar="DIR")
    test = commands.add_parser("test", help="run all checks and tests; what follows -- goes to pytest")
    test.add_argument("--fast", action="store_true", help="leave out the end-to-end and the Blender tests")
    chosen = parser.parse_args(own)
    if extra and chosen.command != "test":
        parser.error("only 'test' takes arguments after --")
    try:
        if chosen.command == "demo":
            set_up(with_tests=False)
            return run_demo(chosen.output)
        set_up(with_tests=True)
        return run_tests(test_layers(chosen.fast), extra)
    except SetUpError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("Interrupted.", 130)


def run_demo(output: Path) -> int:
    """The shipped picture through the whole pipeline. Returns the exit code of ``kiss3d generate``."""
    output.mkdir(parents=True, exist_ok=True)
    mesh, picture = output / "demo.glb", output / "demo.png"
    source = ROOT / "docs" / "images" / "demo-picture.png"
    started = time.monotonic()
    code = _run([_program("kiss3d"), "generate", source, "-o", mesh, "--render", picture])
    if code:
        return code
    _say(f"Done in {time.monotonic() - started:.1f} s.")
    _say(f"  mesh:     {mesh.resolve()}")
    _say(f"  picture:  {picture.resolve()}")
    return 0


def test_layers(fast: bool) -> list[str]:
    """The folders of tests/ in the order in which they run: the quick ones first, for an early answer."""
    present = sorted({path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")})
    quick = [name for name in present if name not in SLOW_LAYERS + NO_LAYERS]
    return quick if fast else quick + [name for name in SLOW_LAYERS if name in present]


def run_tests(layers: list[str], extra: list[str]) -> int:
    """All checks, then all tests in one pytest run, fast layers first. Returns 0 only when nothing failed."""
    compiling = _start([_program("python"), "-m", "tests.fakes.compile_loops"])
    failed = []
    for name, command in CHECKS.items():
        _say(f"== {name}")
        if _run([_program(command[0]), *command[1:]]):
            failed.append(name)
    if failed:
        _say(f"FAILED so far: {', '.join(failed)}. The tests run all the same.")
    _say(f"== pytest: {', '.join(layers)}")
    code = _run(
        [_program("python"), "-m", "pytest", *SIDE_BY_SIDE, *(Path("tests", layer) for layer in layers), *extra]
    )
    if compiling is not None:
        compiling.wait()
    if failed:
        _say(f"FAILED: {', '.join(failed)}" + (" and pytest" if code else ""))
    return code or (1 if failed else 0)


def set_up(with_tests: bool) -> None:
    """Make ``.venv`` with the project in it, unless it is there and nothing that it depends on has changed."""
    wanted = {"inputs": _inputs_hash(), "tests": with_tests}
    if _installed(wanted):
        return
    _make_venv()
    project = f"{ROOT}[test]" if with_tests else str(ROOT)
    _say(f"Installing Kiss3D{' and its test tools' if with_tests else ''} into {VENV} ...")
    started = time.monotonic()
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    pip = [_program("python"), "-m", "pip", "install", *quiet, "--disable-pip-version-check", "--no-input"]
    # Build tools are pinned as well: older pips read the first variable for them, newer ones the second.
    env = {"PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_BUILD_CONSTRAINT": str(CONSTRAINTS)}
    if _run([*pip, "--prefer-binary", "--constraint", CONSTRAINTS, "--editable", project], env):
        raise SetUpError("The packages could not be installed: see above. Check the network, and run this again.")
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")
    _say(f"Installed in {time.monotonic() - started:.0f} s.")


def _installed(wanted: dict[str, object]) -> bool:
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return found["inputs"] == wanted["inputs"] and bool(found["tests"] or not wanted["tests"])


def _inputs_hash() -> str:
    # The folder belongs to it: an environment that was moved does not work any more.
    parts = [str(ROOT).encode(), (ROOT / "pyproject.toml").read_bytes(), CONSTRAINTS.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _make_venv() -> None:
    """An environment with pip in it; one that is there and works is kept."""
    probe = "import sys, pip; sys.exit(sys.version_info < ({}, {}))".format(*OLDEST_PYTHON)
    if _succeeds([_program("python"), "-c", probe]):
        return
    _say(f"Making an environment for Python {sys.version.split()[0]} in {VENV} ...")
    if _succeeds([sys.executable, "-m", "venv", "--clear", VENV]):
        return
    if not _succeeds([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV]):
        raise SetUpError(
            f"Python ({sys.executable}) cannot make a virtual environment. Install its venv module "
            "(Debian and Ubuntu: 'sudo apt install python3-venv'), and run this again."
        )
    _say("This Python comes without ensurepip; getting pip another way ...")
    if not (_pip_from_this_python() or _pip_from_debian()):
        raise SetUpError(
            "pip could not be had for the environment. Install it (Debian and Ubuntu: 'sudo apt install "
            "python3-venv'; Fedora: 'sudo dnf install python3-pip'), and run this again."
        )


def _pip_from_this_python() -> bool:
    pip = [sys.executable, "-m", "pip", "--python", _program("python"), "install", "--quiet", "pip"]
    return _succeeds(pip)


def _pip_from_debian() -> bool:
    """Debian and Ubuntu keep ensurepip's pip in a package of its own, which anybody may download."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return False
    with tempfile.TemporaryDirectory(prefix="kiss3d-pip-") as name:
        folder = Path(name)
        download = ["download", "python3-pip-whl"]
        if not _succeeds(["apt-get", *download], cwd=folder):
            # No package lists on this machine: fetch them into our own folder, where no root is needed.
            for part in ("lists/partial", "cache/archives/partial"):
                (folder / part).mkdir(parents=True)
            state = ["-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
            state += ["-o", "APT::Sandbox::User=root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            _succeeds(["apt-get", *state, "update"], cwd=folder)
            _succeeds(["apt-get", *state, *download], cwd=folder)
        for package in folder.glob("*.deb"):
            _succeeds(["dpkg", "-x", package, folder])
        wheels = sorted(folder.glob("usr/share/python-wheels/pip-*.whl"))
        # A wheel is a zip that Python can run: pip installs itself out of it.
        return bool(wheels) and _succeeds(
            [_program("python"), wheels[-1] / "pip", "install", "--quiet", "--no-index", wheels[-1]]
        )


def _program(name: str) -> Path:
    return VENV / ("Scripts/" + name + ".exe" if os.name == "nt" else "bin/" + name)


def _run(command: list[object], env: dict[str, str] | None = None) -> int:
    """Run in the checkout with the output on the terminal; return the exit code."""
    try:
        return subprocess.call([str(part) for part in command], cwd=ROOT, env={**os.environ, **(env or {})})
    except FileNotFoundError:
        return _fail(f"{command[0]} is missing. Delete {VENV} and run this again.")


def _start(command: list[object]) -> subprocess.Popen[bytes] | None:
    """Begin something that may fail, to be done by the time it is needed, beside what keeps one core busy."""
    quiet = subprocess.DEVNULL
    try:
        return subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=quiet, stderr=quiet)
    except FileNotFoundError:
        return None


def _succeeds(command: list[object], cwd: Path | None = None) -> bool:
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(text: str, code: int = 1) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
