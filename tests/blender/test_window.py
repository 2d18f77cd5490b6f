"""The panel in a real window: clicks, what is seen, and how Blender answers while a job runs.

The screenshots are kept in build/screenshots, to be looked at.
"""

from __future__ import annotations

import io
import json
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from tests.blender.asked import CHOSEN, JOBS, LINK, SESSION, SETTINGS, SETUP, TICKS, set_backend
from tests.blender.rigs.window import Window, WindowRig
from tests.blender.test_real_backend import BUNDLE, draw_pictures
from tests.fakes.backend_process import BackendProcess
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Pause, ScriptedBackend, ScriptedJob, Step, Until

from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.models import ModelInfo
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.security import ConnectionKeys, new_key_pair

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"

THUMBNAILS = "__import__('sys').modules['bl_ext.user_default.kiss3d.ui.thumbnails']"
SOURCES = "__import__('sys').modules['bl_ext.user_default.kiss3d.sources'].SOURCES"
IN_THE_VIEW = (550, 620)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw_pictures(folder)
    return folder


def view_is_empty(screenshot: Path) -> bool:
    """Whether the middle of the 3D View has no colour but that of the axes, which are thin."""
    view = np.array(Image.open(screenshot).convert("RGB"), int)[100:400, 350:750]
    return (view.max(axis=2) - view.min(axis=2) > 60).mean() < 0.03


MISSING = tuple(
    ModelInfo(name, title, "some/where", "1", "mit", False, ("fast",), size, 0, "missing", "known")
    for name, title, size in (
        ("flux_schnell", "FLUX.1-schnell transformer, fp8", 11_900_000_000),
        ("t5", "T5 text encoder, fp8", 4_890_000_000),
        ("zero123", "Zero123++ with Kiss3DGen's UNet", 3_460_000_000),
        ("lrm", "PRM reconstruction model", 1_030_000_000),
    )
)


@dataclass
class Signals:
    """What lets the scripted job go on, one picture after the other."""

    multiview_seen: threading.Event = field(default_factory=threading.Event)
    refined_seen: threading.Event = field(default_factory=threading.Event)

    def play(self, job: ScriptedJob, bundles: Sequence[bytes], multiview: bytes) -> Iterator[Step]:
        yield job.stage("remove_background", 0, 6, "Removing the background")
        yield job.preview(job.picture, 640, 480)
        yield Pause(0.3)
        yield job.stage("multiview", 1, 6, "Imagining the other sides")
        for step in range(1, 5):
            yield job.progress(0.05 + step / 40, step, 8, eta=30 - step)
            yield Pause(0.05)
        yield job.preview(multiview, 512, 256)
        yield job.mesh("coarse", sphere(16, 12, texture_size=64))
        yield job.progress(0.18, 6, 8, eta=24.0)
        yield Until(self.multiview_seen.is_set)
        yield job.stage("caption", 2, 6, "Describing the picture")
        yield job.preview(job.picture, 640, 480, "A red lollipop with a yellow spot, on a blue stick.")
        yield job.stage("generate_bundle", 3, 6, "Drawing the bundle")
        yield job.bundles(bundles, 512, 256)
        yield Until(lambda: job.choice is not None)
        yield job.stage("refine", 4, 6, "Refining the shape")
        yield job.preview(bundles[job.choice[0]] if job.choice else b"", 512, 256)
        for step in range(1, 21):
            yield job.mesh("refined", replace(sphere(48 + step, 40, colours=True), texture=b""))
            yield job.progress(0.5 + step / 80, step, 24, eta=12 - step / 2)
            yield Pause(0.04)
        yield job.warning("picture.background", "The background is busy.", "Use a plain background.")
        yield Until(self.refined_seen.is_set)
        yield job.stage("texture", 5, 6, "Texture")
        yield job.mesh("final", sphere(96, 64, texture_size=256))
        yield job.finished()


