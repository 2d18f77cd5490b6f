"""The rigs themselves: a tiny extension gets into every Blender, and nothing is left behind."""

from __future__ import annotations

import zipfile
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tests.blender.rigs.bpy_env import BpyEnv
from tests.blender.rigs.processes import TimedOut
from tests.blender.rigs.window import HEIGHT, WIDTH, WindowRig

MANIFEST = """\
schema_version = "1.0.0"
id = "rig_probe"
version = "1.0.0"
name = "Rig probe"
tagline = "Proves that the test rigs install extensions"
maintainer = "Kiss3D"
type = "add-on"
blender_version_min = "4.2.0"
license = ["SPDX:GPL-3.0-or-later"]
"""

ADDON = '''\
import bpy


class RIG_OT_probe(bpy.types.Operator):
    """Leave a mark in the scene"""

    bl_idname = "rig.probe"
    bl_label = "Probe"

    def execute(self, context):
        context.scene["probed"] = context.scene.get("probed", 0) + 1
        print("PROBED", flush=True)
        return {"FINISHED"}


class RIG_PT_probe(bpy.types.Panel):
    bl_label = "Probe"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Probe"

    def draw(self, context):
        self.layout.label(text="A label above the button")
        self.layout.operator("rig.probe")


def register():
    bpy.utils.register_class(RIG_OT_probe)
    bpy.utils.register_class(RIG_PT_probe)


def unregister():
    bpy.utils.unregister_class(RIG_PT_probe)
    bpy.utils.unregister_class(RIG_OT_probe)
'''


@pytest.fixture(scope="module")
def probe_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "rig_probe-1.0.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("blender_manifest.toml", MANIFEST)
        archive.writestr("__init__.py", ADDON)
    return path


def _refused_zip(folder: Path) -> Path:
    path = folder / "refused.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("blender_manifest.toml", MANIFEST.replace('min = "4.2.0"', 'min = "9.9.0"'))
        archive.writestr("__init__.py", ADDON)
    return path


def test_extension_installs_runs_and_leaves(bpy_env: BpyEnv, probe_zip: Path) -> None:
    run = bpy_env.run(
        """
import sys, bpy, kiss3d_inside as inside
with inside.installed(sys.argv[1], "rig_probe") as module:
    bpy.ops.rig.probe()
    inside.report(version=bpy.app.version_string, probed=bpy.context.scene["probed"], module=module.__name__)
inside.report(still_there=inside.enabled("rig_probe"))
""",
        probe_zip,
    ).check()
    assert run.report["version"].startswith(bpy_env.version)
    assert run.report["probed"] == 1
    assert run.report["module"] == "bl_ext.user_default.rig_probe"
    assert run.report["still_there"] is False
    assert run.left_running == []


def test_home_is_kept_between_runs_when_asked(bpy_env: BpyEnv, probe_zip: Path) -> None:
    home = bpy_env.new_home()
    start = "import sys, kiss3d_inside as inside; "
    bpy_env.run(
        start + "inside.install(sys.argv[1], 'rig_probe'); inside.disable('rig_probe')", probe_zip, home=home
    ).check()
    later = start + "inside.enable('rig_probe'); inside.report(ok=True); inside.disable('rig_probe')"
    assert bpy_env.run(later, home=home).check().report == {"ok": True}
    assert bpy_env.run(later).returncode != 0


def test_refused_extension_is_an_error(bpy_env: BpyEnv, probe_zip: Path, tmp_path: Path) -> None:
    """Blender's operator says FINISHED for a zip that it refuses; the rig must not."""
    refused = _refused_zip(tmp_path)
    run = bpy_env.run("import sys, kiss3d_inside as inside; inside.install(sys.argv[1], 'rig_probe')", refused)
    assert run.returncode != 0


def test_hanging_script_is_ended_with_all_it_started(bpy_env: BpyEnv) -> None:
    script = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("started", flush=True)
time.sleep(600)
"""
    with pytest.raises(TimedOut, match="started"):
        bpy_env.run(script, timeout=3)


def test_window_is_drawn_and_a_click_lands(window_rig: WindowRig, probe_zip: Path, tmp_path: Path) -> None:
    script = "inside.report(ran=True)"
    with window_rig.open(script, zip=probe_zip, extension_id="rig_probe", screenshots=tmp_path) as window:
        assert window.report == {"ran": True}
        window.show_panel("Probe")
        window.screenshot("before")
        x, y = window.find_button("rig.probe")
        assert window.evaluate("bpy.context.scene.get('probed', 0)") == 0
        window.click(x, y)
        assert window.wait_until("bpy.context.scene.get('probed', 0)") == 1
        picture = window.screenshot("after")
        with Image.open(picture) as image:
            assert image.size == (WIDTH, HEIGHT)
            assert len(image.convert("RGB").getcolors(WIDTH * HEIGHT) or []) > 100, "an empty screen"
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            window.evaluate("1 / 0")
        assert window.quit() == 0


def test_window_leaves_nothing_behind(window_rig: WindowRig, tmp_path: Path) -> None:
    with window_rig.open(screenshots=tmp_path) as window:
        work = window.work
        assert any("blender" in process.name() for process in psutil.process_iter())
    assert not work.exists()
    assert str(work) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert not [process for process in psutil.process_iter(["cmdline"]) if str(work) in str(process.info["cmdline"])]


def test_window_refuses_an_extension_that_blender_refuses(window_rig: WindowRig, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="did not enable rig_probe"),
        window_rig.open(zip=_refused_zip(tmp_path), extension_id="rig_probe", screenshots=tmp_path),
    ):
        pass
