"""Checks of setting a local backend up, with a script in the place of the set-up; scripted.py runs them."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import bpy
from session import FOLDER

STAND_IN = """
import json, shutil, sys
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("--into") + 1])
says = json.loads(Path(__file__).with_suffix(".json").read_text())
for event in says["events"]:
    print(json.dumps(event), flush=True)
if sys.argv[1] == "remove":
    shutil.rmtree(folder)
elif says["version"]:
    python = folder / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python.parent.mkdir(parents=True, exist_ok=True)
    python.touch()
    record = {"format": 1, "version": says["version"], "complete": True, "torch": "cpu", "steps": {}}
    (folder / "kiss3d-setup.json").write_text(json.dumps(record))
sys.exit(says["code"])
"""

ROOM = {"event": "error", "code": "setup.no_room", "message": "There is no room.", "remedy": "Make some."}


def chosen():
    from bl_ext.user_default.kiss3d import preferences

    return preferences.get(bpy.context)


@contextlib.contextmanager
def stand_in(*events, version="", code=0):
    """Another program as the set-up, a folder of its own, and leave to go online."""
    from bl_ext.user_default.kiss3d import setup_process

    program, real = FOLDER / "stand_in.py", setup_process.SETUP
    program.write_text(STAND_IN, encoding="utf-8")
    program.with_suffix(".json").write_text(
        json.dumps({"events": events, "version": version, "code": code}), encoding="utf-8"
    )
    before = chosen().mode
    variable = os.environ.pop("KISS3D_PYTHON", None)
    setup_process.SETUP = program
    chosen().mode, chosen().folder = "LOCAL", str(FOLDER / "backend")
    bpy.context.preferences.system.use_online_access = True
    try:
        yield
    finally:
        setup_process.SETUP = real
        bpy.context.preferences.system.use_online_access = False
        chosen().mode, chosen().folder = before, ""
        if variable is not None:
            os.environ["KISS3D_PYTHON"] = variable


def check_nothing_is_set_up_without_leave_to_go_online():
    assert not bpy.app.online_access and not bpy.ops.kiss3d.set_up.poll()
    assert not bpy.ops.kiss3d.cancel_set_up.poll() and not bpy.ops.kiss3d.remove_backend.poll()


def check_what_is_set_up_is_used_upgraded_and_removed():
    from bl_ext.user_default.kiss3d import blender_session
    from bl_ext.user_default.kiss3d.setup_view import standing_of

    folder = FOLDER / "backend"
    with stand_in({"event": "done", "findings": []}, version="0.0.1"):
        assert chosen().backend_target().python == "" and chosen().installation() is None
        assert bpy.ops.kiss3d.set_up() == {"FINISHED"}
        assert Path(chosen().backend_target().python).parent.parent == folder / "env"
        assert blender_session.local_setup().view.done
        assert standing_of(chosen().installation(), blender_session.VERSION).offer == "UPGRADE"
    with stand_in(version=blender_session.VERSION):
        assert bpy.ops.kiss3d.set_up() == {"FINISHED"}
        assert standing_of(chosen().installation(), blender_session.VERSION).offer == ""
        chosen().python = "/own/python"
        assert chosen().backend_target().python == "/own/python", "what a person has chosen goes first"
        chosen().python = ""
        assert bpy.ops.kiss3d.remove_backend() == {"FINISHED"}
        assert not folder.exists() and chosen().backend_target().python == ""


def check_a_set_up_that_fails_says_why():
    from bl_ext.user_default.kiss3d import blender_session

    with stand_in(ROOM, code=37):
        assert bpy.ops.kiss3d.set_up() == {"CANCELLED"}
        error = blender_session.local_setup().view.error
        assert (error.code, error.remedy) == ("setup.no_room", "Make some.")
        assert chosen().backend_target().python == ""


def check_log_of_the_set_up_can_be_read():
    with stand_in(version="1.0"):
        assert not bpy.ops.kiss3d.show_setup_log.poll()
        assert bpy.ops.kiss3d.set_up() == {"FINISHED"}
        (FOLDER / "backend" / "setup.log").write_text("$ pip\nCollecting torch\n", encoding="utf-8")
        assert bpy.ops.kiss3d.show_setup_log() == {"FINISHED"}
        assert bpy.data.texts["Kiss3D Set-up"].as_string() == "$ pip\nCollecting torch"
        assert bpy.ops.kiss3d.remove_backend() == {"FINISHED"}


def check_the_real_set_up_is_in_the_extension_and_runs_under_this_python():
    from bl_ext.user_default.kiss3d import blender_session, setup_process

    folder = FOLDER / "not-ours"
    folder.mkdir(exist_ok=True)
    (folder / "mine.txt").touch()
    command = [setup_process.python_for_scripts(), setup_process.SETUP, *setup_process.install_arguments(folder)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, event["code"]) == (36, "setup.folder"), done
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert not blender_session.local_setup().view.running