def test_click_path(window_rig: WindowRig, window_extension_zip: Path, pictures: Path) -> None:
    signals = Signals()
    bundles, multiview = bundle_pictures()
    with (
        ScriptedBackend(
            {
                "lollipop": lambda job: signals.play(job, bundles, multiview),
                "too_large": fails_for_want_of_memory,
            },
            missing_models=MISSING,
            refused_presets={"quality": "It needs 16 GB of GPU memory."},
        ) as backend,
        window_rig.open(
            SETUP,
            zip=window_extension_zip,
            screenshots=SCREENSHOTS,
            files=dict.fromkeys(("lollipop.png", "too_large.png"), pictures / "lollipop.png"),
        ) as window,
    ):
        taken: dict[str, Path] = {}

        def take(name: str) -> Path:
            window.settle()
            taken[name] = window.screenshot(f"{len(taken) + 1}-{name}")
            return taken[name]

        set_backend(window, backend.address)
        window.show_panel("Kiss3D")
        assert view_is_empty(take("empty"))

        # A preset whose models are missing: what they are, how large, and getting them.
        window.execute(f"bpy.ops.kiss3d.connect(); {SETTINGS}.preset = 'fast'")
        window.wait_until(f"bool({LINK}.models.models)")
        take("models-missing")
        window.execute("assert bpy.ops.kiss3d.download_models() == {'FINISHED'}")
        window.wait_until(f"{LINK}.models.progress is not None")
        take("download")
        window.execute("assert bpy.ops.kiss3d.cancel_download() == {'FINISHED'}")
        window.wait_until(f"not {LINK}.models.pulling")
        assert not window.evaluate("bpy.ops.kiss3d.cancel_download.poll()")
        # What can be had without models is a click away.
        for preset in ("draft", "fast"):
            window.execute(f"assert bpy.ops.kiss3d.use_preset(preset='{preset}') == {{'FINISHED'}}")
            assert window.evaluate(f"{SETTINGS}.preset") == preset
        window.execute("assert bpy.ops.kiss3d.download_models() == {'FINISHED'}")
        backend.let_download_end.set()
        window.wait_until(f"{LINK}.view.offer('fast').offered")

        window.execute(f"{SETTINGS}.filepath = '/kiss3d/lollipop.png'")
        window.settle()
        window.click(*window.find_button("kiss3d.generate"))
        window.wait_until(f"len({JOBS}) == 1 and len({JOBS}[0].state.previews) == 2 and {JOBS}[0].placed == 'coarse'")
        time.sleep(1.0)  # Blender reads icons in a thread of its own, which says nothing when it is done.
        assert not view_is_empty(take("running"))
        answers = []
        for _ in range(20):
            began = time.monotonic()
            window.evaluate(f"{JOBS}[0].state.fraction")
            answers.append(time.monotonic() - began)
        assert statistics.median(answers) < 0.3, answers

        # The panel answers: a second job goes into the queue, and out of it by a click.
        window.execute("bpy.ops.kiss3d.generate()")
        window.wait_until(f"len({JOBS}) == 2 and {JOBS}[1].state.phase.value == 'queued'")
        window.settle()
        window.click(*window.find_button("kiss3d.cancel"))
        window.wait_until(f"{JOBS}[1].settled")
        assert window.evaluate(f"{JOBS}[0].state.phase.value") == "running"
        window.execute(f"bpy.ops.kiss3d.dismiss(job={JOBS}[1].id)")

        signals.multiview_seen.set()
        window.wait_until(f"{JOBS}[0].state.choosing")
        time.sleep(1.0)
        take("choose-a-bundle")
        window.execute(f"bpy.ops.kiss3d.choose_bundle(job={JOBS}[0].id, bundle=1)")
        window.wait_until(f"{JOBS}[0].state.updates == 21 and {JOBS}[0].waiting is None")
        take("refining")
        made = (
            "[[one.name for one in kind if 'lollipop' in one.name] for kind in (bpy.data.meshes, bpy.data.materials)]"
        )
        assert window.evaluate(made) == [["lollipop"], ["lollipop"]], "an update leaves nothing behind"

        signals.refined_seen.set()
        window.wait_until(f"{JOBS}[0].settled")
        assert window.evaluate("len(bpy.data.objects['lollipop'].data.vertices)") == 96 * 63 + 2
        assert not view_is_empty(take("finished"))
        ticks = window.evaluate(TICKS)
        (SCREENSHOTS / "ticks.json").write_text(json.dumps(ticks, indent=1), encoding="utf-8")
        assert ticks["plain"]["count"] > 20 and ticks["update"]["count"] > 1 and ticks["final"]["count"] >= 1

        # One undo step for the whole job.
        window.move(*IN_THE_VIEW)
        window.key("ctrl+z")
        window.wait_until("'lollipop' not in bpy.data.objects")
        window.key("ctrl+shift+z")
        window.wait_until("'lollipop' in bpy.data.objects")

        window.execute(f"{SETTINGS}.filepath = '/kiss3d/too_large.png'")
        window.execute("bpy.ops.kiss3d.generate()")
        window.wait_until(f"{JOBS}[-1].settled")
        take("error-with-remedy")

        window.execute("bpy.context.preferences.view.language = 'pt_BR'")
        take("portuguese")
        window.execute("bpy.context.preferences.view.language = 'en_US'")

        entries = "bpy.context.window_manager.keyconfigs.addon.keymaps['3D View'].keymap_items"
        keys = window.evaluate(f"[one.type for one in {entries} if one.idname == 'kiss3d.generate']")
        assert keys == ["NONE"], "an entry for the user to fill in"

        # Icons are freed with the jobs that they are of.
        window.execute(f"[bpy.ops.kiss3d.dismiss(job=job.id) for job in {JOBS}]; {SESSION}.refresh()")
        assert window.evaluate(f"{THUMBNAILS}.count()") == 0
        make_contact_sheet(taken, SCREENSHOTS / "contact-sheet.png")
        assert window.quit() == 0


