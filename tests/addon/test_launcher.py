"""Starting the local backend: in environments made for the purpose, whose backend behaves as the test wants."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from blender_addon.launcher import LocalBackend, child_environment

from kiss3d_protocol.errors import BackendStartFailed, DataDirectoryUnusable, Kiss3DError

READY = """\
import json, os, sys
print(json.dumps({"event": "ready", "address": "tcp://127.0.0.1:4711", "pid": os.getpid(), "version": "0"}))
print("the arguments were", sys.argv[1:], file=sys.stderr, flush=True)
"""
UNTIL_STDIN_CLOSES = "sys.stdin.read()\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty Python environment."""
    folder = tmp_path_factory.mktemp("environment") / "with space"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


@pytest.fixture
def python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@pytest.fixture
def install(environment: Path):
    """Puts a ``kiss3d_backend`` with the given ``__main__`` into the environment."""
    (packages,) = environment.rglob("site-packages")
    package = packages / "kiss3d_backend"

    def put(main: str) -> None:
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(main, encoding="utf-8")

    yield put
    for file in package.glob("*.py"):
        file.unlink()
    if package.exists():
        for cached in package.rglob("*.pyc"):
            cached.unlink()
        for folder in (package / "__pycache__", package):
            if folder.exists():
                folder.rmdir()


def outcome(backend: LocalBackend, seconds: float = 20.0) -> str:
    """The address; raises the error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.monotonic()
        address = backend.poll()
        assert time.monotonic() - began < 0.2, "poll() must not wait"
        if address is not None:
            return address
        time.sleep(0.02)
    raise AssertionError("neither ready nor failed")


def error_of(backend: LocalBackend) -> Kiss3DError:
    with pytest.raises(Kiss3DError) as caught:
        backend.start()
        outcome(backend)
    backend.stop()
    return caught.value


def test_ready_and_ended_by_closing_its_input(python: Path, install) -> None:
    install(READY + UNTIL_STDIN_CLOSES)
    backend = LocalBackend(python)
    backend.start()
    assert outcome(backend) == "tcp://127.0.0.1:4711"
    assert backend._process is not None
    process = psutil.Process(backend._process.pid)
    backend.stop()
    assert not process.is_running()
    expected = "['serve', '--bind', 'tcp://127.0.0.1:0', '--json', '--until-stdin-closes']"
    assert expected in backend.last_words()


def test_one_that_does_not_end_is_ended(python: Path, install) -> None:
    install(READY + "import time\nwhile True: time.sleep(60)\n")
    backend = LocalBackend(python)
    backend.start()
    outcome(backend)
    assert backend._process is not None
    process = psutil.Process(backend._process.pid)
    backend.stop()
    assert not process.is_running()


@pytest.mark.parametrize("path", ["", "  "])
def test_nothing_chosen(path: str) -> None:
    error = error_of(LocalBackend(path))
    assert isinstance(error, BackendStartFailed)
    assert "not set" in error.message and "preferences" in error.remedy


def test_python_that_does_not_exist(tmp_path: Path) -> None:
    error = error_of(LocalBackend(tmp_path / "nowhere" / "python"))
    assert isinstance(error, BackendStartFailed)
    assert "There is no Python" in error.message and "preferences" in error.remedy


def test_folder_without_a_python(tmp_path: Path) -> None:
    assert "folder without a Python" in error_of(LocalBackend(tmp_path)).message


def test_folder_of_an_environment_will_do(environment: Path, install) -> None:
    install(READY + UNTIL_STDIN_CLOSES)
    backend = LocalBackend(environment)
    backend.start()
    assert outcome(backend)
    backend.stop()


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("not a program")
    assert "could not be started" in error_of(LocalBackend(tmp_path / "python")).message


def test_environment_without_kiss3d(python: Path) -> None:
    error = error_of(LocalBackend(python))
    assert isinstance(error, BackendStartFailed)
    assert "has no Kiss3D backend" in error.message and "Install kiss3d" in error.remedy


def test_error_that_the_backend_tells_itself(python: Path, install) -> None:
    install(
        "import json, sys\n"
        "error = {'event': 'error', 'code': 'backend.data_directory', 'message': 'Full.'}\n"
        "print(json.dumps(error | {'remedy': 'Empty it.'}))\n"
        "sys.exit(74)\n"
    )
    error = error_of(LocalBackend(python))
    assert isinstance(error, DataDirectoryUnusable)
    assert (error.message, error.remedy) == ("Full.", "Empty it.")


def test_one_that_dies_at_once_leaves_its_last_words(python: Path, install) -> None:
    install("raise SystemExit('the disk is on fire')\n")
    error = error_of(LocalBackend(python))
    assert isinstance(error, BackendStartFailed)
    assert "could not start" in error.message and "the disk is on fire" in error.message


def test_one_that_dies_later(python: Path, install) -> None:
    install(READY + UNTIL_STDIN_CLOSES)
    backend = LocalBackend(python)
    backend.start()
    outcome(backend)
    assert backend._process is not None
    backend._process.kill()
    backend._process.wait()
    with pytest.raises(BackendStartFailed, match="ended unexpectedly"):
        for _ in range(100):
            backend.poll()
            time.sleep(0.02)
    backend.stop()


def test_one_that_never_gets_ready(python: Path, install) -> None:
    install("import sys\nprint('still thinking', file=sys.stderr, flush=True)\nsys.stdin.read()\n")
    backend = LocalBackend(python, ready_timeout=0.7)
    error = error_of(backend)
    assert "not ready after" in error.message and "still thinking" in error.remedy


def test_noise_before_the_ready_line_does_no_harm(python: Path, install) -> None:
    install("print('hello')\nprint('{\"event\": \"ready\"}')\nprint('[1]')\n" + READY + UNTIL_STDIN_CLOSES)
    backend = LocalBackend(python)
    backend.start()
    assert outcome(backend) == "tcp://127.0.0.1:4711"
    backend.stop()


def test_environment_is_free_of_blenders_python() -> None:
    cleaned = child_environment(
        {"PYTHONHOME": "/blender", "PythonPath": "/x", "__PYVENV_LAUNCHER__": "y", "PATH": "/bin"}
    )
    assert cleaned["PATH"] == "/bin" and cleaned["PYTHONNOUSERSITE"] == "1"
    assert not {"PYTHONHOME", "PythonPath", "__PYVENV_LAUNCHER__"} & cleaned.keys()
