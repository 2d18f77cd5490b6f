"""Checks of what can be done with jobs while they run and afterwards; scripted.py runs them."""

import contextlib
from pathlib import Path

import bpy
import numpy as np
from running import until
from session import (
    ADDRESS,
    FINAL,
    counts,
    data_counts,
    generate,
    let_go,
    new_file,
    picture,
    raises,
    submit,
    use_scripted_backend,
)


def monitor():
    from bl_ext.user_default.kiss3d import blender_session

    return blender_session.monitor()


def newest():
    return list(monitor().jobs.values())[-1]


def settled(job):
    until(lambda: (monitor().poll(), job.settled)[1], what="a settled job")
    return job


def refined(steps):
    """A cone of ``steps`` sides with vertex colours, as a mesh that is being refined comes."""
    from bl_ext.user_default.kiss3d.importer.arrays import MeshArrays, edges_of

    turns = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    ring = np.stack((np.cos(turns), np.sin(turns), np.zeros(steps)), 1)
    first, second = np.arange(steps), np.roll(np.arange(steps), -1)
    sides = np.stack((first, second, np.full(steps, steps)), 1)
    base = np.stack((second, first, np.full(steps, steps + 1)), 1)
    positions = np.concatenate((ring, [(0, 0, 2), (0, 0, 0)])).astype(np.float32)
    colours = np.full((steps + 2, 4), (200, 100, steps, 255), np.uint8)
    corners = np.concatenate((sides, base)).reshape(-1).astype(np.int32)
    return MeshArrays(positions, corners, colours=colours, edges=edges_of(corners))


def check_mesh_is_refined_in_place_and_leaves_nothing_behind():
    new_file()
    from bl_ext.user_default.kiss3d.importer import place

    before = data_counts()
    job = submit("held")
    made = until(lambda: job.state and job.object, what="a coarse object")
    followed = job._job
    place.place(followed.target, refined(8), {"job": job.id, "quality": "refined"})
    mesh, material = made.data, made.data.materials[0]
    other = made.copy()  # a linked duplicate shows every step too
    bpy.context.scene.collection.objects.link(other)
    made.name, made.location = "renamed", (4, 0, 0)
    modifier = made.modifiers.new("Bevel", "BEVEL")
    for step in range(20):
        place.place(followed.target, refined(20 + step), {"job": job.id, "quality": "refined"})
        assert counts(made) == (22 + step, 2 * (20 + step)) and made.data == mesh == other.data
        assert list(mesh.materials) == [material] and mesh.materials[0].node_tree.nodes.active.type == "VERTEX_COLOR"
        colours = np.empty(4 * len(mesh.vertices), np.float32)
        mesh.color_attributes[0].data.foreach_get("color_srgb", colours)
        assert round(255 * colours[2]) == 20 + step and len(mesh.color_attributes) == 1
        assert not mesh.validate(verbose=True)
    grown = {kind: number - before[kind] for kind, number in data_counts().items() if number != before[kind]}
    assert grown == {"objects": 2, "meshes": 1, "materials": 1}, grown
    bpy.data.objects.remove(other)
    let_go().wait(30)
    assert job.wait(30) == made and counts(made) == FINAL
    assert made.name == "renamed" and tuple(made.location) == (4, 0, 0) and made.modifiers[0] == modifier
    assert not [
        block for kind in ("meshes", "materials", "images") for block in getattr(bpy.data, kind) if not block.users
    ]
    bpy.ops.ed.undo()  # the job that let it go
    assert counts(job.object) == FINAL
    bpy.ops.ed.undo()
    assert job.object is None, "all that the job did is one step"


def check_target_that_was_deleted_between_two_updates():
    new_file()
    from bl_ext.user_default.kiss3d.importer import place

    job = submit("held")
    bpy.data.objects.remove(until(lambda: job.state and job.object))
    made = place.place(job._job.target, refined(8), {"job": job.id, "quality": "refined"})
    assert made is not None and counts(made) == (10, 16) and job.object == made
    let_go().wait(30)
    assert job.wait(30) == made and counts(made) == FINAL


