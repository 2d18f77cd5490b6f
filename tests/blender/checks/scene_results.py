"""Checks of what becomes of a result: options, recipe, history, and how it looks. Pictures are compared outside."""

import bpy
import numpy as np
from drawn import draw_as_the_backend
from running import until
from scene_inputs import add_camera, choose
from session import (
    ADDRESS,
    FINAL,
    FOLDER,
    counts,
    data_counts,
    generate,
    new_file,
    picture,
    pyramid,
    raises,
    submit,
    use_scripted_backend,
)

"""Pixels of the pictures that are compared with the backend's."""


def orphans():
    kinds = (bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.images, bpy.data.collections)
    return [block.name for kind in kinds for block in kind if block.users == 0]


def check_levels_of_detail():
    new_file()
    from bl_ext.user_default.kiss3d import api

    made = generate("plain", options=api.ResultOptions(lods=3))
    levels = bpy.data.collections["plain LODs"]
    assert levels.hide_viewport and levels.hide_render and levels.name in bpy.context.scene.collection.children
    levels.hide_viewport = False
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for level in (1, 2, 3):
        lod = levels.objects[f"plain_LOD{level}"]
        assert lod.data == made.data and lod.parent == made and lod.matrix_world == made.matrix_world
        seen = lod.evaluated_get(depsgraph).to_mesh()
        assert 0.8 < len(seen.polygons) * 2**level / FINAL[1] < 1.1, (level, len(seen.polygons))
        assert len(seen.uv_layers) == 1
    assert len(bpy.data.meshes) == 1, "they share the mesh"
    bpy.ops.ed.undo()
    assert not bpy.data.collections and not bpy.data.objects, "all of it is one step"


def check_asset_with_its_picture():
    new_file()
    from bl_ext.user_default.kiss3d import api

    before = data_counts()["images"]
    options = api.ResultOptions(asset=True, tags=("furniture", "oak", "oak"))
    made = api.generate(picture("plain"), prompt="a chair", backend=ADDRESS, timeout=30, options=options)
    assert [tag.name for tag in made.asset_data.tags] == ["furniture", "oak"]
    assert made.asset_data.description == "a chair"
    width, height = made.preview.image_size
    assert (width, height) == (256, round(256 * 40 / 48)), "the picture's own shape"
    pixels = np.array(made.preview.image_pixels_float).reshape(height, width, 4)
    # The picture gets brighter from its top to its bottom; the first row here is the lowest.
    assert pixels[0].mean() > pixels[-1].mean() + 0.3 and np.all(pixels[..., 3] == 1)
    assert data_counts()["images"] == before + 1, "the texture"
    assert generate("colours").asset_data is None, "off by default"
    words = api.generate(prompt="a lamp", backend=ADDRESS, timeout=30, options=api.ResultOptions(asset=True))
    assert words.asset_data.description == "a lamp"


def check_options_of_the_panel():
    new_file()
    use_scripted_backend()
    settings = bpy.context.scene.kiss3d
    settings.filepath, settings.result.lods = str(picture("plain")), 1
    settings.result.mark_asset, settings.result.tags = True, " wood, chair ,"
    settings.result.use_faces, settings.result.faces = True, 700
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    made = bpy.data.objects["plain"]
    assert "plain_LOD1" in bpy.data.objects and {tag.name for tag in made.asset_data.tags} == {"wood", "chair"}
    assert made["kiss3d"]["faces"] == 700 and "texture_size" not in made["kiss3d"]


def check_again_from_a_file():
    new_file()
    use_scripted_backend()
    first = generate("plain", seed=2**32 - 1, faces=900, size=3.0)
    first.name = "renamed"
    choose(first)
    assert bpy.ops.kiss3d.generate_again() == {"FINISHED"}
    second = bpy.data.objects["plain"]
    ours, theirs = second["kiss3d"].to_dict(), first["kiss3d"].to_dict()
    assert ours.pop("job") != theirs.pop("job") and ours == theirs and abs(second.dimensions.z - 3) < 0.01
    assert bpy.ops.kiss3d.generate_again(variation=True) == {"FINISHED"}
    assert int(bpy.data.objects["plain.001"]["kiss3d"]["seed"]) == 0, "seeds go round"


