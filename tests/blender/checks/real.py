"""Checks inside Blender with the real backend, which the add-on starts itself: ``real.py ZIP FOLDER``."""

import json
import shutil
import sys
import time
from pathlib import Path

import bpy
import kiss3d_inside as inside
import numpy as np
from drawn import draw_as_the_backend
from running import run_checks, until

ZIP, FOLDER = sys.argv[1], Path(sys.argv[2])
PICTURE = FOLDER / "lollipop.png"


def data_counts():
    return {kind: len(getattr(bpy.data, kind)) for kind in ("objects", "meshes", "materials", "images")}


def positions(thing):
    flat = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3) + np.array(thing.location)


def kept_as_they_came(job_monitor):
    """The arrays of each mesh on its way from the wire; the last ones are the finished mesh's."""
    came = {}

    def read(mesh, blobs, size, **more):
        names = ("positions", "triangles", "uvs", "uv_triangles")
        refs = {name: getattr(mesh, name) for name in names}
        came.update({n: np.frombuffer(blobs[r.blob], r.dtype).reshape(r.shape) for n, r in refs.items() if r})
        if mesh.texture is not None:
            came["texture"] = np.frombuffer(blobs[mesh.texture.blob], np.uint8)
        return inner(mesh, blobs, size, **more)

    inner, job_monitor.read_mesh = job_monitor.read_mesh, read
    return came


