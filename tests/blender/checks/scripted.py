"""Checks inside Blender against a backend that plays scripts: ``scripted.py ZIP ADDRESS FOLDER``.

The names of the pictures choose the scripts: see test_scripted.py.
"""

import sys
import threading
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import bpy
import commands
import job_list
import kiss3d_inside as inside
import layout
import local_setup
import numpy as np
import scene_inputs
import scene_results
from running import run_checks, until
from session import (
    ADDRESS,
    COARSE,
    FINAL,
    FOLDER,
    ZIP,
    counts,
    data_counts,
    drive,
    generate,
    let_go,
    new_file,
    picture,
    pyramid,
    raises,
    submit,
    use_scripted_backend,
)
from standing import world_positions

# ---------------------------------------------------------------------------------------------- the result


def check_counts_frame_size_and_place():
    new_file()
    bpy.context.scene.cursor.location = (1, 2, 3)
    made = generate("plain", size=4.0)
    assert counts(made) == FINAL, counts(made)
    positions = world_positions(made)
    low, high = positions.min(axis=0), positions.max(axis=0)
    assert np.allclose(high - low, (3, 3, 4), atol=0.02), high - low  # 0.75 x 1 x 0.75 times 4, upright
    assert np.allclose(((low + high) / 2)[:2], (1, 2), atol=0.02) and abs(low[2] - 3) < 1e-4, (low, high)
    assert tuple(made.scale) == (1, 1, 1) and tuple(made.location) == (1, 2, 3)
    nose = positions[positions[:, 1].argmin()]
    assert abs(nose[0] - 1) < 0.02 and (positions[:, 1] < nose[1] + 0.7).sum() == 1, "the front does not face -Y"
    assert made.name == "plain" and made.name in bpy.context.scene.objects


def check_mesh_is_one_that_blender_has_nothing_to_correct_in():
    new_file()
    mesh = generate("plain").data
    edges = len(mesh.edges)
    assert len(mesh.vertices) - edges + len(mesh.polygons) == 2, "a closed sphere has the Euler number 2"
    assert not mesh.validate(verbose=True) and len(mesh.edges) == edges
    flat = np.empty(len(mesh.polygons), bool)
    mesh.polygons.foreach_get("use_smooth", flat)
    assert flat.all(), "not all faces are smooth"
    outwards = np.empty(len(mesh.polygons) * 3, np.float32)
    mesh.polygons.foreach_get("normal", outwards)
    centres = np.empty_like(outwards)
    mesh.polygons.foreach_get("center", centres)
    middle = np.array(mesh.vertices[0].co) * (1, 1, 0.5)
    assert (((centres.reshape(-1, 3) - middle) * outwards.reshape(-1, 3)).sum(axis=1) > 0).mean() > 0.99


