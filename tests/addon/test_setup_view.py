"""What the panel shows of a set-up, and what it offers."""

from __future__ import annotations

from pathlib import Path

import pytest
from blender_addon.setup_view import (
    SetupView,
    asked_to_stop,
    ended,
    is_other_version,
    reduce_setup,
    standing_of,
    started,
    version_of_server,
)

from kiss3d_protocol.errors import SetupStepFailed, SetupWithoutRoom
from kiss3d_protocol.installation import Installation, environment_python


def progress(step: str, fraction: float, text: str = "") -> dict[str, object]:
    return {"event": "progress", "step": step, "title": "", "fraction": fraction, "text": text}


def test_a_set_up_from_the_click_to_its_end() -> None:
    view = started()
    assert view.running and view.fraction == 0
    view = reduce_setup(view, {"event": "plan", "steps": ["torch"]})
    view = reduce_setup(view, progress("torch", 0.3, "torch-2.13.0.whl"))
    assert (view.step, view.detail, view.fraction) == ("torch", "torch-2.13.0.whl", 0.3)
    view = reduce_setup(view, progress("torch", 0.2))
    assert view.fraction == 0.3, "the bar does not go back"
    view = ended(reduce_setup(view, {"event": "done", "findings": []}), 0)
    assert view.done and not view.running and view.error is None and view.fraction == 1


def test_what_the_check_has_found_is_shown() -> None:
    said = {"remedy": "Update the driver.", "code": "x"}
    findings = [
        {"subject": "Memory", "verdict": "ok", "text": "Enough."} | said,
        {"subject": "Preset fast", "verdict": "note", "text": "Models are missing."} | said,
        {"subject": "Torch", "verdict": "error", "text": "The card stays idle."} | said,
        "nonsense",
    ]
    view = reduce_setup(started(), {"event": "done", "findings": findings})
    assert view.notes == ("Torch: The card stays idle. Update the driver.",)


def test_what_went_wrong_is_kept() -> None:
    said = {"event": "error", "code": "setup.no_room", "message": "There is no room.", "remedy": "Make some."}
    view = ended(reduce_setup(started(), said), SetupWithoutRoom.exit_code)
    assert not view.running and not view.done
    assert isinstance(view.error, SetupWithoutRoom) and view.error.remedy == "Make some."


def test_a_set_up_that_was_killed_says_so() -> None:
    view = ended(reduce_setup(started(), progress("torch", 0.1)), -9)
    assert isinstance(view.error, SetupStepFailed) and "-9" in view.error.message


@pytest.mark.parametrize("code", [46, -15, 0])
def test_a_cancelled_one_is_no_error(code: int) -> None:
    view = asked_to_stop(started())
    assert view.stopping
    said = {"event": "error", "code": "setup.cancelled", "message": "It was cancelled.", "remedy": ""}
    assert ended(reduce_setup(view, said), code) == SetupView()


@pytest.mark.parametrize("event", [{}, {"event": "progress"}, {"event": "progress", "step": 1}, {"event": "new"}])
def test_what_is_not_understood_changes_nothing(event: dict[str, object]) -> None:
    view = started()
    assert reduce_setup(view, event) is view


@pytest.mark.parametrize(
    ("version", "complete", "there", "offer"),
    [
        ("1.0.0", True, True, ""),
        ("0.9.9", True, True, "UPGRADE"),
        ("0.10.0", True, True, "UPGRADE"),
        ("1.1.0", True, True, ""),  # a newer backend is left alone
        ("1.0.0", False, True, "CONTINUE"),
        ("1.0.0", True, False, "SET_UP"),  # somebody has deleted the environment
    ],
)
def test_what_the_panel_offers(tmp_path: Path, version: str, complete: bool, there: bool, offer: str) -> None:
    if there:
        python = environment_python(tmp_path)
        python.parent.mkdir(parents=True)
        python.touch()
    standing = standing_of(Installation(tmp_path, version, complete), "1.0.0")
    assert (standing.offer, standing.version) == (offer, version)


def test_where_nothing_is_a_set_up_is_offered() -> None:
    assert standing_of(None, "1.0.0").offer == "SET_UP"


@pytest.mark.parametrize(
    ("server", "version", "other"),
    [
        ("kiss3d/1.0.0", "1.0.0", False),
        ("kiss3d/1.0.1", "1.0.1", True),
        ("kiss3d/0.9", "0.9", True),
        ("fake/2.0", "", False),
        ("kiss3d/", "", False),
        ("kiss3d", "", False),
    ],
)
def test_a_backend_of_another_version_is_known(server: str, version: str, other: bool) -> None:
    assert version_of_server(server) == version
    assert is_other_version(server, "1.0.0") == other