def check_picture_to_object():
    from bl_ext.user_default.kiss3d import api, job_monitor

    came = kept_as_they_came(job_monitor)

    bpy.context.scene.cursor.location = (1, -2, 3)
    states = []
    began = time.monotonic()
    made = api.generate(PICTURE, preset="draft", seed=7, size=1.5, on_progress=states.append, timeout=120)
    seconds = time.monotonic() - began
    mesh = made.data
    uv = mesh.uv_layers[0].uv
    values = np.empty(2 * len(uv), np.float32)
    uv.foreach_get("vector", values)
    shader = next(node for node in mesh.materials[0].node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    image = shader.inputs["Base Color"].links[0].from_node.image
    turned = shader.inputs["Normal"].links[0].from_node
    normals = turned.inputs["Color"].links[0].from_node.image
    assert turned.uv_map == mesh.uv_layers[0].name and normals.colorspace_settings.is_data
    assert min(normals.size) >= 1024 and normals.packed_file is not None
    low, high = positions(made).min(axis=0), positions(made).max(axis=0)
    assert abs((high - low).max() - 1.5) < 1e-4 and np.argmax(high - low) == 2, "upright, with the size asked for"
    assert abs(low[2] - 3) < 1e-4 and np.allclose(((low + high) / 2)[:2], (1, -2), atol=1e-4), "on the cursor"
    assert values.min() >= 0 and values.max() <= 1 and values.std() > 0.05
    assert max(image.size) >= 1024 and image.packed_file is not None
    assert not mesh.validate(verbose=True)
    qualities = [state.quality for state in states]
    assert "coarse" in qualities and qualities[-1] == "final"
    inside.report(
        vertices=len(mesh.vertices),
        faces=len(mesh.polygons),
        uvs=len(np.unique(values.reshape(-1, 2), axis=0)),
        uv_corners=len(uv),
        recipe=made["kiss3d"].to_dict(),
        picture_to_object_seconds=round(seconds, 2),
        front=front_colours(made, image),
    )
    np.savez(FOLDER / "came.npz", **came)
    draw_as_the_backend(made, FOLDER)


def front_colours(made, image):
    """The texture's mean colour on faces that look at -Y in the upper half, and in the lowest quarter."""
    mesh = made.data
    faces = len(mesh.polygons)
    normals, centres = np.empty(3 * faces, np.float32), np.empty(3 * faces, np.float32)
    mesh.polygons.foreach_get("normal", normals)
    mesh.polygons.foreach_get("center", centres)
    corners = np.empty(6 * faces, np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", corners)
    uvs = corners.reshape(faces, 3, 2).mean(axis=1)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    columns = np.clip((uvs[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip((uvs[:, 1] * height).astype(int), 0, height - 1)
    colours = pixels.reshape(height, width, 4)[rows, columns, :3]
    heights = centres.reshape(-1, 3)[:, 2] / made.dimensions.z
    facing = normals.reshape(-1, 3)[:, 1] < -0.8
    sides = centres.reshape(-1, 3)[:, 0] / made.dimensions.x
    return {
        "top": colours[facing & (heights > 0.6)].mean(axis=0).tolist(),
        "bottom": colours[facing & (heights < 0.2)].mean(axis=0).tolist(),
        "upper_left": colours[facing & (heights > 0.7) & (heights < 0.85) & (sides < -0.15)].mean(axis=0).tolist(),
        "upper_right": colours[facing & (heights > 0.7) & (heights < 0.85) & (sides > 0.15)].mean(axis=0).tolist(),
    }


def check_backend_was_started_with_the_budget_of_the_preferences():
    from bl_ext.user_default.kiss3d import blender_session

    (connection,) = blender_session.monitor().connections.values()
    command = connection._backend._process.args
    assert command[command.index("--vram-budget") + 1] == "6.5GB", command


def check_output_of_the_backend_can_be_read():
    assert bpy.ops.kiss3d.show_output() == {"FINISHED"}
    text = bpy.data.texts["Kiss3D Backend"].as_string()
    assert "worker" in text and "INFO" in text, text
    assert not bpy.app.online_access and not bpy.ops.kiss3d.download_models.poll(), "it may not go online"


def check_bundle_to_object():
    from bl_ext.user_default.kiss3d import api

    began = time.monotonic()
    made = api.generate(
        views=FOLDER / "bundle_bust.webp", preset="draft", size=1.0, faces=2000, texture_size=1024, timeout=120
    )
    inside.report(bundle_to_object_seconds=round(time.monotonic() - began, 2))
    mesh = made.data
    assert 1000 <= len(mesh.polygons) <= 2000 and made["kiss3d"]["recipe"] == "views_to_3d"
    points = positions(made) - np.array(made.location)
    extents = np.ptp(points, axis=0)
    assert abs(extents.max() - 1) < 1e-4 and abs(points[:, 2].min()) < 1e-4, (extents, points.min(axis=0))
    shader = next(node for node in mesh.materials[0].node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    image = shader.inputs["Base Color"].links[0].from_node.image
    assert tuple(image.size) == (1024, 1024)
    inside.report(bust=points.tolist(), bust_extents=extents.tolist())


def check_second_job_waits_and_both_come():
    from bl_ext.user_default.kiss3d import api

    jobs = [api.submit(PICTURE, seed=seed, location=(3 * seed, 0, 0)) for seed in (1, 2)]
    waited = until(lambda: jobs[1].state.phase.value == "queued" and jobs[1].state, 20, "the second job waits")
    assert not waited.stages
    first, second = [job.wait(60) for job in jobs]
    assert first != second and first.data != second.data and second.location.x == 6
    assert [int(made["kiss3d"]["seed"]) for made in (first, second)] == [1, 2]


def check_cancel_leaves_nothing():
    from bl_ext.user_default.kiss3d import api

    before = data_counts()
    job = api.submit(PICTURE, seed=9)
    until(lambda: job.state.phase.value == "running", 20)
    job.cancel()
    try:
        job.wait(20)
    except Exception as error:
        assert type(error).__name__ == "JobCancelled", repr(error)
    else:
        raise AssertionError("the job was not cancelled")
    assert data_counts() == before


def check_picture_without_an_object():
    from bl_ext.user_default.kiss3d import api

    try:
        api.generate(FOLDER / "transparent.png", timeout=60)
    except Exception as error:
        assert type(error).__name__ == "PictureTransparent" and error.remedy, repr(error)
    else:
        raise AssertionError("a transparent picture made an object")


def check_operator():
    settings = bpy.context.scene.kiss3d
    settings.filepath = str(PICTURE)
    before = len(bpy.data.objects)
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    assert len(bpy.data.objects) == before + 1


def check_batch_of_a_folder():
    from bl_ext.user_default.kiss3d import api

    folder, blend = FOLDER / "batch", FOLDER / "batch.blend"
    folder.mkdir()
    for name in ("lollipop.png", "transparent.png"):
        shutil.copy(FOLDER / name, folder)
    line = ["batch", folder, "-o", blend, "--size", "1.5", "--faces", "500", "--texture-size", "1024"]
    assert api.command(line) == 19, "one of them shows nothing"
    entries = [json.loads(line) for line in (FOLDER / "batch.manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["error"]["code"] for entry in entries if entry["state"] == "failed"] == ["picture.transparent"]
    bpy.ops.wm.open_mainfile(filepath=str(blend), load_ui=False)
    (made,) = bpy.context.scene.objects
    low, high = positions(made).min(axis=0), positions(made).max(axis=0)
    assert abs((high - low).max() - 1.5) < 1e-4 and np.argmax(high - low) == 2 and abs(low[2]) < 1e-4
    assert made.name == "lollipop" and "kiss3d" in made["kiss3d"]["versions"].to_dict()


def check_backend_that_dies_is_started_again_and_the_job_goes_on():
    from bl_ext.user_default.kiss3d import api, blender_session

    job = api.submit(PICTURE, seed=11)
    until(lambda: job.state.phase.value == "running", 20)
    (connection,) = blender_session.monitor().connections.values()
    connection._backend._process.kill()
    until(lambda: job.state and connection.view.link.value == "failed", 20, "the loss is noticed")
    assert "ended unexpectedly" in connection.view.error.message
    assert bpy.ops.kiss3d.connect() == {"FINISHED"}
    made = job.wait(60)
    assert len(made.data.vertices) > 1000


def leave_in_mid_job():
    """Not disabled on purpose: a script that just ends must leave no backend and no crash behind."""
    from bl_ext.user_default.kiss3d import api

    last = api.submit(PICTURE, seed=12)
    until(lambda: last.state.phase.value == "running", 30)


def limit_vram():
    from bl_ext.user_default.kiss3d import preferences

    chosen = preferences.get(bpy.context)
    assert chosen.backend_target().vram_budget is None
    chosen.use_vram_budget, chosen.vram_budget = True, 6.5


inside.install(ZIP)
limit_vram()
run_checks(globals())
leave_in_mid_job()