def check_again_from_what_is_in_no_file():
    """A picture that was bytes is kept with the object, and goes through saving; one of the .blend is pointed to."""
    new_file()
    use_scripted_backend()
    from bl_ext.user_default.kiss3d import api

    data = picture("front").read_bytes()
    made = api.generate(data, backend=ADDRESS, timeout=30)
    kept = made["kiss3d_picture"]
    assert kept.packed_file.data == data and kept.users == 1 and not made["kiss3d"]["paths"].to_dict()
    image = bpy.data.images.load(str(picture("plain")))
    images = data_counts()["images"]
    other = api.generate(image, backend=ADDRESS, timeout=30)
    assert other["kiss3d_picture"] == image and data_counts()["images"] == images + 1, "only the texture is new"
    path = str(FOLDER / "again.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    choose(bpy.data.objects["Picture"])
    assert bpy.ops.kiss3d.generate_again() == {"FINISHED"}
    again = bpy.data.objects["Picture.001"]
    assert again["kiss3d"]["picture_sha256"] == bpy.data.objects["Picture"]["kiss3d"]["picture_sha256"]
    del again["kiss3d_picture"]
    choose(again)
    with raises("RuntimeError", "not in this file any more"):
        bpy.ops.kiss3d.generate_again()


def check_again_of_an_enhanced_mesh():
    new_file()
    use_scripted_backend()
    from bl_ext.user_default.kiss3d import api

    source = pyramid("tent")
    made = api.generate(mesh=source, prompt="a tent", place="BESIDE", backend=ADDRESS, timeout=30)
    choose(made)
    assert bpy.ops.kiss3d.generate_again() == {"FINISHED"}
    assert bpy.data.objects["tent.002"]["kiss3d"]["prompt"] == "a tent"
    bpy.data.objects.remove(source)
    with raises("RuntimeError", "'tent' that it was made of is not in this file"):
        bpy.ops.kiss3d.generate_again()
    made["kiss3d"]["seed"] = "many"
    with raises("RuntimeError", "recipe"):
        bpy.ops.kiss3d.generate_again()
    choose(pyramid("by hand"))
    assert not bpy.ops.kiss3d.generate_again.poll()


def check_history_is_kept_with_the_scene_and_pruned():
    new_file()
    from bl_ext.user_default.kiss3d.importer import history

    made = generate("plain", seed=2**32 - 1)
    entries = bpy.context.scene.kiss3d.history
    assert [(entry.name, entry.job, entry.seed) for entry in entries] == [
        ("plain", made["kiss3d"]["job"], "4294967295")
    ]
    assert len(entries[0].made) == len("2026-01-01 00:00")
    recipe = made["kiss3d"].to_dict()
    for number in range(history.KEPT):
        history.note_result(bpy.context.scene, f"other {number}", recipe | {"job": str(number)})
    assert len(entries) == history.KEPT and entries[0].name == "other 0"
    history.note_result(bpy.context.scene, "other 0", recipe | {"job": "0"})
    assert len(entries) == history.KEPT and entries[-1].name == "other 0"


def check_bringing_back_what_the_file_still_has():
    new_file()
    use_scripted_backend()
    made = generate("plain")
    job, recipe = made["kiss3d"]["job"], made["kiss3d"].to_dict()
    bpy.data.objects.remove(made)  # the mesh stays until the file is saved
    bpy.ops.ed.undo_push(message="removed")
    bpy.context.scene.cursor.location = (4, 5, 6)
    before = data_counts()
    assert bpy.ops.kiss3d.bring_back(job=job) == {"FINISHED"}
    again = bpy.data.objects["plain"]
    assert counts(again) == FINAL and tuple(again.location) == (4, 5, 6) and again["kiss3d"].to_dict() == recipe
    assert data_counts()["meshes"] == before["meshes"], "the same mesh"
    bpy.ops.ed.undo()
    assert "plain" not in bpy.data.objects, "one step"


def check_bringing_back_from_the_backend():
    new_file()
    use_scripted_backend()
    from bl_ext.user_default.kiss3d import blender_session, preferences

    made = generate("bumpy", prompt="a pebble", seed=7, size=3.0)
    recipe = made["kiss3d"].to_dict()
    bpy.data.objects.remove(made)
    bpy.ops.outliner.orphans_purge(do_recursive=True)
    assert not bpy.data.meshes
    assert bpy.ops.kiss3d.bring_back(job=recipe["job"]) == {"FINISHED"}
    again = bpy.data.objects["bumpy"]
    assert counts(again) == FINAL and again["kiss3d"].to_dict() == recipe and abs(again.dimensions.z - 3) < 0.02
    assert len(again.data.materials) == 1 and len(bpy.data.images) == 2
    assert len(bpy.context.scene.kiss3d.history) == 1, "it is not there twice"
    choose(again)
    assert bpy.ops.kiss3d.generate_again.poll()

    new_file()  # another file, which knows nothing of it
    assert bpy.ops.kiss3d.list_jobs() == {"FINISHED"}
    connection = preferences.connection(bpy.context)
    until(lambda: (blender_session.monitor().poll(), connection.jobs_there)[1])
    summary = connection.jobs_there[0]
    assert (summary.job, summary.name, summary.state) == (recipe["job"], "bumpy", "finished")
    assert bpy.ops.kiss3d.bring_back(job=summary.job) == {"FINISHED"}
    again = bpy.data.objects["bumpy"]
    assert counts(again) == FINAL and int(again["kiss3d"]["seed"]) == 7 and again["kiss3d"]["stages"]["shape"] == 0.25
    assert bpy.ops.kiss3d.delete_job(job=summary.job) == {"FINISHED"}
    until(lambda: (blender_session.monitor().poll(), summary not in connection.jobs_there)[1])
    assert "bumpy" in bpy.data.objects, "what stands in the scene stays"


def check_bringing_back_what_nobody_has():
    new_file()
    use_scripted_backend()
    before = data_counts()
    with raises("RuntimeError", "not known"):
        bpy.ops.kiss3d.bring_back(job="01234567-89ab-4def-8123-456789abcdef")
    with raises("RuntimeError", "not the identity of a job"):
        bpy.ops.kiss3d.bring_back(job="nonsense")
    assert data_counts() == before
    from bl_ext.user_default.kiss3d import blender_session

    job = submit("forever")
    until(lambda: job.state and job.object)
    assert bpy.ops.kiss3d.bring_back(job=job.id) == {"CANCELLED"} and job.id in blender_session.monitor().jobs
    job.cancel()
    with raises("JobCancelled"):
        job.wait(10)


def check_result_looks_as_the_backend_draws_it():
    """An object without any symmetry, from two sides; the test outside compares."""
    new_file()
    draw_as_the_backend(generate("lopsided", size=2.0), FOLDER)
    assert not orphans()


def check_normal_map_turns_the_light_in_cycles():
    """Its red says that the surface leans towards -u, on the front the left: light from there is met head on."""
    new_file()
    made = generate("bumpy", size=2.0, location=(0, 0, 0))
    scene = bpy.context.scene
    add_camera((0, -8, 1))
    scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", 0.4  # the middle of the front, where it faces -Y
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    scene.collection.objects.link(sun)
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.view_settings.view_transform = "Raw"
    scene.render.filepath = str(FOLDER / "lit.png")

    def brightness(degrees):
        sun.rotation_euler = (np.pi / 2, 0, np.radians(degrees))  # at 0 it shines from -Y
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath, check_existing=False)
        mean = np.array(image.pixels).reshape(-1, 4)[:, :3].mean()
        bpy.data.images.remove(image)
        return float(mean)

    left, right = brightness(-45), brightness(45)
    tree = made.data.materials[0].node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.remove(shader.inputs["Normal"].links[0])
    flat = brightness(-45)
    assert left > 1.25 * flat and right < 0.35 * flat, (left, flat, right)
