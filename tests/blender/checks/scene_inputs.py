"""Checks of what a job can be made of, and of the operators that make one. What arrives is checked outside."""

import contextlib

import bpy
import numpy as np
from running import until
from session import (
    ADDRESS,
    FINAL,
    FOLDER,
    counts,
    data_counts,
    drive,
    let_go,
    new_file,
    picture,
    pyramid,
    raises,
    submit,
    use_scripted_backend,
)

SMALL = 96
"""Pixels of snapshots here: without a graphics card, Workbench takes its time."""


@contextlib.contextmanager
def small_snapshots():
    from bl_ext.user_default.kiss3d.capture import snapshot

    before, snapshot.SIZE = snapshot.SIZE, SMALL
    try:
        yield
    finally:
        snapshot.SIZE = before


def settings_of(group):
    """All plain values of a group of settings, to see whether they stay."""
    names = [prop.identifier for prop in group.bl_rna.properties if prop.type in {"BOOLEAN", "INT", "FLOAT", "ENUM"}]
    values = [(name, getattr(group, name)) for name in names]
    return [(name, tuple(value) if hasattr(value, "__len__") else value) for name, value in values]


def add_camera(location, rotation=(np.pi / 2, 0, 0)):
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = location, rotation
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def choose(thing):
    for other in bpy.context.selected_objects:
        other.select_set(False)
    thing.select_set(True)
    bpy.context.view_layer.objects.active = thing


def check_every_source_says_what_is_missing():
    new_file()
    use_scripted_backend()
    from bl_ext.user_default.kiss3d.sources import SOURCES

    settings = bpy.context.scene.kiss3d
    for name, source in SOURCES.items():
        settings.source = name
        assert source.hindrance(bpy.context) and not bpy.ops.kiss3d.generate.poll(), name
    for name in ("clipboard", "render", "viewport", "camera", "image"):
        assert not getattr(bpy.ops.kiss3d, f"generate_from_{name}").poll(), name
    assert not bpy.ops.kiss3d.enhance.poll()
    assert bpy.ops.kiss3d.generate_from_files.poll(), "it asks for the files"


def check_words():
    new_file()
    use_scripted_backend()
    settings = bpy.context.scene.kiss3d
    settings.source, settings.prompt, settings.seed = "TEXT", "  a tin   robot ", 5
    settings.result.use_faces, settings.result.faces, settings.result.texture_size = True, 3000, "2048"
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    assert counts(bpy.data.objects["a tin robot"]) == FINAL


def check_views_and_bundle_of_the_panel():
    new_file()
    use_scripted_backend()
    settings = bpy.context.scene.kiss3d
    settings.source, settings.prompt = "VIEWS", "words that four views do not take"
    # In another order than those of the API, to tell them apart.
    for place, name in (("front", "left"), ("right", "back"), ("back", "right"), ("left", "front")):
        assert not bpy.ops.kiss3d.generate.poll()
        setattr(settings, f"view_{place}", str(picture(name)))
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    settings.source, settings.filepath = "BUNDLE", str(picture("bundle"))
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    assert counts(bpy.data.objects["bundle"]) == FINAL


def check_dropped_pictures():
    new_file()
    use_scripted_backend()
    files = [{"name": "plain.png"}, {"name": "back.png"}]
    assert bpy.ops.kiss3d.generate_from_files(directory=str(FOLDER), files=files) == {"FINISHED"}
    assert counts(bpy.data.objects["plain"]) == counts(bpy.data.objects["back"]) == FINAL
    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("KISS3D_FH_picture")
    assert handler.bl_import_operator == "kiss3d.generate_from_files" and ".webp" in handler.bl_file_extensions
    before = data_counts()
    with raises("RuntimeError", "nowhere.png"):
        bpy.ops.kiss3d.generate_from_files(
            directory=str(FOLDER), files=[{"name": "plain.png"}, {"name": "nowhere.png"}]
        )
    assert data_counts() == before, "not one of them is sent when one is missing"


