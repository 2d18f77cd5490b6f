"""The tool behind the README's two commands, as far as it goes without installing anything."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from tests.architecture.source_tree import ROOT
from tests.packaging.scripts import packaging_script


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool on an empty checkout, where every program call is refused unless a test allows it."""
    module = packaging_script("dev")
    (tmp_path / "packaging").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "packaging" / "constraints.txt").write_text("attrs==1\n", encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "CONSTRAINTS", tmp_path / "packaging" / "constraints.txt")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "kiss3d-set-up.json")
    monkeypatch.setattr(module, "_run", lambda *command: pytest.fail(f"ran {command}"))
    monkeypatch.setattr(module, "_succeeds", lambda *command, **options: pytest.fail(f"ran {command}"))
    return module


def _stamp(dev: ModuleType, *, tests: bool) -> None:
    dev.STAMP.write_text(json.dumps({"inputs": dev._inputs_hash(), "tests": tests}), encoding="utf-8")


def test_old_python_is_told_so(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2, "final", 0))
    assert dev.main() == 1
    assert "needs Python 3.11 or newer, and this is Python 3.9" in capsys.readouterr().err


@pytest.mark.parametrize(("installed", "wanted"), [(True, True), (True, False), (False, False)])
def test_nothing_is_installed_twice(dev: ModuleType, installed: bool, wanted: bool) -> None:
    _stamp(dev, tests=installed)
    dev.set_up(with_tests=wanted)


@pytest.mark.parametrize("changed", ["pyproject.toml", "packaging/constraints.txt"])
def test_a_change_installs_again(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    _stamp(dev, tests=True)
    with (dev.ROOT / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    ran: list[list[str]] = []
    monkeypatch.setattr(dev, "_succeeds", lambda *command, **options: True)
    monkeypatch.setattr(dev, "_run", lambda command, env=None: ran.append([str(part) for part in command]) or 0)
    dev.set_up(with_tests=True)
    assert len(ran) == 1 and ran[0][1:4] == ["-m", "pip", "install"]
    assert ran[0][-1].endswith("[test]")
    dev.set_up(with_tests=True)
    assert len(ran) == 1


def test_test_tools_are_added_to_a_demo_environment(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _stamp(dev, tests=False)
    monkeypatch.setattr(dev, "_succeeds", lambda *command, **options: True)
    monkeypatch.setattr(dev, "_run", lambda command, env=None: 0)
    dev.set_up(with_tests=True)
    assert json.loads(dev.STAMP.read_text(encoding="utf-8"))["tests"] is True


def test_failed_installation_is_not_taken_for_done(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "_succeeds", lambda *command, **options: True)
    monkeypatch.setattr(dev, "_run", lambda command, env=None: 1)
    with pytest.raises(dev.SetUpError, match="could not be installed"):
        dev.set_up(with_tests=False)
    assert not dev.STAMP.exists()


def test_python_without_any_way_to_pip_gets_a_remedy(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "_succeeds", lambda command, **options: "--without-pip" in command)
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    with pytest.raises(dev.SetUpError, match="sudo apt install python3-venv"):
        dev.set_up(with_tests=False)


def test_python_without_venv_gets_a_remedy(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "_succeeds", lambda *command, **options: False)
    with pytest.raises(dev.SetUpError, match="cannot make a virtual environment"):
        dev.set_up(with_tests=False)


@pytest.mark.parametrize("failing", ["ruff check", "ruff format", "pyright", "import-linter", "pytest", None])
def test_everything_runs_and_any_failure_counts(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, failing: str | None
) -> None:
    ran: list[str] = []

    def run(command: list[object], env: object = None) -> int:
        words = [Path(str(command[0])).stem, *map(str, command[1:])]
        name = next((name for name, check in dev.CHECKS.items() if check == words), "pytest")
        ran.append(name)
        if name == "pytest":
            assert words == ["python", "-m", "pytest", *dev.SIDE_BY_SIDE, str(Path("tests/mesh")), "-k", "word"]
        return int(name == failing)

    monkeypatch.setattr(dev, "_run", run)
    monkeypatch.setattr(dev, "_start", lambda command: ran.append(command[-1]))
    assert (dev.run_tests(["mesh"], ["-k", "word"]) == 0) == (failing is None)
    compiling, *rest = ran
    assert find_spec(compiling) is not None
    assert rest == [*dev.CHECKS, "pytest"]


def test_layers_are_all_folders_with_tests_slow_ones_last(dev: ModuleType) -> None:
    for name in ("mesh", "e2e", "blender", "zebra", "fakes", "benchmarks"):
        folder = dev.ROOT / "tests" / name
        folder.mkdir(parents=True)
        (folder / "test_something.py").touch()
    (dev.ROOT / "tests" / "empty").mkdir()
    assert dev.test_layers(fast=False) == ["mesh", "zebra", "blender", "e2e"]
    assert dev.test_layers(fast=True) == ["mesh", "zebra"]


def test_exit_code_of_the_demo_is_passed_on(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "_run", lambda command, env=None: 12)
    assert dev.run_demo(dev.ROOT / "out") == 12


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert ci[-1] == "exec python3 packaging/dev.py test"


def test_ci_script_is_executable_in_git() -> None:
    listed = subprocess.run(["git", "ls-files", "-s", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert listed.stdout.startswith("100755")
