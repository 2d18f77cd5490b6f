"""What docs/scripting.md has left, opened in Blender 5.2; and Ctrl-C there, of which Blender only takes a note."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import bpy

sys.path[:0] = ["/kiss3d/inside", "/kiss3d"]
import kiss3d_inside as inside  # noqa: E402
from running import run_checks  # noqa: E402
from standing import assert_stands, opened  # noqa: E402

HOME = Path.cwd()


def finished(manifest):
    lines = [json.loads(line) for line in (HOME / manifest).read_text(encoding="utf-8").splitlines()]
    return {line["name"]: line for line in lines if line["state"] == "finished"}


def check_batch_is_in_place_named_upright_with_its_recipes():
    things, entries = opened(HOME / "props.blend"), finished("props.manifest.jsonl")
    assert things.keys() == {"chair", "lamp", "stool"} and entries.keys() == {"chair", "lamp", "sets/stool"}
    for name, row, x, y in (("chair", "chair", 0, 0), ("lamp", "lamp", 2, 0), ("stool", "sets/stool", 0, 2)):
        assert_stands(things[name], x, y, size=2.0)
        assert [one.name for one in things[name].users_collection] == [row]
        recipe = things[name]["kiss3d"].to_dict()
        assert (recipe["job"], recipe["quality"], recipe["preset"]) == (entries[row]["job"], "final", "draft")
        assert things[name].asset_data.catalog_id
    assert (HOME / "blender_assets.cats.txt").read_text(encoding="utf-8").count(":Props/Furniture:") == 1


def check_files_of_a_table():
    (oak,) = opened(HOME / "furniture" / "chairs" / "oak.blend").values()
    assert (oak.name, int(oak["kiss3d"]["seed"]), oak["kiss3d"]["preset"]) == ("oak", 7, "fast")
    assert [tag.name for tag in oak.asset_data.tags] == ["oak", "indoor"]
    assert len([thing for thing in bpy.context.scene.objects if "_LOD" in thing.name]) == 2
    (lamp,) = opened(HOME / "furniture" / "lamp.blend").values()
    assert lamp["kiss3d"]["prompt"] == "a brass desk lamp"


def check_other_files():
    assert abs(opened(HOME / "room.blend")["chair"].dimensions.z - 0.9) < 1e-3
    assert len(opened(HOME / "jobs.blend")) == 2
    assert len(finished("november/manifest.jsonl")) >= 6 and len(list((HOME / "newest").glob("*.glb"))) == 1
    assert {path.stem for path in (HOME / "assets").rglob("*.blend")} == {"chair", "lamp"}
    assert sum("kiss3d" in thing for thing in opened(HOME / "furnished.blend").values()) == 5


def check_ctrl_c_keeps_what_has_come():
    from bl_ext.user_default.kiss3d import api

    def press():
        deadline = time.monotonic() + 30
        path = HOME / "stopped.manifest.jsonl"
        while time.monotonic() < deadline:
            if path.is_file() and '"name": "forever"' in path.read_text(encoding="utf-8"):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.02)

    threading.Thread(target=press, daemon=True).start()
    assert api.command(["batch", "stopped", "-o", "stopped.blend", "--jobs", "1"]) == 130
    assert opened(HOME / "stopped.blend").keys() == {"chair"} == finished("stopped.manifest.jsonl").keys()
    assert [one.name for one in bpy.data.collections] == ["chair"]


run_checks(globals())
inside.report(done=True)
