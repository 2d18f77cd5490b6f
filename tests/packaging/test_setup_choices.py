"""What the set-up chooses: torch's build, the Python, the steps. Pure, or with stand-ins."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.architecture.source_tree import ROOT

from kiss3d_protocol.errors import SetupPythonMissing
from kiss3d_protocol.installation import default_folder, version_numbers
from kiss3d_setup import graphics_card
from kiss3d_setup.graphics_card import cards_of, find_card
from kiss3d_setup.payload import Payload, payload_of_archive, payload_of_checkout
from kiss3d_setup.progress import StepProgress
from kiss3d_setup.pythons import Maker, Tool, find_maker, usable_python
from kiss3d_setup.steps import NO_SUCH_RELEASE, Step, plan_steps
from kiss3d_setup.torch_builds import CUDA_BUILDS, TORCH, Card, build_of, choose_torch

SETUP = ROOT / "packaging" / "kiss3d_setup"


@pytest.mark.parametrize(
    ("platform", "driver", "capability", "tag"),
    [
        ("linux", (580, 65, 6), (8, 9), "cu130"),
        ("linux", (595, 10), (12, 0), "cu130"),
        ("win32", (580, 88), (7, 5), "cu130"),
        ("linux", (575, 57, 8), (8, 9), "cu126"),
        ("linux", (580, 65, 6), (6, 1), "cu126"),  # Pascal: CUDA 13 does not know it any more
        ("linux", (525, 60, 13), (8, 0), "cu126"),
        ("linux", (525, 60, 11), (8, 0), "cpu"),
        ("win32", (528, 33), (8, 6), "cu126"),
        ("win32", (528, 2), (8, 6), "cpu"),
        ("linux", (575, 57, 8), (12, 0), "cpu"),  # Blackwell: the build for CUDA 12.6 does not know it yet
        ("linux", (470, 82, 1), (3, 7), "cpu"),
        ("linux", (570, 86, 10), None, "cu126"),
        ("linux", (580, 65, 6), None, "cu130"),
    ],
)
def test_the_build_follows_driver_and_card(
    platform: str, driver: tuple[int, ...], capability: tuple[int, int] | None, tag: str
) -> None:
    build = choose_torch(platform, "x86_64", Card("Card", driver, capability))
    assert build.tag == tag
    assert build.requirement == f"torch=={TORCH}+{tag}"
    assert build.index.endswith(f"/{tag}")
    assert ".".join(map(str, driver)) in build.why


def test_without_a_card_the_processor_and_on_macos_the_only_one() -> None:
    assert choose_torch("linux", "x86_64", None).requirement == f"torch=={TORCH}+cpu"
    apple = choose_torch("darwin", "arm64", None)
    assert (apple.requirement, apple.index) == (f"torch=={TORCH}", "")


def test_the_release_is_the_pinned_one() -> None:
    assert f"\ntorch=={TORCH}\n" in (ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8")


def test_a_build_can_be_chosen() -> None:
    assert build_of("pypi").requirement == f"torch=={TORCH}"
    assert {build_of(build.tag).tag for build in CUDA_BUILDS} == {"cu130", "cu126"}
    with pytest.raises(ValueError, match="none of cpu, cu130, cu126, pypi"):
        build_of("cu118")


def test_what_nvidia_smi_prints_is_read() -> None:
    printed = "NVIDIA GeForce RTX 4090, 580.65.06, 8.9\nTesla P100, 580.65.06, 6.0\n"
    assert cards_of(printed) == [
        Card("NVIDIA GeForce RTX 4090", (580, 65, 6), (8, 9)),
        Card("Tesla P100", (580, 65, 6), (6, 0)),
    ]
    assert cards_of("GRID, 470.82, [N/A]\n") == [Card("GRID", (470, 82))]
    assert cards_of("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n") == []


def test_the_newest_card_counts_and_an_old_driver_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[1])
        if "compute_cap" in command[1]:
            return subprocess.CompletedProcess(command, 2, 'Field "compute_cap" is not a valid field to query.\n')
        return subprocess.CompletedProcess(command, 0, "Quadro, 450.80.02\n")

    monkeypatch.setattr(graphics_card.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(graphics_card.subprocess, "run", run)
    assert find_card() == Card("Quadro", (450, 80, 2))
    assert len(asked) == 2
    done = subprocess.CompletedProcess([], 0, "GT 710, 470.1, 3.5\nRTX 3090, 470.1, 8.6\n")
    monkeypatch.setattr(graphics_card.subprocess, "run", lambda *a, **k: done)
    assert find_card() == Card("RTX 3090", (470, 1), (8, 6))


def machine(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in programs else None


def good(*programs: str) -> Callable[[Sequence[str]], str | None]:
    return lambda command: command[0] if command[0].rpartition("/")[2] in programs else None


@pytest.mark.parametrize(
    ("tool", "own_last", "there", "works", "made_with"),
    [
        ("auto", False, ("python3.12", "uv"), ("own", "python3.12"), Maker("/own")),
        ("auto", True, ("python3.12", "uv"), ("own", "python3.12"), Maker("/bin/python3.12")),
        ("auto", True, ("python3.12", "python3", "uv"), ("own", "python3"), Maker("/bin/python3")),
        ("auto", True, ("python3", "uv"), ("own",), Maker("3.12", "/bin/uv")),
        ("auto", True, ("python3",), ("own",), Maker("/own")),
        ("auto", False, ("uv",), (), Maker("3.12", "/bin/uv")),
        ("uv", False, ("uv", "python3.12"), ("own", "python3.12"), Maker("3.12", "/bin/uv")),
        ("venv", True, ("uv",), ("own",), Maker("/own")),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its own launcher, py")
def test_what_makes_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    tool: Tool,
    own_last: bool,
    there: tuple[str, ...],
    works: tuple[str, ...],
    made_with: Maker,
) -> None:
    monkeypatch.setattr(sys, "executable", "/own")
    assert find_maker(tool, None, own_last, good(*works), machine(*there)) == made_with


def test_what_is_missing_is_said() -> None:
    with pytest.raises(SetupPythonMissing, match=r"3\.11 to 3\.13"):
        find_maker("auto", None, False, good(), machine("python3"))
    with pytest.raises(SetupPythonMissing, match="uv was asked for"):
        find_maker("uv", None, False, good("own"), machine())
    with pytest.raises(SetupPythonMissing, match="is no Python"):
        find_maker("auto", "/opt/python3.9", False, good(), machine())


def test_a_chosen_python_is_taken() -> None:
    assert find_maker("uv", "3.11", False, good(), machine("uv")) == Maker("3.11", "/bin/uv", chosen=True)
    assert find_maker("auto", "/opt/p", False, good("p"), machine("uv")) == Maker("/opt/p", chosen=True)


def test_a_python_that_nobody_chose_may_change(tmp_path: Path, payload: Payload) -> None:
    """An upgrade of the system brings another one, and the environment that is there still does."""
    one, other = (plan_steps(tmp_path, Maker(python), build_of("cpu"), payload, ()) for python in ("/p", "/q"))
    assert [step.stamp for step in one] == [step.stamp for step in other]


def test_a_python_is_tried_before_it_is_used(tmp_path: Path) -> None:
    assert usable_python([sys.executable]) is not None
    assert usable_python([str(tmp_path / "no-such-python")]) is None
    assert usable_python([sys.executable, "-c", "raise SystemExit(1)"]) is None


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("pip==26.3\nnumpy==2.0\n", encoding="utf-8")
    return Payload(tmp_path / "kiss3d-1-py3-none-any.whl", constraints, "1", "digest")


def words(steps: list[Step], name: str) -> list[tuple[str, ...]]:
    return [command.argv for step in steps if step.name == name for command in step.commands]


def test_steps_with_pip_keep_the_settings_of_pip(tmp_path: Path, payload: Payload) -> None:
    steps = plan_steps(tmp_path, Maker("/usr/bin/python3.12"), build_of("cu130"), payload, ("gpu",))
    assert [step.name for step in steps] == ["environment", "torch", "packages", "check"]
    assert sum(step.share for step in steps) == pytest.approx(1)
    assert words(steps, "environment")[0][:5] == ("/usr/bin/python3.12", "-I", "-m", "venv", "--clear")
    everything = [word for step in steps for command in step.commands for word in command.argv]
    assert not [word for word in everything if word.startswith(("--index-url", "--extra-index", "--find-links"))]
    (torch,) = next(step for step in steps if step.name == "torch").commands
    assert torch.instead[-3:-1] == ("--extra-index-url", build_of("cu130").index)
    assert words(steps, "packages")[0][-1].endswith(".whl[gpu]")


def test_steps_with_uv(tmp_path: Path, payload: Payload) -> None:
    steps = plan_steps(tmp_path, Maker("3.12", "/bin/uv"), build_of("cu126"), payload, ())
    assert all(command.argv[0] == "/bin/uv" for step in steps[:-1] for command in step.commands)
    assert words(steps, "environment") == [
        ("/bin/uv", "venv", "--clear", "--no-project", "--python", "3.12", str(tmp_path / "env"))
    ]
    (torch,) = steps[1].commands
    assert torch.instead[-3:] == ("--torch-backend", "cu126", f"torch=={TORCH}+cu126")


def test_stamps_hang_together(tmp_path: Path, payload: Payload) -> None:
    def stamps(folder: Path, python: str, torch: str, *extras: str) -> list[str]:
        return [step.stamp for step in plan_steps(folder, Maker(python, chosen=True), build_of(torch), payload, extras)]

    first = stamps(tmp_path, "/p", "cpu", "gpu")
    assert first == stamps(tmp_path, "/p", "cpu", "gpu") and first[-1] == "" and len(set(first)) == 4
    same = [
        sum(a == b for a, b in zip(first[:-1], other[:-1], strict=True))
        for other in (
            stamps(tmp_path, "/p", "cpu", "gpu", "metrics"),
            stamps(tmp_path, "/p", "cu130", "gpu"),
            stamps(tmp_path, "/q", "cpu", "gpu"),
            stamps(tmp_path / "moved", "/p", "cpu", "gpu"),
        )
    ]
    assert same == [2, 1, 0, 0]


def test_progress_counts_packages_and_bytes() -> None:
    progress = StepProgress(packages=4)
    seen = [progress.fraction]
    for line in (
        "Collecting numpy==2.0 (from kiss3d)",
        "  Downloading numpy-2.0-cp311-cp311-manylinux_2_28_x86_64.whl (16 MB)",
        "Progress 0 of 100",
        "Progress 50 of 100",
        "Collecting scipy",
        "Installing collected packages: numpy, scipy",
    ):
        progress.take(line)
        seen.append(progress.fraction)
    assert seen == sorted(seen) and seen[-1] == pytest.approx(0.7)
    assert not progress.take("Requirement already satisfied: pip")


def test_the_set_up_uses_the_standard_library_alone() -> None:
    for path in (*SETUP.glob("*.py"), ROOT / "protocol" / "kiss3d_protocol" / "installation.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in names:
                own = name in ("kiss3d_protocol.errors", "kiss3d_protocol.installation", "kiss3d_setup.cli")
                assert own or name.split(".")[0] in sys.stdlib_module_names, f"{path.name}: {name}"


def test_the_entry_parses_on_pythons_that_are_too_old() -> None:
    ast.parse((ROOT / "packaging" / "setup_backend.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_a_checkout_is_known_by_its_files(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "packaging/constraints.txt", "backend/a.py", "protocol/b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('[project]\nversion = "3.2.1"\n', encoding="utf-8")
    first = payload_of_checkout(tmp_path)
    assert (first.version, first.source) == ("3.2.1", tmp_path)
    (tmp_path / "backend" / "__pycache__").mkdir()
    (tmp_path / "backend" / "__pycache__" / "a.pyc").touch()
    assert payload_of_checkout(tmp_path) == first
    (tmp_path / "backend" / "a.py").write_text("changed", encoding="utf-8")
    assert payload_of_checkout(tmp_path).digest != first.digest


def test_an_archive_brings_its_wheel_along(tmp_path: Path) -> None:
    archive, scratch = tmp_path / "kiss3d_setup.pyz", tmp_path / "scratch"
    scratch.mkdir()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("payload/kiss3d-4.5.6-py3-none-any.whl", b"wheel")
        packed.writestr("payload/constraints.txt", "pip==1\nPillow==13.0\n")
        packed.writestr("kiss3d_setup/cli.py", "")
    found = payload_of_archive(archive, scratch)
    assert (found.version, found.pins, found.pin("pillow")) == ("4.5.6", 2, "pillow==13.0")
    assert {path.name for path in scratch.iterdir()} == {"kiss3d-4.5.6-py3-none-any.whl", "constraints.txt"}


def test_the_folder_is_not_that_of_the_data() -> None:
    assert default_folder({"KISS3D_BACKEND_DIR": "/big/disk"}) == Path("/big/disk")
    assert default_folder({}).name == "kiss3d-backend"


@pytest.mark.parametrize(
    ("version", "numbers"), [("0.1.0", (0, 1, 0)), ("1.2.0rc1", (1, 2, 0)), ("2", (2,)), ("", ()), ("x.1", ())]
)
def test_versions_are_read(version: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(version) == numbers


def test_the_words_of_missing_builds_are_those_of_both_tools() -> None:
    assert any(sign in "ERROR: No matching distribution found for torch==2.13.0+cu130" for sign in NO_SUCH_RELEASE)
    uv = "  ╰─▶ Because there is no version of torch==2.13.0+cpu and you require torch==2.13.0+cpu, we can conclude"
    assert any(sign in uv for sign in NO_SUCH_RELEASE)