def check_uvs_and_texture():
    new_file()
    made = generate("plain", size=1.0)
    mesh = made.data
    assert len(mesh.uv_layers) == 1 and len(mesh.uv_layers[0].uv) == 3 * FINAL[1]
    uvs = np.empty(6 * FINAL[1], np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uvs)
    uvs = uvs.reshape(-1, 2)
    corners = np.empty(3 * FINAL[1], np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    heights = world_positions(made)[corners][:, 2]
    expected = 1 - np.arccos(np.clip((heights - 0.5) / 0.5, -1, 1)) / np.pi
    assert np.abs(uvs[:, 1] - expected).max() < 1e-3, "v grows from the bottom to the top"
    assert uvs[:, 0].min() == 0 and uvs[:, 0].max() == 1, "the seam"

    (material,) = mesh.materials
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    (link,) = shader.inputs["Base Color"].links
    image = link.from_node.image
    assert tuple(image.size) == (64, 64) and image.packed_file is not None and not image.is_dirty
    assert image.colorspace_settings.name == "sRGB" and abs(shader.inputs["Roughness"].default_value - 0.8) < 1e-6
    pixels = np.array(image.pixels[:]).reshape(64, 64, 4)
    assert pixels[0, 0, 2] == 1 and pixels[-1, 0, 2] == 0, "the lower left corner of the texture is blue"
    assert pixels[-1, 0, 1] == 1 and pixels[0, -1, 0] == 1


def check_result_survives_saving():
    new_file()
    generate("plain")
    path = str(FOLDER / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    made = bpy.data.objects["plain"]
    assert counts(made) == FINAL and tuple(bpy.data.images["plain"].size) == (64, 64)
    assert made["kiss3d"]["quality"] == "final"


def check_recipe():
    new_file()
    recipe = generate("plain", preset="draft", seed=2**32 - 1)["kiss3d"].to_dict()
    import hashlib

    assert recipe["picture_sha256"] == hashlib.sha256(picture("plain").read_bytes()).hexdigest()
    assert (recipe["preset"], int(recipe["seed"]), recipe["picture"]) == ("draft", 2**32 - 1, "plain")
    assert recipe["stages"] == {"shape": 0.25, "texture": 0.25} and recipe["seconds"] == 0.5
    assert recipe["versions"] == {"scripted_backend": "1", "kiss3d_addon": "0.1.0"}
    assert recipe["quality"] == "final" and len(recipe["job"]) == 36


def check_vertex_colours_without_texture():
    new_file()
    made = generate("colours")
    attribute = made.data.color_attributes[0]
    assert (attribute.domain, attribute.data_type) == ("POINT", "BYTE_COLOR")
    values = np.empty(4 * len(attribute.data), np.float32)
    attribute.data.foreach_get("color_srgb", values)
    top = values.reshape(-1, 4)[world_positions(made)[:, 2].argmax()]
    assert top[1] > 0.99 and abs(top[0] - 0.5) < 0.01 and top[3] == 1, top
    shader = next(node for node in made.data.materials[0].node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert shader.inputs["Base Color"].links[0].from_node.layer_name == attribute.name
    assert not [image for image in bpy.data.images if image.name.startswith("colours")]


def check_normal_map_in_tangent_space():
    new_file()
    before = data_counts()
    made = generate("bumpy")
    (material,) = made.data.materials
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    (link,) = shader.inputs["Normal"].links
    turned = link.from_node
    assert (turned.type, turned.space) == ("NORMAL_MAP", "TANGENT")
    assert turned.uv_map == made.data.uv_layers[0].name
    (link,) = turned.inputs["Color"].links
    normals = link.from_node.image
    assert normals.colorspace_settings.name == "Non-Color" and normals.packed_file is not None
    # As stored: read as sRGB, 0.25 would not stay 0.25 in the shader.
    assert normals.colorspace_settings.is_data and np.allclose(normals.pixels[:3], (0.25, 0.5, 0.75), atol=0.003)
    colours = shader.inputs["Base Color"].links[0].from_node.image
    assert colours != normals and colours.colorspace_settings.name == "sRGB"
    assert (colours.name, normals.name) == ("bumpy", "bumpy normals"), "those of the coarse mesh are gone"
    grown = {kind: number - before[kind] for kind, number in data_counts().items()}
    assert (grown["images"], grown["materials"], grown["meshes"]) == (2, 1, 1), grown


def check_no_normal_map_is_left_behind():
    new_file()
    before = data_counts()
    with raises("OutOfMemory"):
        generate("bumpy_fails")
    assert data_counts() == before
    made = generate("bumpy_then_flat")
    assert data_counts()["images"] == before["images"] + 1
    shader = next(node for node in made.data.materials[0].node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert not shader.inputs["Normal"].links


def check_progress_callback():
    new_file()
    states = []
    generate("warned", on_progress=states.append)
    assert states[0].phase.value == "queued" and states[-1].phase.value == "finished"
    fractions = [state.fraction for state in states]
    assert fractions == sorted(fractions) and 0.25 in fractions
    assert [warning.code for warning in states[-1].warnings] == ["picture.background"]


# ---------------------------------------------------------------------------------------------- while it runs


def check_coarse_comes_first_and_is_replaced_in_place():
    new_file()
    before = data_counts()
    job = submit("held")
    made = until(lambda: job.state and job.object, what="a coarse object")
    assert counts(made) == COARSE and made["kiss3d"]["quality"] == "coarse"
    assert len(made.data.edges) == COARSE[0] + COARSE[1] - 2 and not made.data.validate(verbose=True)
    ends = {tuple(sorted(edge.vertices)) for edge in made.data.edges}
    assert all({tuple(sorted(key)) for key in face.edge_keys} <= ends for face in made.data.polygons)
    assert all(tuple(sorted(made.data.edges[loop.edge_index].vertices)) in ends for loop in made.data.loops)
    identity = made.session_uid
    made.location, made.name = (5, 5, 5), "renamed by hand"
    names = made.data.name, made.data.materials[0].name
    other = made.copy()  # a linked duplicate shows the same mesh
    bpy.context.scene.collection.objects.link(other)

    let_go()
    made = job.wait(30)
    assert made.session_uid == identity and made.name == "renamed by hand" and tuple(made.location) == (5, 5, 5)
    assert counts(made) == FINAL and (made.data.name, made.data.materials[0].name) == names
    assert other.data == made.data
    drive()
    grown = {kind: number - before[kind] for kind, number in data_counts().items()}
    # Two jobs ("go" is one too) and the duplicate.
    assert grown["objects"] == 3 and grown["meshes"] == grown["materials"] == grown["images"] == 2, grown
    assert not [block for block in (*bpy.data.meshes, *bpy.data.materials) if block.users == 0]


def check_second_job_waits_in_line():
    new_file()
    first, second = submit("held"), submit("go_later")
    until(lambda: first.state.phase.value == "running" and first.object)
    until(lambda: second.state.phase.value == "queued")
    assert second.state.position >= 1 and not second.object
    third = let_go()
    results = [job.wait(30) for job in (first, second, third)]
    assert len({result.session_uid for result in results}) == 3
    assert all(counts(result) == FINAL for result in results)


def check_cancel_leaves_nothing():
    new_file()
    before = data_counts()
    job = submit("forever")
    until(lambda: job.state and job.object, what="a coarse object")
    assert data_counts() != before
    job.cancel()
    assert job.state.cancel_requested
    with raises("JobCancelled", "forever"):
        job.wait(10)
    assert data_counts() == before, (data_counts(), before)


def check_failure_leaves_nothing_and_says_why():
    new_file()
    before = data_counts()
    with raises("OutOfMemory", "The memory was full.", "Close other programs."):
        generate("fails")
    assert data_counts() == before


def check_timeout_cancels():
    new_file()
    before = data_counts()
    from bl_ext.user_default.kiss3d import api

    with raises("TimeoutError", "forever"):
        api.generate(picture("forever"), backend=ADDRESS, timeout=0.5)
    assert data_counts() == before


def check_broken_mesh_is_refused():
    new_file()
    before = data_counts()
    with raises("MessageMalformed", "names a vertex"):
        generate("index_out_of_range")
    with raises("MessageMalformed", "not a number"):
        generate("not_finite")
    assert data_counts() == before


def check_triangles_without_area_are_left_out():
    new_file()
    made = generate("degenerate")
    assert counts(made) == (FINAL[0], FINAL[1] - 3) and not made.data.validate(verbose=True)


def check_undo_is_one_step():
    new_file()
    made = generate("plain")
    name = made.name
    bpy.ops.ed.undo()
    assert name not in bpy.data.objects
    bpy.ops.ed.redo()
    assert counts(bpy.data.objects[name]) == FINAL
    assert tuple(bpy.data.images["plain"].size) == (64, 64)


def check_undo_while_it_runs():
    new_file()
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Empty", None))
    bpy.ops.ed.undo_push(message="added")
    job = submit("held")
    until(lambda: job.state and job.object)
    bpy.ops.ed.undo()
    assert job.object is None and "Empty" not in bpy.data.objects
    let_go().wait(30)
    made = job.wait(30)
    assert counts(made) == FINAL
    assert sum(thing.get("kiss3d", {}).get("job") == job.id for thing in bpy.data.objects) == 1


def check_deleted_object_comes_back_finished():
    new_file()
    job = submit("held")
    bpy.data.objects.remove(until(lambda: job.state and job.object))
    assert job.object is None
    let_go()
    assert counts(job.wait(30)) == FINAL


def check_result_goes_into_its_own_scene():
    new_file()
    first = bpy.context.scene
    collection = bpy.data.collections.new("Props")
    first.collection.children.link(collection)
    layer = bpy.context.view_layer.layer_collection.children["Props"]
    bpy.context.view_layer.active_layer_collection = layer
    job = submit("plain", location=(0, 0, 7))
    second = bpy.data.scenes.new("Second")
    first.name = "Renamed"
    made = job.wait(30)
    assert list(made.users_scene) == [first] and not second.objects
    assert list(made.users_collection) == [collection] and tuple(made.location) == (0, 0, 7)


def check_deleted_scene_holds_the_result_until_it_is_placed():
    new_file()
    doomed = bpy.data.scenes.new("Doomed")
    from bl_ext.user_default.kiss3d import blender_session
    from bl_ext.user_default.kiss3d.importer.target import Target

    job = submit("held")
    target = job._job.target
    target.move_to(doomed, None)
    until(lambda: job.state and job.object)
    bpy.data.scenes.remove(doomed)
    let_go().wait(30)
    until(lambda: job.state.phase.value == "finished")
    drive()
    assert not job._job.settled and "not open" in job._job.hindrance and isinstance(target, Target)
    assert bpy.ops.kiss3d.place_here(job=job.id) == {"FINISHED"}
    drive()
    assert job._job.settled and counts(job.object) == FINAL
    assert job.id in blender_session.monitor().jobs


def check_file_loaded_again_while_it_runs():
    new_file()
    path = str(FOLDER / "loaded.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    job = submit("held")
    until(lambda: job.state and job.object)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert job.object is None
    let_go().wait(30)
    made = job.wait(30)
    assert counts(made) == FINAL and made.name in bpy.context.scene.objects


def check_other_file_is_not_touched():
    new_file()
    job = submit("held")
    until(lambda: job.state and job.object)
    new_file()
    before = data_counts()
    go = submit("go", location=(0, 0, 0))
    until(lambda: job.state.phase.value == "finished")
    bpy.data.objects.remove(go.wait(30))
    drive()
    assert not job.object and "not open" in job._job.hindrance, data_counts()
    job.cancel()
    drive()
    assert job._job.settled
    assert data_counts()["objects"] == before["objects"]


def check_object_being_edited_is_left_alone():
    new_file()
    job = submit("held")
    made = until(lambda: job.state and job.object)
    bpy.context.view_layer.objects.active = made
    bpy.ops.object.mode_set(mode="EDIT")
    let_go()
    until(lambda: job.state.phase.value == "finished")
    drive()
    assert "Object Mode" in job._job.hindrance and not job._job.settled
    bpy.ops.object.mode_set(mode="OBJECT")
    assert counts(job.wait(30)) == FINAL and job.object == made


def check_discarding_the_result_of_an_object_being_edited():
    new_file()
    before = data_counts()
    job = submit("held")
    made = until(lambda: job.state and job.object)
    bpy.context.view_layer.objects.active = made
    bpy.ops.object.mode_set(mode="EDIT")
    go = let_go()
    until(lambda: job.state.phase.value == "finished")
    until(lambda: go.state.phase.value == "finished")
    drive()
    assert bpy.ops.kiss3d.cancel(job=job.id) == {"FINISHED"}
    drive()
    assert job.object == made and not job._job.settled, "nobody takes away what is being edited"
    bpy.ops.object.mode_set(mode="OBJECT")
    drive()
    assert job._job.settled and job.object is None
    assert data_counts()["objects"] == before["objects"] + 1, "that of the other job"


def check_material_of_the_artist_is_kept():
    new_file()
    job = submit("held")
    made = until(lambda: job.state and job.object)
    mine = bpy.data.materials.new("mine")
    made.data.materials[0] = mine
    let_go().wait(30)
    made = job.wait(30)
    assert counts(made) == FINAL and list(made.data.materials) == [mine]


# ---------------------------------------------------------------------------------------------- other inputs


def check_prompt_alone():
    new_file()
    from bl_ext.user_default.kiss3d import api

    settings = {"faces": 5000, "texture_size": 2048, "bundle_seed": 9, "write_prompt": True, "redraw": False}
    made = api.generate(prompt="a brass lamp", backend=ADDRESS, timeout=30, **settings)
    assert made.name == "a brass lamp" and counts(made) == FINAL
    recipe = made["kiss3d"].to_dict()
    assert recipe["prompt"] == "a brass lamp" and recipe["picture_sha256"] == "0" * 64


def check_mesh_as_it_is_seen():
    new_file()
    from bl_ext.user_default.kiss3d import api

    thing = pyramid("placed pyramid")
    thing.location, thing.rotation_euler, thing.scale = (5, 6, 7), (0, 0, np.pi / 2), (1, -2, 3)
    modifier = thing.modifiers.new("Array", "ARRAY")
    modifier.count, modifier.use_relative_offset, modifier.use_constant_offset = 2, False, True
    modifier.constant_offset_displace = (2, 0, 0)
    colours = thing.data.color_attributes.new("Colour", "BYTE_COLOR", "CORNER")
    colours.data.foreach_set("color_srgb", [1.0, 0.5, 0.0, 1.0] * len(thing.data.loops))
    before = data_counts()
    made = api.generate(mesh=thing, prompt="a tent", backend=ADDRESS, timeout=30)
    assert made != thing and counts(made) == FINAL and counts(thing) == (5, 5), "the mesh itself stays as it is"
    assert data_counts()["meshes"] == before["meshes"] + 1


def check_mesh_with_a_texture():
    new_file()
    from bl_ext.user_default.kiss3d import api

    thing = pyramid("textured pyramid")
    layer = thing.data.uv_layers.new(name="UVMap")
    layer.uv.foreach_set("vector", np.linspace(0, 1, 2 * len(thing.data.loops), dtype=np.float32))
    image = bpy.data.images.load(str(FOLDER / "texture.jpg"))
    material = bpy.data.materials.new("painted")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    shader = next(one for one in material.node_tree.nodes if one.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    thing.data.materials.append(material)
    assert counts(api.generate(mesh=thing, backend=ADDRESS, timeout=30)) == FINAL
    thing.data.materials.append(bpy.data.materials.new("plain"))
    thing.data.polygons[0].material_index = 1
    with raises("MeshFileUnreadable", "different textures"):
        api.submit(mesh=thing, backend=ADDRESS)


def check_views():
    new_file()
    from bl_ext.user_default.kiss3d import api

    names = ("front", "left", "back", "right")
    made = api.generate(views=[picture(name) for name in names], backend=ADDRESS, timeout=30)
    assert made.name == "front" and counts(made) == FINAL
    data = picture("bundle").read_bytes()
    image = bpy.data.images.load(str(picture("bundle")))
    for one in (picture("bundle"), data, image):
        assert counts(api.generate(views=one, backend=ADDRESS, timeout=30)) == FINAL


def check_inputs_that_cannot_be_used():
    new_file()
    from bl_ext.user_default.kiss3d import api

    thing = pyramid("hidden")
    empty = bpy.data.objects.new("Empty", None)
    for given, words in (
        ({}, "needs a prompt"),
        ({"picture": picture("plain"), "mesh": thing}, "takes no picture"),
        ({"views": picture("plain"), "prompt": "a chair"}, "takes no prompt"),
        ({"views": [picture("plain")] * 3}, "not 3"),
        ({"mesh": empty}, "not a mesh"),
        ({"prompt": "a chair", "faces": 1}, "faces"),
    ):
        with raises("ParamsInvalid", words):
            api.submit(backend=ADDRESS, **given)
    thing.hide_viewport = True
    with raises("ParamsInvalid", "hidden"):
        api.submit(mesh=thing, backend=ADDRESS)
    thing.hide_viewport = False
    thing.data.clear_geometry()
    with raises("MeshEmpty", "no faces"):
        api.submit(mesh=thing, backend=ADDRESS)


# ---------------------------------------------------------------------------------------------- bad input


def check_bad_pictures():
    from bl_ext.user_default.kiss3d import api

    text = FOLDER / "text.png"
    text.write_text("no picture")
    empty = FOLDER / "empty.png"
    empty.touch()
    huge = FOLDER / "huge.png"
    with huge.open("wb") as file:
        file.truncate(65 << 20)
    with raises("PictureMissing", "nowhere.png", "Check the path"):
        api.generate(FOLDER / "nowhere.png")
    with raises("PictureIsDirectory"):
        api.generate(FOLDER)
    for path in (text, empty):
        with raises("PictureUnreadable", path.stem):
            api.generate(path)
    with raises("PictureTooLarge", "65 MiB"):
        api.generate(huge)
    with raises("PictureUnreadable"):
        api.generate(b"no picture")


def check_bad_settings():
    for settings in ({"seed": -1}, {"seed": 2**32}, {"size": 0.0}, {"size": float("nan")}, {"size": float("inf")}):
        with raises("ParamsInvalid"):
            submit("plain", **settings)
    with raises("PresetUnavailable", "There is no GPU."):
        generate("plain", preset="quality")


def check_bad_addresses():
    from bl_ext.user_default.kiss3d import api

    with raises("AddressInvalid", "tcp://HOST:PORT"):
        api.generate(picture("plain"), backend="nonsense")
    with raises("BackendUnreachable", "kiss3d serve"):
        api.generate(picture("plain"), backend="tcp://127.0.0.1:9")
    assert not bpy.app.online_access
    with raises("BackendUnreachable", "Allow Online Access"):
        api.generate(picture("plain"), backend="tcp://192.0.2.1:47800")


def check_no_local_backend():
    from bl_ext.user_default.kiss3d import api, preferences

    chosen = preferences.get(bpy.context)
    for python, words in (("", "not set"), ("/nowhere/python", "There is no Python")):
        chosen.python = python
        with raises("BackendStartFailed", words, "preferences"):
            api.generate(picture("plain"))
    chosen.python = sys.executable
    with raises("BackendStartFailed", "has no Kiss3D backend", "Install kiss3d"):
        api.generate(picture("plain"))
    chosen.python = ""


# ---------------------------------------------------------------------------------------------- operators


def check_operator_waits_in_background_mode():
    new_file()
    use_scripted_backend()
    settings = bpy.context.scene.kiss3d
    settings.filepath, settings.size = str(picture("plain")), 3.0
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    made = bpy.data.objects["plain"]
    assert counts(made) == FINAL and abs(made.dimensions.z - 3) < 0.02


def check_operator_takes_paths_relative_to_the_file():
    new_file()
    use_scripted_backend()
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "relative.blend"))
    bpy.context.scene.kiss3d.filepath = "//plain.png"
    assert bpy.ops.kiss3d.generate() == {"FINISHED"}
    assert counts(bpy.data.objects["plain"]) == FINAL


def check_operator_reports_errors_and_the_panel_keeps_them():
    new_file()
    use_scripted_backend()
    from bl_ext.user_default.kiss3d import blender_session

    settings = bpy.context.scene.kiss3d
    assert not bpy.ops.kiss3d.generate.poll(), "there is no picture yet"
    settings.filepath = str(FOLDER / "nowhere.png")
    with raises("RuntimeError", "There is no picture"):
        bpy.ops.kiss3d.generate()
    assert type(blender_session.notice).__name__ == "PictureMissing"
    bpy.ops.kiss3d.dismiss_notice()
    assert blender_session.notice is None


def check_preset_that_is_not_offered_says_why():
    new_file()
    use_scripted_backend()
    generate("plain")  # connected now
    settings = bpy.context.scene.kiss3d
    settings.filepath, settings.preset = str(picture("plain")), "quality"
    assert not bpy.ops.kiss3d.generate.poll()
    settings.preset = "draft"
    assert bpy.ops.kiss3d.generate.poll()


def check_preset_of_an_offer_is_chosen():
    settings = bpy.context.scene.kiss3d
    for preset in ("fast", "draft"):
        assert bpy.ops.kiss3d.use_preset(preset=preset) == {"FINISHED"}
        assert settings.preset == preset


def check_images_of_the_file():
    """What arrives is checked by the test outside, by the names of the jobs."""
    new_file()
    use_scripted_backend()
    settings = bpy.context.scene.kiss3d
    settings.source = "IMAGE"

    loaded = bpy.data.images.load(str(picture("plain")))
    loaded.name = "from_file"
    packed = bpy.data.images.load(str(picture("plain")), check_existing=False)
    packed.name = "from_pack"
    packed.pack()
    painted = bpy.data.images.load(str(picture("plain")), check_existing=False)
    painted.name = "painted"
    painted.pixels[0:4] = (1.0, 0.0, 0.0, 1.0)
    generated = bpy.data.images.new("generated", 40, 30, alpha=True)
    generated.generated_color = (0.0, 1.0, 0.0, 0.5)
    linear = bpy.data.images.new("linear", 33, 32, float_buffer=True)
    linear.pixels.foreach_set(np.full(33 * 32 * 4, 0.5, np.float32))
    for image in (loaded, packed, painted, generated, linear):
        settings.image = image
        assert bpy.ops.kiss3d.generate() == {"FINISHED"}, image.name
        assert image.name in bpy.data.objects
    from bl_ext.user_default.kiss3d import api

    lost = bpy.data.images.new("lost", 8, 8)
    lost.source, lost.filepath = "FILE", str(FOLDER / "nowhere.png")
    with raises("PictureMissing"):
        api.generate(lost, backend=ADDRESS)


def check_selecting_and_dismissing():
    new_file()
    job = submit("plain")
    made = job.wait(30)
    assert bpy.ops.kiss3d.select(job=job.id) == {"FINISHED"}
    assert made.select_get() and bpy.context.view_layer.objects.active == made
    from bl_ext.user_default.kiss3d import blender_session

    shown, browse = [], webbrowser.open
    webbrowser.open = shown.append
    try:
        assert bpy.ops.kiss3d.show_report(job=job.id) == {"FINISHED"}
        until(lambda: (blender_session.monitor().poll(), shown)[1])
    finally:
        webbrowser.open = browse
    page = Path(url2pathname(urlsplit(shown[0]).path))
    assert page.read_text(encoding="utf-8") == "<!doctype html><title>plain</title>"
    assert page.is_relative_to(bpy.app.tempdir)
    bpy.ops.kiss3d.dismiss(job=job.id)
    assert job.id not in blender_session.monitor().jobs and made.name in bpy.data.objects


# ---------------------------------------------------------------------------------------------- coming and going


def our_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("kiss3d-")]


def check_shutdown_and_start_again():
    new_file()
    from bl_ext.user_default.kiss3d import api

    generate("plain")
    assert our_threads()
    api.shutdown()
    until(lambda: not our_threads(), 5)
    assert counts(generate("plain")) == FINAL


def check_disabled_in_mid_job_leaves_nothing_behind():
    new_file()
    before = data_counts()
    job = submit("forever")
    until(lambda: job.state.previews and job.object)
    from bl_ext.user_default.kiss3d import blender_session

    blender_session.refresh()
    assert list(Path(bpy.app.tempdir).glob("kiss3d-picture-*")) and len(bpy.context.window_manager.kiss3d_jobs)
    inside.disable()
    assert data_counts() == before, "a half-made object stayed"
    assert not hasattr(bpy.types.Scene, "kiss3d") and not our_threads()
    assert not [name for name in dir(bpy.types) if name.startswith("KISS3D_")]
    assert not hasattr(bpy.types, "Kiss3DSceneSettings") and not hasattr(bpy.types.WindowManager, "kiss3d_jobs")
    assert not list(Path(bpy.app.tempdir).glob("kiss3d-picture-*"))
    inside.enable()
    from bl_ext.user_default.kiss3d import blender_session
    from bl_ext.user_default.kiss3d.connection import AddressTarget
    from bl_ext.user_default.kiss3d.importer.target import Target

    from kiss3d_protocol.params import GenerateParams

    # What a backend of its own does goes on, and is found again, as by a Blender that was started anew.
    monitor = blender_session.monitor()
    target = Target.in_scene(job.id, "forever", 1.0, bpy.context.scene, None)
    found = monitor.follow(AddressTarget(ADDRESS), target, GenerateParams(), {"job": job.id})
    until(lambda: (monitor.poll(), found.placed)[1])
    monitor.cancel(found)
    until(lambda: (monitor.poll(), found.settled)[1])
    assert data_counts() == before and counts(generate("plain")) == FINAL


inside.install(ZIP)
inside.assert_bundled("zmq", "msgpack", "attrs", "cattrs", "kiss3d_protocol")
run_checks(globals())
run_checks(vars(scene_inputs))
run_checks(vars(scene_results))
run_checks(vars(job_list))
run_checks(vars(layout))
run_checks(vars(local_setup))
run_checks(vars(commands))
inside.disable()