def fails_for_want_of_memory(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("multiview", 0, 5)
    yield job.failed(
        "backend.memory_too_small",
        "This needs at least 11.20 GiB of the graphics card's memory, and the backend may take 8.00 GiB.",
        "Choose a lighter preset, raise --vram-budget, or close other programs that use the graphics card.",
    )


def bundle_pictures() -> tuple[list[bytes], bytes]:
    """Four bundles to choose from, of one real one in other colours, and its upper half as the multiview sheet."""
    bundle = Image.open(BUNDLE).convert("RGB").resize((512, 256))

    def png(picture: Image.Image) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    tinted = [ImageEnhance.Color(bundle).enhance(saturation) for saturation in (1.0, 2.0, 0.4, 0.0)]
    return [png(one) for one in tinted], png(bundle.crop((0, 0, 512, 128)).resize((512, 256)))


def make_contact_sheet(taken: Mapping[str, Path], path: Path) -> None:
    """All screenshots side by side, each under its name."""
    columns, width, height, margin = 3, 640, 400, 22
    rows = -(-len(taken) // columns)
    sheet = Image.new("RGB", (columns * width, rows * (height + margin)), "white")
    for index, (name, screenshot) in enumerate(taken.items()):
        x, y = index % columns * width, index // columns * (height + margin)
        ImageDraw.Draw(sheet).text((x + 6, y + 5), name, fill="black")
        sheet.paste(Image.open(screenshot).convert("RGB").resize((width, height)), (x, y + margin))
    sheet.save(path)


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
        # Paired by pasting; the click does not wait for the answer.
        window.show_panel("Kiss3D")
        window.execute("bpy.context.window_manager.clipboard = 'nonsense'")
        window.execute("assert bpy.ops.kiss3d.pair() == {'CANCELLED'}")
        assert window.evaluate(f"{SESSION}.notice.code") == "pairing.invalid"
        window.execute(f"bpy.context.window_manager.clipboard = {pairing_string(backend, tmp_path / 'data')!r}")
        window.execute("assert bpy.ops.kiss3d.pair() == {'FINISHED'}")
        window.wait_until(f"{CHOSEN}.address == '127.0.0.1' and {LINK}.view.link.value == 'connected'")
        assert window.evaluate(f"{SESSION}.notice is None")
        window.execute(f"bpy.context.scene.kiss3d.filepath = '/kiss3d/lollipop.png'; {SESSION}.redraw()")
        time.sleep(0.5)
        window.screenshot("1-before")
        window.click(*window.find_button("kiss3d.generate"))
        window.wait_until(f"len({JOBS}) == 1")
        window.screenshot("2-during")
        window.wait_until(f"{JOBS}[0].settled", timeout=180)
        assert window.evaluate(f"{JOBS}[0].state.phase.value") == "finished"
        time.sleep(0.5)
        assert not view_is_empty(window.screenshot("3-after"))
        assert window.quit() == 0


def pairing_string(backend: BackendProcess, data: Path) -> str:
    """What ``kiss3d pair`` would print on the backend's machine."""
    keys, once = backend_keys(), new_key_pair()
    registry = ClientRegistry(DataDir(data).clients, keys.owner.public)
    try:
        registry.begin_pairing(once.public, "blender", seconds=120.0, admin=False, renew=False)
    finally:
        registry.close()
    return PairingString(parse_address(backend.address), ConnectionKeys(keys.backend.public, once), "blender").to_text()


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
        ScriptedBackend(default=held, server="kiss3d/0.0.1") as backend,
        window_rig.open(
            SETUP,
            zip=window_extension_zip,
            screenshots=SCREENSHOTS / "more",
            files=dict.fromkeys(("lollipop.png", "dropped.png"), pictures / "lollipop.png"),
        ) as window,
    ):
        window.show_panel("Kiss3D")
        set_up_in_the_panel(window)
        window.execute(f"{CHOSEN}.mode = 'LOCAL'; bpy.ops.kiss3d.connect()")
        assert window.evaluate(f"next(iter({SESSION}.monitor().connections.values())).view.link.value") == "failed"
        window.execute(
            "image = bpy.data.images.load('/kiss3d/lollipop.png')\n"
            "bpy.context.scene.kiss3d.source, bpy.context.scene.kiss3d.image = 'IMAGE', image\n"
            f"{SESSION}.redraw()"
        )
        window.settle()
        window.screenshot("1-no-local-backend-and-an-image")

        # What a local backend writes stays to be read when it has ended; here it is a Python without kiss3d.
        window.execute(f"{CHOSEN}.python = '/usr/bin/python3'; bpy.ops.kiss3d.connect()")
        window.wait_until(f"{LINK}.view.link.value == 'failed' and bool({LINK}.log)")
        window.execute("assert bpy.ops.kiss3d.show_output() == {'FINISHED'}")
        assert "No module named" in window.evaluate("bpy.data.texts['Kiss3D Backend'].as_string()")
        areas = "[area for one in bpy.context.window_manager.windows for area in one.screen.areas]"
        shown = f"[area.spaces.active.text.name for area in {areas} if area.type == 'TEXT_EDITOR']"
        assert window.evaluate(shown) == ["Kiss3D Backend"]

        window.execute(f"{CHOSEN}.mode = 'ADDRESS'")
        set_backend(window, backend.address)
        window.execute("assert bpy.ops.kiss3d.generate() == {'FINISHED'}")
        window.wait_until("'lollipop' in bpy.data.objects")
        window.execute("bpy.ops.wm.read_homefile()")
        assert not window.evaluate("'lollipop' in bpy.data.objects")
        let_go.set()
        window.wait_until(f"{JOBS}[0].hindrance")
        window.show_panel("Kiss3D")
        window.settle()
        window.screenshot("2-result-waits-for-its-scene")
        window.click(*window.find_button("kiss3d.place_here"))
        window.wait_until(f"{JOBS}[0].settled")
        assert window.evaluate("len(bpy.data.objects['lollipop'].data.vertices)") == 24 * 15 + 2

        inputs_that_need_a_window(window, backend)

        # Another file knows nothing of the results, but the backend does.
        window.execute(OPEN_PANELS)
        window.execute("bpy.context.scene.kiss3d.result.mark_asset = True; bpy.ops.kiss3d.list_jobs()")
        there = f"next(iter({SESSION}.monitor().connections.values())).jobs_there"
        window.wait_until(f"len({there}) == 7")
        window.execute(f"assert bpy.ops.kiss3d.bring_back(job={there}[2].job) == {{'FINISHED'}}")
        window.wait_until(f"{JOBS}[-1].settled and 'lollipop' in bpy.data.objects")
        window.show_panel("Kiss3D")
        window.settle()
        window.screenshot("4-result-and-history")
        assert window.evaluate("[entry.name for entry in bpy.context.scene.kiss3d.history]") == ["lollipop"]
        assert "Traceback" not in window.output, window.output

        window.execute("bpy.ops.kiss3d.preferences()")
        window.settle()
        window.screenshot("3-preferences")
        window.execute("bpy.ops.kiss3d.disconnect()")
        window.wait_until(f"not bpy.app.timers.is_registered({SESSION}._tick)")
        window.execute(f"{CHOSEN}.mode, {CHOSEN}.use_vram_budget, {CHOSEN}.vram_budget = 'LOCAL', True, 7.5")
        window.settle()
        window.screenshot("6-preferences-of-a-local-backend")
        assert window.evaluate(f"{CHOSEN}.backend_target().arguments") == ["--vram-budget", "7.5GB"]
        assert "Traceback" not in window.output, window.output
        assert window.quit() == 0


STAND_IN = """
import json, sys

def say(**event):
    print(json.dumps(event), flush=True)

say(event="progress", step="torch", title="", fraction=0.37, text="torch-2.13.0+cu130-cp313-manylinux_2_28_x86_64.whl")
sys.stdin.read()
sys.exit(46)
"""


def set_up_in_the_panel(window: Window) -> None:
    """The progress of a set-up and its end by a click; and what the real one says where no Python suits it."""
    process = "__import__('sys').modules['bl_ext.user_default.kiss3d.setup_process']"
    view = f"{SESSION}.local_setup().view"
    window.execute(
        f"{CHOSEN}.mode = 'LOCAL'; bpy.context.preferences.system.use_online_access = True\n"
        f"real = {process}.SETUP; {process}.SETUP = real.with_name('stand_in.py')\n"
        f"{process}.SETUP.write_text({STAND_IN!r}); bpy.app.driver_namespace['real'] = real\n"
        f"{SESSION}.redraw()"
    )
    window.settle()
    window.screenshot("0-no-backend-yet")
    window.click(*window.find_button("kiss3d.set_up"))
    window.wait_until(f"{view}.step == 'torch'")
    window.settle()
    window.screenshot("0-set-up-runs")
    window.click(*window.find_button("kiss3d.cancel_set_up"))
    window.wait_until(f"not {view}.running")
    assert window.evaluate(f"{view}.error is None and not {view}.done")

    # Debian's Python is newer than those for which all packages have wheels, and there is no uv.
    window.execute(f"{process}.SETUP = bpy.app.driver_namespace['real']; bpy.ops.kiss3d.set_up()")
    window.wait_until(f"not {view}.running")
    assert window.evaluate(f"{view}.error.code") == "setup.no_python"
    window.settle()
    window.screenshot("0-set-up-failed")
    window.execute("bpy.context.preferences.system.use_online_access = False")

    # What an interrupted one and an old one are offered; an old one can be started all the same.
    standing = "__import__('sys').modules['bl_ext.user_default.kiss3d.setup_view'].standing_of"
    for complete, offer in ((False, "CONTINUE"), (True, "UPGRADE")):
        record = {"format": 1, "version": "0.0.1", "complete": complete, "torch": "cpu", "steps": {}}
        window.execute(
            f"import json, pathlib; folder = {CHOSEN}.setup_folder(); python = folder / 'env/bin/python'\n"
            f"python.parent.mkdir(parents=True, exist_ok=True); python.touch()\n"
            f"(folder / 'kiss3d-setup.json').write_text(json.dumps({record!r})); {SESSION}.redraw()"
        )
        assert window.evaluate(f"{standing}({CHOSEN}.installation(), {SESSION}.VERSION).offer") == offer
        window.settle()
        window.screenshot(f"0-{offer.lower()}")
        window.find_button("kiss3d.set_up")
    window.find_button("kiss3d.connect")
    window.execute("bpy.context.preferences.system.use_online_access = True; bpy.ops.kiss3d.remove_backend()")
    window.wait_until(f"not {view}.running and {CHOSEN}.installation() is None")
    window.execute("bpy.context.preferences.system.use_online_access = False")


IN_VIEW = """
import sys
kiss3d = "bl_ext.user_default.kiss3d."
sys.modules[kiss3d + "capture.snapshot"].SIZE = 96
sys.modules[kiss3d + "importer.scratch"].EEVEE_SAMPLES = 1  # a processor draws here
area = next(area for area in bpy.context.screen.areas if area.type == "VIEW_3D")
region = next(region for region in area.regions if region.type == "WINDOW")
with bpy.context.temp_override(area=area, region=region):
    space, settings = bpy.context.space_data, bpy.context.scene.kiss3d
"""


def in_view(window: Window, source: str, timeout: float = 60.0) -> None:
    window.execute(IN_VIEW + "".join(f"    {line}\n" for line in source.splitlines()), timeout=timeout)


OPEN_PANELS = """
import sys
for name in ("result", "history"):
    module = sys.modules[f"bl_ext.user_default.kiss3d.ui.{name}_panel"]
    panel = getattr(module, f"KISS3D_PT_{name}")
    bpy.utils.unregister_class(panel)
    panel.bl_options = set()
    bpy.utils.register_class(panel)
bpy.ops.wm.read_homefile()
"""
"""The two that are closed at first, open in a new file."""


def inputs_that_need_a_window(window: Window, backend: ScriptedBackend) -> None:
    """Snapshots of the viewport, from its own eye and in its own light, a dropped file, the clipboard with a path."""
    # Blender itself takes no pictures from X11's clipboard: the button says what to do instead.
    in_view(window, "assert not bpy.ops.image.clipboard_paste.poll()")
    in_view(window, "assert not bpy.ops.kiss3d.generate_from_clipboard.poll()")
    why = window.evaluate(f"{SOURCES}['CLIPBOARD'].hindrance(bpy.context)")
    assert "path of a picture file" in why and "X11" in why
    in_view(
        window,
        "cube = bpy.data.objects['Cube']\n"
        "cube.select_set(True)\n"
        "bpy.context.view_layer.objects.active = cube\n"
        "settings.result.place, space.region_3d.view_location = 'VIEW', (1, 2, 3)\n"
        "space.region_3d.view_rotation, space.region_3d.view_perspective = (0.70711, 0.70711, 0, 0), 'ORTHO'\n"
        "space.region_3d.update()\n"
        "space.shading.light, space.shading.color_type, space.shading.single_color = 'FLAT', 'SINGLE', (0, 0, 1)\n"
        "assert bpy.ops.kiss3d.generate_from_viewport() == {'FINISHED'}",
    )
    window.wait_until(f"{JOBS}[-1].settled and 'Cube.001' in bpy.data.objects")
    assert window.evaluate("list(bpy.data.objects['Cube.001'].location)") == [1, 2, 3]
    assert window.evaluate("(len(bpy.data.scenes), len(bpy.data.cameras), len(bpy.data.worlds))") == [1, 1, 1]
    taken = np.array(Image.open(io.BytesIO(backend.submits[-1].picture)), int)
    inside = taken[..., 3] > 240
    assert taken.shape == (96, 96, 4) and (taken[0, 0] == (255, 255, 255, 0)).all()
    assert 0.7 < inside.mean() < 0.85, "from the front a cube is a square, which fills the picture"
    assert np.abs(taken[inside] - (0, 0, 255, 255)).max() < 30

    # By EEVEE, in white light: the material's colour, and no shadow in it.
    in_view(
        window,
        "cube = bpy.data.objects['Cube']\n"
        "shader = next(one for one in cube.active_material.node_tree.nodes if one.type == 'BSDF_PRINCIPLED')\n"
        "shader.inputs['Base Color'].default_value = (0.8, 0.02, 0.02, 1)\n"
        "space.shading.type = 'MATERIAL'\n"
        "assert bpy.ops.kiss3d.generate_from_viewport() == {'FINISHED'}\n"
        "space.shading.type = 'SOLID'",
        timeout=240,
    )
    window.wait_until(f"{JOBS}[-1].settled and 'Cube.002' in bpy.data.objects")
    assert window.evaluate("(len(bpy.data.scenes), len(bpy.data.cameras), len(bpy.data.worlds))") == [1, 1, 1]
    lit = np.array(Image.open(io.BytesIO(backend.submits[-1].picture)), int)
    inside = lit[..., 3] > 240
    assert lit.shape == (96, 96, 4) and (lit[lit[..., 3] == 0] == (255, 255, 255, 0)).all() and not lit[0, 0, 3]
    assert 0.7 < inside.mean() < 0.85 and inside[48, 48], "the front of a cube"
    red, green, blue = lit[inside][:, :3].mean(axis=0)
    assert red > 200 and max(green, blue) < 0.5 * red and lit[inside][:, :3].std(axis=0).max() < 12, (red, green, blue)

    drop_a_picture(window, backend)

    window.execute("bpy.context.window_manager.clipboard = '/kiss3d/lollipop.png'")
    in_view(window, "assert bpy.ops.kiss3d.generate_from_clipboard() == {'FINISHED'}")
    window.wait_until(f"{JOBS}[-1].settled and 'lollipop.001' in bpy.data.objects")
    picture = backend.submits[-1]
    assert picture.submit.name == "lollipop" and Image.open(io.BytesIO(picture.picture)).size[0] > 96

    # Without a picture, Blender draws the asset's preview itself, some time later.
    in_view(
        window,
        "settings.source, settings.prompt, settings.result.mark_asset = 'TEXT', 'a lamp', True\n"
        "assert bpy.ops.kiss3d.generate() == {'FINISHED'}",
    )
    window.wait_until(f"{JOBS}[-1].settled and bpy.data.objects['a lamp'].asset_data is not None")
    window.wait_until("any(bpy.data.objects['a lamp'].preview.image_pixels_float)")

    # The image that an Image Editor shows, by the editor's own menu entry.
    window.execute(
        "area = next(area for area in bpy.context.screen.areas if area.type == 'VIEW_3D')\n"
        "area.type = 'IMAGE_EDITOR'\n"
        "with bpy.context.temp_override(area=area):\n"
        "    assert not bpy.ops.kiss3d.generate_from_image.poll()\n"
        "    area.spaces.active.image = bpy.data.images.load('/kiss3d/dropped.png')\n"
        "    assert bpy.ops.kiss3d.generate_from_image() == {'FINISHED'}\n"
        "area.type = 'VIEW_3D'"
    )
    window.wait_until(f"{JOBS}[-1].settled and 'dropped.001' in bpy.data.objects")
    shown = backend.submits[-1]
    assert shown.submit.name == "dropped" and Image.open(io.BytesIO(shown.picture)).size == (640, 480)


def drop_a_picture(window: Window, backend: ScriptedBackend) -> None:
    """A file that another program drags into the 3D View; Blender offers what can be done with it."""
    window.drop(*IN_THE_VIEW, "/kiss3d/dropped.png")
    window.settle()
    window.screenshot("5-dropped")
    window.key("g")  # the letter of Generate 3D from Pictures in that menu
    window.wait_until(f"{JOBS}[-1].settled and 'dropped' in bpy.data.objects")
    dropped = backend.submits[-1]
    assert dropped.submit.name == "dropped" and Image.open(io.BytesIO(dropped.picture)).size == (640, 480)
