"""The set-up as a process of the add-on: with a script in its place that behaves as the test wants."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blender_addon.local_setup import LocalSetup, installed
from blender_addon.setup_process import BackendSetup, install_arguments, python_for_scripts, remove_arguments

from kiss3d_protocol.errors import SetupPythonMissing, SetupStepFailed
from kiss3d_protocol.installation import Installation, environment_python, write_installation

SAYS = "import json, sys\ndef say(**event): print(json.dumps(event), flush=True)\n"
GOES_ON = "say(event='progress', step='torch', title='', fraction=0.25, text='torch')\nsys.stdin.read()\nsys.exit(46)\n"


@pytest.fixture
def setup() -> Iterator[LocalSetup]:
    made = LocalSetup()
    yield made
    made.close()


def script(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "set up.py"
    path.write_text(SAYS + source, encoding="utf-8")
    return path


def until(setup: LocalSetup, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        setup.poll()
        assert time.monotonic() < deadline, setup.view
        time.sleep(0.005)


def test_it_is_followed_to_its_end(setup: LocalSetup, tmp_path: Path) -> None:
    path = script(tmp_path, "print('noise')\nsay(event='done', findings=[], arguments=sys.argv[1:])\n")
    done: list[bool] = []
    setup.run(BackendSetup(["install"], python=sys.executable, setup=path), lambda: done.append(True))
    assert setup.view.running
    until(setup, lambda: not setup.view.running)
    assert setup.view.done and setup.view.error is None
    assert done == [True] and not setup.poll()


def test_it_gets_a_clean_environment_with_pips_settings(
    setup: LocalSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/blender/python")
    monkeypatch.setenv("PIP_INDEX_URL", "http://mirror.invalid/simple")
    out = tmp_path / "out.json"
    source = f"import os\nopen({str(out)!r}, 'w').write(json.dumps([dict(os.environ), sys.argv[1:]]))\n"
    arguments = install_arguments(tmp_path / "with space")
    setup.run(BackendSetup(arguments, python=sys.executable, setup=script(tmp_path, source)))
    until(setup, lambda: not setup.view.running)
    environment, told = json.loads(out.read_text(encoding="utf-8"))
    assert "PYTHONHOME" not in environment
    assert environment["PIP_INDEX_URL"] == "http://mirror.invalid/simple"
    assert told == arguments and told[-1].endswith("with space") and "--own-python-last" in told


def test_cancel_ends_it_without_an_error(setup: LocalSetup, tmp_path: Path) -> None:
    setup.run(BackendSetup([], python=sys.executable, setup=script(tmp_path, GOES_ON)))
    until(setup, lambda: setup.view.step == "torch")
    setup.cancel()
    assert setup.view.stopping
    until(setup, lambda: not setup.view.running)
    assert setup.view.error is None and not setup.view.done


def test_it_ends_with_blender(setup: LocalSetup, tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    source = GOES_ON.replace("sys.exit", f"open({str(mark)!r}, 'w').close(); sys.exit")
    setup.run(BackendSetup([], python=sys.executable, setup=script(tmp_path, source)))
    until(setup, lambda: setup.view.step == "torch")
    setup.close()
    assert mark.exists()


def test_the_error_that_it_tells_is_shown(setup: LocalSetup, tmp_path: Path) -> None:
    said = "say(event='error', code='setup.no_room', message='No room.', remedy='Make some.')\nsys.exit(37)\n"
    setup.run(BackendSetup([], python=sys.executable, setup=script(tmp_path, said)))
    until(setup, lambda: not setup.view.running)
    assert setup.view.error is not None and setup.view.error.code == "setup.no_room"


def test_what_cannot_start_says_why(setup: LocalSetup, tmp_path: Path) -> None:
    path = script(tmp_path, "")
    with pytest.raises(SetupPythonMissing, match="could not be started"):
        setup.run(BackendSetup([], python=str(tmp_path / "none"), setup=path))
    with pytest.raises(SetupStepFailed, match="has no set-up in it"):
        setup.run(BackendSetup([], python=sys.executable, setup=tmp_path / "none.pyz"))
    assert not setup.view.running


def test_a_python_is_found_where_the_program_itself_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert python_for_scripts() == sys.executable
    inside = tmp_path / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    inside.parent.mkdir()
    inside.touch()
    monkeypatch.setattr(sys, "executable", "/usr/bin/blender")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert python_for_scripts() == str(inside)
    inside.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupPythonMissing):
        python_for_scripts()


def test_removal_names_the_folder_alone(tmp_path: Path) -> None:
    assert remove_arguments(tmp_path) == ["remove", "--json", "--into", str(tmp_path)]


def test_what_is_installed_is_read_again_when_it_changes(tmp_path: Path) -> None:
    assert installed(tmp_path) is None
    write_installation(Installation(tmp_path, "1.0.0", False))
    os.utime(tmp_path / "kiss3d-setup.json", ns=(1, 1))
    found = installed(tmp_path)
    assert found is not None and not found.complete and installed(tmp_path) is found
    python = environment_python(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    write_installation(Installation(tmp_path, "1.0.0", True))
    found = installed(tmp_path)
    assert found is not None and found.usable
    (tmp_path / "kiss3d-setup.json").write_text("{", encoding="utf-8")
    os.utime(tmp_path / "kiss3d-setup.json", ns=(3, 3))
    assert installed(tmp_path) is None