def check_render_and_snapshot_leave_no_trace():
    new_file()
    use_scripted_backend()
    scene = bpy.context.scene
    scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = "BLENDER_WORKBENCH", 32, 24
    scene.render.image_settings.file_format, scene.render.image_settings.quality = "JPEG", 37
    thing, other = pyramid("red pyramid"), pyramid("in front of it")
    red = bpy.data.materials.new("red")
    red.diffuse_color = (1, 0, 0, 1)
    thing.data.materials.append(red)
    other.location = (0, -3, 0)
    add_camera((0.5, -8, 0.5))
    scene.kiss3d.source = "RENDER"
    with raises("PictureUnreadable", "no render", "F12"):
        from bl_ext.user_default.kiss3d.capture import render_result

        render_result.picture_of_render(scene)
    bpy.ops.render.render()
    choose(thing)
    kinds = ("worlds", "cameras", "brushes", "linestyles")

    def state():
        numbers = {kind: len(getattr(bpy.data, kind)) for kind in kinds} | data_counts()
        chosen = [one.name for one in bpy.context.selected_objects]
        return numbers, chosen, [settings_of(group) for group in (scene.render, scene.render.image_settings)]

    before = state()
    from bl_ext.user_default.kiss3d.capture.snapshot import take_snapshot

    with small_snapshots():
        taken = take_snapshot(bpy.context, from_camera=True)
    assert taken.name == "red pyramid" and (taken.width, taken.height) == (SMALL, SMALL)
    render_result.picture_of_render(scene)
    assert state() == before

    assert bpy.ops.kiss3d.generate_from_render() == {"FINISHED"}
    assert counts(bpy.data.objects[f"{scene.name} render"]) == FINAL
    thing.name = "camera snapshot"
    choose(thing)
    with small_snapshots():
        assert bpy.ops.kiss3d.generate_from_camera() == {"FINISHED"}
    assert counts(bpy.data.objects["camera snapshot.001"]) == FINAL


def check_snapshot_of_what_cannot_be_seen():
    new_file()
    from bl_ext.user_default.kiss3d.capture.snapshot import take_snapshot

    thing = pyramid("behind")
    choose(thing)
    add_camera((0.5, 8, 0.5))
    with raises("ParamsInvalid", "behind the eye"):
        take_snapshot(bpy.context, from_camera=True)
    bpy.context.scene.camera.data.type = "PANO"
    with raises("ParamsInvalid", "panoramic"):
        take_snapshot(bpy.context, from_camera=True)
    thing.hide_render = True
    with raises("ParamsInvalid", "visible in renders"):
        take_snapshot(bpy.context, from_camera=True)


def check_clipboard_holds_an_image():
    """As Blender pastes one where it can: as a new image, which does not stay."""
    new_file()
    from bl_ext.user_default.kiss3d.capture import clipboard

    def paste(context):
        bpy.data.images.load(str(picture("plain")), check_existing=False).name = "Clipboard"

    before = data_counts()
    replaced = clipboard._paste, clipboard._has_image
    clipboard._paste, clipboard._has_image = paste, lambda: True
    try:
        taken = clipboard.picture_from_clipboard(bpy.context)
    finally:
        clipboard._paste, clipboard._has_image = replaced
    assert taken.data == picture("plain").read_bytes() and taken.name == "Clipboard" and data_counts() == before
    with raises("PictureMissing", "no picture in the clipboard"):
        clipboard.picture_from_clipboard(bpy.context)


# ---------------------------------------------------------------------------------------------- the selected mesh


def enhanced_pyramid(name):
    """A pyramid that is turned, scaled, parented and in a collection of its own; it is 2 x 3 and 5 high."""
    new_file()
    use_scripted_backend()
    thing = pyramid(name)
    parent = bpy.data.objects.new("Parent", None)
    parent.location = (1, 1, 1)
    collection = bpy.data.collections.new("Props")
    scene = bpy.context.scene
    scene.collection.children.link(collection)
    scene.collection.objects.unlink(thing)
    scene.collection.objects.link(parent)
    collection.objects.link(thing)
    thing.parent = parent
    thing.location, thing.rotation_euler, thing.scale = (4, 0, 2), (0, 0, np.pi / 2), (3, -2, 5)
    bpy.context.view_layer.update()
    choose(thing)
    return thing, collection


def in_world(thing):
    flat = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get("co", flat)
    matrix = np.array(thing.matrix_world)
    return flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def assert_upright(thing, base, size):
    """The sphere stands on ``base`` with its front towards -Y, and is right side out."""
    bpy.context.view_layer.update()
    positions = in_world(thing)
    low, high = positions.min(axis=0), positions.max(axis=0)
    assert np.allclose(high - low, np.array((0.75, 1, 0.75))[[0, 2, 1]] * size, atol=0.02 * size), (low, high)
    assert np.allclose((*((low + high) / 2)[:2], low[2]), base, atol=0.02 * size), (low, high, base)
    nose = positions[positions[:, 1].argmin()]
    assert abs(nose[0] - base[0]) < 0.02 * size and (positions[:, 1] < nose[1] + 0.15 * size).sum() == 1
    corners = np.empty(len(thing.data.loops), np.int32)
    thing.data.loops.foreach_get("vertex_index", corners)
    # By Blender's own rule: a mirrored object is drawn with its faces turned.
    sign = np.sign(np.linalg.det(np.array(thing.matrix_world)[:3, :3]))
    middle = (low + high) / 2
    triangles = (positions - middle)[corners.reshape(-1, 3)].astype(np.float64)
    assert sign * np.linalg.det(triangles).sum() > 0, "inside out"