def check_material_that_the_artist_put_on_stays_through_updates():
    new_file()
    from bl_ext.user_default.kiss3d.importer import place

    job = submit("held")
    made = until(lambda: job.state and job.object)
    mine = bpy.data.materials.new("mine")
    made.data.materials[0] = mine
    for steps in (8, 9):
        place.place(job._job.target, refined(steps), {"job": job.id, "quality": "refined"})
        assert list(made.data.materials) == [mine]
    job.cancel()
    with contextlib.suppress(Exception):
        job.wait(10)


def check_retry_makes_the_same_job_again():
    new_file()
    with contextlib.suppress(Exception):
        generate("fails", seed=5)
    failed = newest()
    assert failed.settled and bpy.ops.kiss3d.retry(job=failed.id) == {"FINISHED"}
    again = settled(newest())
    assert again.id != failed.id and failed.id not in monitor().jobs, "it takes the place of the failed one"
    assert again.params == failed.params and again.inputs is failed.inputs
    assert type(again.state.error).__name__ == "OutOfMemory"
    done = generate("plain")
    assert bpy.ops.kiss3d.retry(job=newest().id) == {"CANCELLED"}, "it is finished"
    assert done["kiss3d"]["job"] in monitor().jobs


def check_variations_stand_in_a_row():
    new_file()
    first = generate("plain", seed=7, size=2.0, location=(1, 2, 0))
    original = newest()
    for number in (1, 2):
        assert bpy.ops.kiss3d.new_variation(job=original.id) == {"FINISHED"}
        job = settled(newest())
        assert job.params.seed == 8, "the next one after that of the job that was clicked"
        assert counts(job.target.object()) == FINAL and job.target.object() != first
        assert tuple(job.target.object().location) == (1 + 2.5 * number, 2, 0)


def check_from_here_keeps_the_seed_of_the_views():
    new_file()
    generate("plain", preset="fast", seed=7)
    job = newest()
    assert bpy.ops.kiss3d.from_here(job=job.id, bundle_seed=9, prompt="a red one") == {"FINISHED"}
    other = settled(newest())
    assert (other.params.seed, other.params.bundle_seed, other.params.prompt) == (7, 9, "a red one")
    assert other.target.object() != job.target.object() and counts(other.target.object()) == FINAL
    generate("plain")
    assert bpy.ops.kiss3d.from_here(job=newest().id, bundle_seed=9) == {"CANCELLED"}, "draft draws no bundle"


def check_bundle_is_chosen_before_the_object_is_made():
    new_file()
    job = submit("choosing", preset="fast")
    until(lambda: job.state.choosing)
    assert [bundle.seed for bundle in job.state.bundles] == [0, 1]
    assert bpy.ops.kiss3d.choose_bundle(job=job.id, bundle=1) == {"FINISHED"}
    assert counts(job.wait(30)) == FINAL
    assert bpy.ops.kiss3d.choose_bundle(job=job.id, bundle=0) == {"CANCELLED"}


def check_bundle_is_picked_by_a_script():
    new_file()
    made = generate("choosing", preset="fast", bundles=2, pick=2)
    assert (newest().params.bundles, newest().params.choose, made["kiss3d"]["bundle_seed"]) == (2, True, 1)
    with raises("ParamsInvalid", "no one picks one"):
        generate("choosing", preset="fast", bundles=2)
    with raises("ParamsInvalid", "no bundle '3'"):
        submit("choosing", preset="fast", bundles=2, pick=3)
    with raises("ParamsInvalid", "draws no bundles"):
        submit("choosing", bundles=2)

    job = submit("choosing", preset="fast", bundles=2)
    until(lambda: job.state.choosing)
    with raises("ParamsInvalid", "no bundle '0'"):
        job.choose(0)
    job.choose(1)
    assert job.wait(30)["kiss3d"]["bundle_seed"] == 0
    with raises("JobNotWaiting", "does not wait"):
        job.choose(1)


def check_several_bundles_are_asked_for_where_they_are_drawn():
    new_file()
    use_scripted_backend()
    settings = bpy.context.scene.kiss3d
    settings.filepath, settings.bundles = str(picture("plain")), 3
    for preset, expected in (("draft", (1, False)), ("fast", (3, True))):
        settings.preset = preset
        assert bpy.ops.kiss3d.generate() == {"FINISHED"}
        assert (newest().params.bundles, newest().params.choose) == expected


