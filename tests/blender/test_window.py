"""The panel in a real window: clicks, what is seen, and how Blender answers while a job runs.

The screenshots are kept in build/screenshots, to be looked at.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.blender.rigs.window import Window, WindowRig
from tests.blender.test_real_backend import draw_pictures
from tests.fakes.backend_process import BackendProcess
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Pause, ScriptedBackend, ScriptedJob, Step, Until

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"

SETUP = """
import bpy
from bl_ext.user_default.kiss3d import blender_session, preferences

preferences.get(bpy.context).mode = "ADDRESS"
bpy.data.objects.remove(bpy.data.objects["Cube"])
bpy.ops.ed.undo_push(message="start")
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == "VIEW_3D":
        area.spaces[0].shading.color_type = "TEXTURE"
        area.spaces[0].region_3d.view_rotation = (0.8, 0.6, 0.0, 0.0)
        area.spaces[0].region_3d.view_distance = 6

ticks = []
wrapped = blender_session._monitor.poll
def timed():
    import time
    began = time.perf_counter()
    changed = wrapped()
    ticks.append(time.perf_counter() - began)
    return changed
blender_session._monitor.poll = timed
import builtins
builtins.kiss3d_ticks = ticks
"""

SESSION = "__import__('sys').modules['bl_ext.user_default.kiss3d.blender_session']"
JOBS = f"list({SESSION}.monitor().jobs.values())"
CHOSEN = "bpy.context.preferences.addons['bl_ext.user_default.kiss3d'].preferences"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw_pictures(folder)
    return folder


def view_is_empty(screenshot: Path) -> bool:
    """Whether the middle of the 3D View has no colour but that of the axes, which are thin."""
    view = np.array(Image.open(screenshot).convert("RGB"), int)[100:400, 350:750]
    return (view.max(axis=2) - view.min(axis=2) > 60).mean() < 0.03


def set_backend(window: Window, address: str) -> None:
    window.execute(f"{CHOSEN}.address = {address!r}")


def test_click_path(window_rig: WindowRig, window_extension_zip: Path, pictures: Path) -> None:
    let_go = threading.Event()

    def slow(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("background", 0, 3)
        yield Pause(0.2)
        yield job.stage("shape", 1, 3)
        for step in range(1, 5):
            yield job.progress(0.1 + step / 20, step, 4, eta=20 - step)
            yield Pause(0.05)
        yield job.mesh("coarse", sphere(8, 6, texture_size=256))
        yield job.stage("texture", 2, 3)
        yield job.warning("picture.background", "The background is busy.", "Use a plain background.")
        for step in range(1, 40):
            yield job.progress(0.3 + step / 100, step, 80, eta=14.0)
            yield Pause(0.02)
        yield Until(let_go.is_set)
        yield job.mesh("final", sphere(96, 64, texture_size=256))
        yield job.finished()

    with (
        ScriptedBackend({"lollipop": slow}, refused_presets={"quality": "It needs 16 GB of GPU memory."}) as backend,
        window_rig.open(
            SETUP,
            zip=window_extension_zip,
            screenshots=SCREENSHOTS,
            files={"lollipop.png": pictures / "lollipop.png"},
        ) as window,
    ):
        set_backend(window, backend.address)
        window.show_panel("Kiss3D")
        window.execute(f"bpy.context.scene.kiss3d.filepath = '/kiss3d/lollipop.png'; {SESSION}.redraw()")
        time.sleep(0.5)
        assert view_is_empty(window.screenshot("1-before"))

        generate = window.find_button("kiss3d.generate")
        window.click(*generate)
        window.wait_until("'lollipop' in bpy.data.objects and len(bpy.data.objects['lollipop'].data.vertices) == 42")
        time.sleep(0.8)
        assert not view_is_empty(window.screenshot("2-during"))
        answers = []
        for _ in range(20):
            began = time.monotonic()
            window.evaluate(f"{JOBS}[0].state.fraction")
            answers.append(time.monotonic() - began)
        assert statistics.median(answers) < 0.3, answers

        # The panel answers: a second job goes into the queue by a click, and out of it by another.
        window.click(*generate)
        window.wait_until(f"len({JOBS}) == 2 and {JOBS}[1].state.phase.value == 'queued'")
        window.screenshot("3-second-job-waits")
        window.click(*window.find_button("kiss3d.cancel", across=0.85))
        window.wait_until(f"{JOBS}[1].state.phase.value == 'cancelled'")
        assert window.evaluate(f"{JOBS}[0].state.phase.value") == "running"

        let_go.set()
        window.wait_until(f"{JOBS}[0].settled")
        assert window.evaluate("len(bpy.data.objects['lollipop'].data.vertices)") == 96 * 63 + 2
        time.sleep(0.5)
        assert not view_is_empty(window.screenshot("4-after"))
        ticks = sorted(window.evaluate("kiss3d_ticks"))
        print(
            f"ticks: {len(ticks)}, median {1000 * statistics.median(ticks):.2f} ms, longest {1000 * ticks[-1]:.1f} ms"
        )

        view = (550, 620)
        window.move(*view)
        window.key("ctrl+z")
        window.wait_until("'lollipop' not in bpy.data.objects")
        window.key("ctrl+shift+z")
        window.wait_until("'lollipop' in bpy.data.objects")

        window.execute("bpy.context.scene.kiss3d.preset = 'quality'")
        time.sleep(1.0)
        window.screenshot("5-preset-not-offered")
        window.execute("bpy.context.scene.kiss3d.preset = 'draft'")
        window.execute("bpy.context.scene.kiss3d.filepath = '/kiss3d/nowhere.png'")
        time.sleep(1.0)
        window.click(*generate)
        window.wait_until(f"{SESSION}.notice is not None")
        time.sleep(1.0)
        window.screenshot("6-error-with-remedy")
        assert window.quit() == 0


def test_real_backend(window_rig: WindowRig, window_extension_zip: Path, pictures: Path, tmp_path: Path) -> None:
    with (
        BackendProcess(tmp_path / "data") as backend,
        window_rig.open(
            SETUP,
            zip=window_extension_zip,
            screenshots=SCREENSHOTS / "real",
            files={"lollipop.png": pictures / "lollipop.png"},
        ) as window,
    ):
        set_backend(window, backend.address)
        window.show_panel("Kiss3D")
        window.execute(f"bpy.context.scene.kiss3d.filepath = '/kiss3d/lollipop.png'; {SESSION}.redraw()")
        time.sleep(0.5)
        window.screenshot("1-before")
        window.click(*window.find_button("kiss3d.generate"))
        window.wait_until(f"len({JOBS}) == 1")
        window.screenshot("2-during")
        window.wait_until(f"{JOBS}[0].settled", timeout=60)
        assert window.evaluate(f"{JOBS}[0].state.phase.value") == "finished"
        time.sleep(0.5)
        assert not view_is_empty(window.screenshot("3-after"))
        assert window.quit() == 0


def test_file_loaded_in_mid_job_and_places_to_look(
    window_rig: WindowRig, window_extension_zip: Path, pictures: Path
) -> None:
    """The timer survives a new file, the result waits for its scene, and the timer stops when nothing is left to do."""
    let_go = threading.Event()

    def held(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        yield job.mesh("coarse", sphere(8, 6))
        yield Until(let_go.is_set)
        yield job.mesh("final", sphere(24, 16))
        yield job.finished()

    with (
        ScriptedBackend(default=held) as backend,
        window_rig.open(
            SETUP,
            zip=window_extension_zip,
            screenshots=SCREENSHOTS / "more",
            files={"lollipop.png": pictures / "lollipop.png"},
        ) as window,
    ):
        window.show_panel("Kiss3D")
        window.execute(f"{CHOSEN}.mode = 'LOCAL'; bpy.ops.kiss3d.connect()")
        assert window.evaluate(f"next(iter({SESSION}.monitor().connections.values())).view.link.value") == "failed"
        window.execute(
            "image = bpy.data.images.load('/kiss3d/lollipop.png')\n"
            "bpy.context.scene.kiss3d.source, bpy.context.scene.kiss3d.image = 'IMAGE', image\n"
            f"{SESSION}.redraw()"
        )
        time.sleep(1.0)
        window.screenshot("1-no-local-backend-and-an-image")

        window.execute(f"{CHOSEN}.mode = 'ADDRESS'")
        set_backend(window, backend.address)
        window.execute("assert bpy.ops.kiss3d.generate() == {'FINISHED'}")
        window.wait_until("'lollipop' in bpy.data.objects")
        window.execute("bpy.ops.wm.read_homefile()")
        assert not window.evaluate("'lollipop' in bpy.data.objects")
        let_go.set()
        window.wait_until(f"{JOBS}[0].hindrance")
        window.show_panel("Kiss3D")
        time.sleep(1.0)
        window.screenshot("2-result-waits-for-its-scene")
        window.click(*window.find_button("kiss3d.place_here"))
        window.wait_until(f"{JOBS}[0].settled")
        assert window.evaluate("len(bpy.data.objects['lollipop'].data.vertices)") == 24 * 15 + 2

        window.execute("bpy.ops.kiss3d.preferences()")
        time.sleep(1.5)
        window.screenshot("3-preferences")
        window.execute("bpy.ops.kiss3d.disconnect()")
        window.wait_until(f"not bpy.app.timers.is_registered({SESSION}._tick)")
        assert window.quit() == 0