def check_enhance_beside():
    thing, collection = enhanced_pyramid("beside")
    before = thing.matrix_world.copy()
    assert bpy.ops.kiss3d.enhance(prompt="a tower") == {"FINISHED"}
    made = bpy.data.objects["beside.001"]
    assert counts(made) == FINAL and counts(thing) == (5, 5) and thing.matrix_world == before
    assert list(made.users_collection) == [collection]
    # The pyramid stands on x from 5 to 7, y from 1 to 4 and z = 3, and is 5 high; this one is 2.5 further right.
    assert_upright(made, (8.5, 2.5, 3), 5)
    turned = made.matrix_world.copy()
    turned.translation = before.translation
    assert np.allclose(turned, before, atol=1e-5), "turned and scaled as the other"


def check_enhance_in_place():
    thing, collection = enhanced_pyramid("in place")
    thing.modifiers.new("Triangulate", "TRIANGULATE")
    other = bpy.data.objects.new("linked duplicate", thing.data)
    collection.objects.link(other)
    bpy.ops.ed.undo_push(message="ready")
    before, mesh, identity = thing.matrix_world.copy(), thing.data, thing.session_uid
    settings = bpy.context.scene.kiss3d
    settings.source, settings.result.mesh_place = "MESH", "IN_PLACE"
    objects = len(bpy.data.objects)
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    assert thing.session_uid == identity and thing.name == "in place" and counts(thing) == FINAL
    assert len(bpy.data.objects) == objects and not thing.modifiers and thing.matrix_world == before
    assert other.data == mesh and counts(other) == (5, 5) and list(thing.users_collection) == [collection]
    assert thing.parent is not None and len(thing.data.materials) == 1 and thing["kiss3d"]["quality"] == "final"
    low = in_world(thing)[:, 2].min()
    assert abs(low - 3) < 1e-3
    bpy.ops.ed.undo()
    thing = bpy.data.objects["in place"]
    assert counts(thing) == (5, 5) and len(thing.modifiers) == 1, "one step takes it back"
    bpy.ops.ed.redo()
    assert counts(bpy.data.objects["in place"]) == FINAL


def check_in_place_nothing_changes_before_the_end():
    from bl_ext.user_default.kiss3d import api

    thing, _ = enhanced_pyramid("held")
    before, mesh = data_counts(), thing.data
    job = api.submit(mesh=thing, place="IN_PLACE", backend=ADDRESS)
    until(lambda: job.state and job.state.quality == "coarse")
    drive()
    assert thing.data == mesh and data_counts() == before and job.object is None
    bpy.ops.object.mode_set(mode="EDIT")
    go = let_go()
    until(lambda: go.state.phase.value == "finished")
    until(lambda: job.state.phase.value == "finished")
    drive()
    assert "Object Mode" in job._job.hindrance
    bpy.ops.object.mode_set(mode="OBJECT")
    assert job.wait(30) == thing and counts(thing) == FINAL

    thing, _ = enhanced_pyramid("forever")
    job = api.submit(mesh=thing, place="IN_PLACE", backend=ADDRESS)
    until(lambda: job.state and job.state.quality == "coarse")
    job.cancel()
    with raises("JobCancelled"):
        job.wait(10)
    assert counts(bpy.data.objects["forever"]) == (5, 5)


def check_in_place_of_a_deleted_object():
    from bl_ext.user_default.kiss3d import api

    thing, _ = enhanced_pyramid("held")
    job = api.submit(mesh=thing, place="IN_PLACE", backend=ADDRESS)
    until(lambda: job.state and job.state.quality == "coarse")
    bpy.data.objects.remove(thing)
    let_go()
    made = job.wait(30)
    assert made.name == "held" and counts(made) == FINAL
    assert_upright(made, (6, 2.5, 3), 5)


def check_enhancing_what_cannot_be_enhanced():
    from bl_ext.user_default.kiss3d import api

    thing, _ = enhanced_pyramid("flat")
    thing.scale.z = 0
    bpy.context.view_layer.update()
    with raises("ParamsInvalid", "scaled to nothing"):
        api.submit(mesh=thing, place="BESIDE", backend=ADDRESS)
    with raises("ParamsInvalid", "Give a mesh"):
        submit("plain", place="BESIDE")