def check_backend_that_was_used_before_is_let_go_when_it_is_idle():
    new_file()
    use_scripted_backend()
    from bl_ext.user_default.kiss3d import api

    def addresses():
        return {target.address for target in monitor().connections}

    other = ADDRESS.removeprefix("tcp://")
    api.generate(picture("plain"), backend=other, timeout=30)
    assert other in addresses()
    bpy.context.scene.kiss3d.filepath = str(picture("plain"))
    assert bpy.ops.kiss3d.generate() == {"FINISHED"} and addresses() == {ADDRESS}


def check_rows_and_icons_follow_the_jobs():
    new_file()
    from bl_ext.user_default.kiss3d import blender_session, job_list
    from bl_ext.user_default.kiss3d.ui import thumbnails

    def rows():
        return [row.job for row in bpy.context.window_manager.kiss3d_jobs]

    def files():
        return list(Path(bpy.app.tempdir).glob("kiss3d-picture-*"))

    for job in list(monitor().jobs.values()):
        monitor().cancel(job)  # results of earlier checks that wait for their scenes
        monitor().dismiss(settled(job))
    blender_session.refresh()
    assert rows() == [] and thumbnails.count() == 0 and not files(), list(monitor().jobs)
    job = submit("choosing", preset="fast")
    until(lambda: job.state.choosing)
    blender_session.refresh()
    assert rows() == [job.id] and thumbnails.count() == 3 == len(files()), "a preview and two bundles"
    bpy.ops.wm.read_homefile(use_empty=True, load_ui=True)
    blender_session.refresh()
    assert rows() == [job.id], "the list survives another file"
    second = submit("plain")
    blender_session.refresh()
    assert rows() == [second.id, job.id]
    assert job_list.selected(bpy.context, monitor()).id == second.id, "what is new is looked at"
    bpy.context.window_manager.kiss3d_job_index = 1
    third = submit("plain")
    blender_session.refresh()
    bpy.context.window_manager.kiss3d_job_index = 2
    job.cancel()
    for one in (second, third):
        monitor().cancel(one._job)
    for one in (job, second, third):
        settled(one._job)
    monitor().dismiss(third._job)
    blender_session.refresh()
    assert job_list.selected(bpy.context, monitor()).id == job.id, "the selected one stays the selected one"
    monitor().dismiss(job._job)
    blender_session.refresh()
    assert thumbnails.count() == 0 and not files()


def check_output_of_the_backend_is_one_text():
    new_file()
    from bl_ext.user_default.kiss3d.importer.log_text import find_log, write_log

    assert find_log() is None and not bpy.ops.kiss3d.show_output.poll()
    text = write_log(["one", "two"])
    text.name = "renamed"
    assert write_log(["one", "two", "three"]) == text and text.as_string() == "one\ntwo\nthree"
    assert len(bpy.data.texts) == 1


def check_words_in_portuguese():
    from bl_ext.user_default.kiss3d.translations import errors, tr

    from kiss3d_protocol.errors import OutOfMemory, PictureMissing

    view = bpy.context.preferences.view
    missing, full = PictureMissing("There is no picture at '/a {b}.png'."), OutOfMemory("Too much.", "Less.")
    assert errors.in_words(missing) == (missing.message, missing.remedy)
    try:
        view.language = "pt_BR"
    except TypeError:
        return  # A Blender without languages: everything stays in English.
    try:
        assert tr("{number} before it", number=3) == "3 antes dele"
        assert bpy.app.translations.pgettext_iface("Retry", "Operator") == "Tentar de novo"
        assert errors.in_words(missing) == (
            "Não há imagem em '/a {b}.png'.",
            "Confira o caminho, ou escolha a imagem de novo.",
        )
        assert errors.in_words(full) == ("A memória não foi suficiente. (Too much.)", "Less.")
    finally:
        view.language = "en_US"
    assert errors.in_words(missing) == (missing.message, missing.remedy)
