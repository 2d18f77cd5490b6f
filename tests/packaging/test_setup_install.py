"""A set-up with a stand-in for Python and pip: what is done, what is done again, what an interruption leaves."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.architecture.source_tree import ROOT
from tests.fakes.setup_tools import REPORT
from tests.packaging.conftest import SetupBench

from kiss3d_protocol.errors import (
    SetupBusy,
    SetupCancelled,
    SetupCheckFailed,
    SetupFolderForeign,
    SetupStepFailed,
    SetupWithoutRoom,
)
from kiss3d_protocol.installation import read_installation
from kiss3d_setup import folder as setup_folder
from kiss3d_setup.folder import locked, remove_environment, remove_if_empty
from kiss3d_setup.install import IDLE_CARD
from kiss3d_setup.process import Stop, clean_environment
from kiss3d_setup.torch_builds import build_of

WHEEL = "kiss3d-1.0.0-py3-none-any.whl"
ALL = ["venv", "pip==26.3", "torch==2.13.0+cpu", f"{WHEEL}[gpu,metrics]", f"again {WHEEL}", "doctor"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for Python is a script with a #! line")


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_everything_is_done_once(bench: SetupBench) -> None:
    made = bench.install()
    assert bench.python.calls == ALL
    assert made.complete and made.usable and made.version == "1.0.0" and made.torch == "cpu"
    assert read_installation(bench.folder) == made
    assert (made.data, made.models) == ("/data", "/models")
    bench.python.forget()
    bench.install()
    assert bench.python.calls == ["doctor"], "what is done is not done again, but it is checked"


def test_it_says_how_far_it_is(bench: SetupBench) -> None:
    downloads = ["Collecting torch", "Progress 0 of 200", "Progress 100 of 200", "Progress 101 of 200"]
    bench.python.plays({"word": "torch", "lines": [*downloads, "Installing collected packages: torch"]})
    bench.install()
    told = [event for event in bench.events if event["event"] == "progress"]
    fractions = [event["fraction"] for event in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] < 1
    assert [event["text"] for event in told if event["step"] == "torch"] == ["", "torch", "torch", ""]
    assert "Progress" not in bench.log and "Collecting torch" in bench.log
    assert (bench.events[0]["event"], bench.events[-1]["event"]) == ("plan", "done")
    assert bench.events[-1]["findings"] == REPORT["findings"] and bench.events[-1]["data"] == "/data"


def test_the_build_comes_from_pytorch_only_where_this_machines_places_lack_it(bench: SetupBench) -> None:
    words = "ERROR: No matching distribution found for torch==2.13.0+cu130"
    bench.torch = build_of("cu130")
    # The second call, which names PyTorch's index, is known by it and works.
    bench.python.plays({"word": "whl/cu130"}, {"word": "torch==", "lines": [words], "code": 1})
    bench.install()
    assert bench.python.calls[2:4] == ["torch==2.13.0+cu130", "--extra-index-url torch==2.13.0+cu130"]


def test_another_failure_does_not_ask_pytorch(bench: SetupBench) -> None:
    bench.python.plays({"word": "torch==", "lines": ["ERROR: No space left on device"], "code": 1})
    with pytest.raises(SetupStepFailed, match="Installing torch did not work: ERROR: No space left on device"):
        bench.install()
    assert bench.python.calls[-1] == "torch==2.13.0+cpu"


def test_a_failed_step_is_gone_on_with(bench: SetupBench) -> None:
    bench.python.plays({"word": "[gpu", "lines": ["ERROR: a timeout", "hint: none"], "code": 1})
    with pytest.raises(SetupStepFailed, match="a timeout"):
        bench.install()
    found = read_installation(bench.folder)
    assert found is not None and not found.complete and not found.usable
    bench.python.forget()
    bench.python.plays()
    assert bench.install().usable
    assert bench.python.calls == ALL[3:]


def test_cancelled_in_the_middle_and_gone_on_with(bench: SetupBench) -> None:
    bench.python.plays({"word": "torch==", "lines": ["Collecting torch"], "hangs": True})
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            bench.install()
        except SetupCancelled as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: bench.python.child)
    child = psutil.Process(bench.python.child)
    bench.stop.ask()
    thread.join(20)
    assert outcome and not thread.is_alive()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    bench.python.forget()
    bench.python.plays()
    bench.stop = Stop()
    assert bench.install().usable
    assert bench.python.calls == ALL[2:]


def test_what_an_interruption_has_left_half_made_is_taken_away(bench: SetupBench) -> None:
    bench.python.plays({"word": "[gpu", "code": 1})
    with pytest.raises(SetupStepFailed):
        bench.install()
    packages = bench.folder / "env" / "lib" / "python3.11" / "site-packages"
    for name in ("whole-1.dist-info", "half-1.dist-info", "~lder", "whole"):
        (packages / name).mkdir(parents=True)
    (packages / "whole-1.dist-info" / "RECORD").touch()
    bench.python.plays()
    bench.install()
    assert {path.name for path in packages.iterdir()} == {"whole-1.dist-info", "whole"}
    assert "half-1.dist-info, ~lder" in bench.log or "~lder, half-1.dist-info" in bench.log


def test_an_upgrade_installs_the_packages_alone_and_keeps_the_rest(bench: SetupBench) -> None:
    bench.install()
    bench.python.forget()
    bench.version = "1.1.0"
    made = bench.install()
    assert made.version == "1.1.0"
    new = WHEEL.replace("1.0.0", "1.1.0")
    assert bench.python.calls == [f"{new}[gpu,metrics]", f"again {new}", "doctor"]


def test_an_upgrade_without_room_leaves_what_is_there(bench: SetupBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.install()
    bench.version = "1.1.0"
    usage = shutil.disk_usage(bench.folder)
    monkeypatch.setattr(setup_folder.shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with pytest.raises(SetupWithoutRoom, match="up to 2 GB"):
        bench.install()
    found = read_installation(bench.folder)
    assert found is not None and found.usable and found.version == "1.0.0"


@pytest.mark.parametrize("lost", ["other torch", "the environment", "its Python"])
def test_what_a_step_depends_on_makes_it_and_all_after_it_again(bench: SetupBench, lost: str) -> None:
    bench.install()
    bench.python.forget()
    if lost == "other torch":
        bench.torch = build_of("cu126")
    elif lost == "its Python":
        (bench.folder / "env" / "bin" / "python").write_text("#!/no/such/python\n", encoding="utf-8")
    else:
        shutil.rmtree(bench.folder / "env")
    bench.install()
    assert len(bench.python.calls) == (4 if lost == "other torch" else 6)


def test_a_backend_that_does_not_work_is_told_with_what_is_wrong(bench: SetupBench) -> None:
    finding = {
        "subject": "Libraries",
        "verdict": "error",
        "text": "numpy cannot be imported.",
        "remedy": "",
        "code": "",
    }
    report = json.dumps(REPORT | {"findings": [finding]})
    bench.python.plays({"word": "doctor", "lines": ["some noise", report], "code": 1})
    with pytest.raises(SetupCheckFailed, match=r"Libraries: numpy cannot be imported\."):
        bench.install()
    assert read_installation(bench.folder).complete is False  # pyright: ignore[reportOptionalMemberAccess]


def test_a_card_that_stays_idle_is_told_of_and_is_no_failure(bench: SetupBench) -> None:
    idle = {
        "subject": "Torch",
        "verdict": "error",
        "text": "The card stays idle.",
        "remedy": "",
        "code": "torch.cpu_build",
    }
    bench.python.plays({"word": "doctor", "lines": [json.dumps(REPORT | {"findings": [idle]})], "code": 1})
    assert bench.install().usable
    assert bench.events[-1]["findings"] == [idle]


def test_a_check_without_an_answer_is_a_failure(bench: SetupBench) -> None:
    bench.python.plays({"word": "doctor", "lines": ["Segmentation fault"], "code": 139})
    with pytest.raises(SetupCheckFailed, match="Segmentation fault"):
        bench.install()


def test_the_codes_of_an_idle_card_are_those_of_the_doctor() -> None:
    said = (ROOT / "backend" / "kiss3d_backend" / "commands" / "machine_findings.py").read_text(encoding="utf-8")
    assert [code for code in IDLE_CARD if f'"{code}"' not in said] == []


def test_a_folder_of_others_is_left_alone(bench: SetupBench) -> None:
    bench.folder.mkdir(parents=True)
    (bench.folder / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SetupFolderForeign, match="did not make"):
        bench.install()
    with pytest.raises(SetupFolderForeign, match="was not made by the set-up"):
        remove_environment(bench.folder)
    assert [path.name for path in bench.folder.iterdir()] == ["thesis.txt"]


def test_two_at_once_are_refused(bench: SetupBench) -> None:
    bench.install()
    with locked(bench.folder), pytest.raises(SetupBusy):
        bench.install()


def test_removal_takes_away_what_was_made_and_nothing_else(bench: SetupBench) -> None:
    bench.install()
    (bench.folder / "notes.txt").write_text("mine", encoding="utf-8")
    remove_environment(bench.folder)
    remove_if_empty(bench.folder)
    assert [path.name for path in bench.folder.iterdir()] == ["notes.txt"]
    assert read_installation(bench.folder) is None


def test_removal_of_all_takes_the_folder_too(bench: SetupBench) -> None:
    bench.install()
    remove_environment(bench.folder)
    remove_if_empty(bench.folder)
    assert not bench.folder.exists()


def test_environment_of_programs_is_clean_and_keeps_the_settings_of_pip() -> None:
    given = {"PIP_INDEX_URL": "mirror", "UV_INDEX": "mirror", "https_proxy": "mirror"}
    elsewhere = {"PYTHONPATH": "/x", "VIRTUAL_ENV": "/x", "PIP_TARGET": "/x", "PIP_PREFIX": "/x"}
    made = clean_environment(given | elsewhere | {"PIP_USER": "1"})
    assert made.items() >= given.items() and made["PIP_USER"] == "0"
    assert not made.keys() & elsewhere.keys()


def test_paths_with_spaces_are_used(bench: SetupBench) -> None:
    assert " " in str(bench.folder)
    assert Path(bench.install().python).is_file()
