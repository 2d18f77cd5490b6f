"""Checks of what ``blender --command kiss3d`` runs, called as a function: the wheels have no command line."""

import contextlib
import hashlib
import io
import json
import shutil

import bpy
import numpy as np
from session import ADDRESS, COARSE, FINAL, FOLDER, counts, data_counts, new_file, picture
from standing import SIZE, STEP, assert_stands, opened, world_positions

EXPORTS_GLB = bpy.app.version >= (4, 3, 0)
"""Blender 4.2 as a module crashes at its end, with or without us, once its glTF exporter has been loaded."""


def command(*arguments):
    """The exit code, and the JSON that went to stdout, by its events."""
    from bl_ext.user_default.kiss3d import api

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = api.command([*arguments, "--connect", ADDRESS])
    lines = [json.loads(line) for line in said.getvalue().splitlines() if line.startswith("{")]
    return code, {line["event"]: line for line in lines}


def pictures(name, *files):
    folder = FOLDER / name
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture("plain"), folder / file)
    return folder


def manifest(path):
    """The newest line of each name."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["name"]: line for line in lines}


def assert_recipe(thing, entry):
    recipe = thing["kiss3d"].to_dict()
    assert (recipe["job"], recipe["quality"], recipe["preset"]) == (entry["job"], "final", "draft")
    assert recipe["picture_sha256"] == hashlib.sha256(picture("plain").read_bytes()).hexdigest()
    assert recipe["versions"]["kiss3d_addon"] and counts(thing) == FINAL


def check_batch_fills_one_blend():
    folder = pictures("batch", "oak.png", "fails.png", "more/oak.png", "more/pine.png")
    (folder / "broken.png").write_text("no picture", encoding="utf-8")
    blend = FOLDER / "props" / "props.blend"
    line = ("batch", str(folder), "-o", str(blend), "--recursive", "--size", str(SIZE))
    code, said = command(*line, "--catalog", "Props/Oak", "--tags", "wood", "--lods", "1", "--json")
    assert code == 19 and said["error"]["code"] == "batch.incomplete", said
    assert said["batch"]["results"] == 3 and said["batch"]["output"] == str(blend)
    codes = {failed["name"]: failed["code"] for failed in said["batch"]["failed"]}
    assert codes == {"broken": "picture.unreadable", "fails": "job.out_of_memory"}

    things, entries = opened(blend), manifest(blend.with_name("props.manifest.jsonl"))
    assert things.keys() == {"more/oak", "pine", "oak"}, "the end of a name, unless it is that of two"
    assert_stands(things["more/oak"], 0, 0)
    assert_stands(things["pine"], STEP, 0)
    assert_stands(things["oak"], 0, STEP)
    (line_of_catalogue,) = [one for one in (blend.parent / "blender_assets.cats.txt").open() if ":Props/Oak:" in one]
    for name, row in (("more/oak", "more/oak"), ("pine", "more/pine"), ("oak", "oak")):
        thing = things[name]
        assert_recipe(thing, entries[row])
        assert [one.name for one in thing.users_collection] == [row] and entries[row]["output"] == "props.blend"
        assert thing.asset_data.catalog_id == line_of_catalogue.partition(":")[0]
        assert [tag.name for tag in thing.asset_data.tags] == ["wood"] and min(thing.preview.image_size) > 8
        (image,) = [one for one in bpy.data.images if one.name == name]
        assert image.packed_file is not None and tuple(image.size) == (64, 64)
    assert len(bpy.data.collections) == 6, "one for each and one for its levels, none for those that failed"
    assert len(bpy.data.objects) == 6 and len(bpy.data.meshes) == 3

    # Without --resume nothing is added to a batch.
    assert command(*line)[0] == 18


def check_batch_goes_on():
    folder = pictures("resumed", "a.png", "b.png", "c.png")
    (folder / "b.png").write_text("no picture", encoding="utf-8")
    blend = FOLDER / "resumed.blend"
    line = ("batch", str(folder), "-o", str(blend), "--size", str(SIZE), "--columns", "3")
    assert command(*line)[0] == 19
    path = blend.with_name("resumed.manifest.jsonl")
    before, first = path.read_text(encoding="utf-8"), manifest(path)
    assert command(*line, "--resume")[0] == 19 and path.read_text(encoding="utf-8") == before, "nothing is left to do"

    # A picture that was mended is made; an object that was lost comes back from the backend, and is not made again.
    pictures("resumed", "b.png")
    lost = opened(blend)["c"]
    bpy.data.objects.remove(lost)
    bpy.ops.wm.save_mainfile()
    assert command(*line, "--resume")[0] == 0
    things, entries = opened(blend), manifest(path)
    assert things.keys() == {"a", "b", "c"}
    for number, name in enumerate("abc"):
        assert_stands(things[name], number * STEP, 0)
        assert_recipe(things[name], entries[name])
    assert {name: entries[name]["job"] for name in "ac"} == {name: first[name]["job"] for name in "ac"}


def check_batch_of_a_table_with_words():
    pictures("table", "a.png")
    table = FOLDER / "table" / "rows.csv"
    rows = "picture;prompt;seed;name\na.png;;4294967295;chairs/red\n;a tin cup;5;shown\n"
    table.write_text(rows, encoding="utf-8-sig")
    assert command("batch", str(table), "-o", str(FOLDER / "rows.blend"), "--asset")[0] == 0
    things = opened(FOLDER / "rows.blend")
    recipes = {name: thing["kiss3d"].to_dict() for name, thing in things.items()}
    assert {name: int(recipe["seed"]) for name, recipe in recipes.items()} == {"red": 2**32 - 1, "shown": 5}
    cup = things["shown"]
    assert recipes["shown"]["prompt"] == "a tin cup" == cup.asset_data.description
    pixels = np.array(cup.preview.image_pixels_float[:]).reshape(-1, 4)
    assert tuple(cup.preview.image_size) == (256, 192) and np.allclose(pixels, (1, 0, 0, 1)), "what its job has shown"


def check_catalogue_is_that_of_the_library_around():
    library = FOLDER / "library"
    library.mkdir()
    libraries = bpy.context.preferences.filepaths.asset_libraries
    known = libraries.new(name="Ours", directory=str(library))
    try:
        folder = pictures("catalogued", "a.png")
        blend = library / "rooms" / "room.blend"
        assert command("batch", str(folder), "-o", str(blend), "--catalog", "Room")[0] == 0
    finally:
        libraries.remove(known)
    (thing,) = opened(blend).values()
    written = (library / "blender_assets.cats.txt").read_text(encoding="utf-8")
    assert f"{thing.asset_data.catalog_id}:Room:" in written
    assert not (blend.parent / "blender_assets.cats.txt").exists()


def check_batch_into_a_file_each():
    folder = pictures("each", "a.png", "more/b.png", "more/a.png")
    new_file()
    empty = data_counts()
    out = FOLDER / "each out"
    line = ("batch", str(folder), "-o", str(out), "--recursive", "--size", str(SIZE))
    assert command(*line, "--format", "blend", "--lods", "1", "--catalog", "Each")[0] == 0
    assert data_counts() == empty, "what is written leaves Blender"
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.blend")} == {
        *("a.blend", "more/a.blend", "more/b.blend")
    }
    entries = manifest(out / "manifest.jsonl")
    for name, row in (("a", "a"), ("b", "more/b"), ("more/a", "more/a")):
        (thing,) = opened(out / f"{row}.blend").values()
        assert thing.name == name and thing.asset_data.catalog_id
        assert_stands(thing, 0, 0)
        assert_recipe(thing, entries[row])

    # A .blend that is somebody's work is not written over, also when it is tried again.
    pictures("each", "theirs.png")
    (out / "theirs.blend").write_bytes(b"their work")
    for again in ("--resume", "--retry-failed"):
        assert command(*line, "--format", "blend", again)[0] == 19
        assert manifest(out / "manifest.jsonl")["theirs"]["error"]["code"] == "output.unwritable"
    assert (out / "theirs.blend").read_bytes() == b"their work"
    (folder / "theirs.png").unlink()

    # The same batch as GLBs is another result of the same jobs.
    if not EXPORTS_GLB:
        return
    new_file()
    assert command(*line, "--resume")[0] == 0 and data_counts() == empty
    assert not list(out.rglob(".*.glb")), "a file that is half written"
    latest = manifest(out / "manifest.jsonl")
    assert all(latest[name]["job"] == entry["job"] for name, entry in entries.items())
    bpy.ops.import_scene.gltf(filepath=str(out / "more" / "b.glb"))
    (thing,) = bpy.context.scene.objects
    assert thing.name == "b" and thing["kiss3d"]["job"] == entries["more/b"]["job"]
    positions = world_positions(thing)
    assert np.allclose(np.ptp(positions, axis=0), (0.75 * SIZE, 0.75 * SIZE, SIZE), atol=0.02), "upright again"


def check_jobs_are_imported():
    pictures("imported", "one.png", "two.png")
    assert command("batch", str(FOLDER / "imported"), "-o", str(FOLDER / "made"), "--format", "blend")[0] == 0
    jobs = {name: entry["job"] for name, entry in manifest(FOLDER / "made" / "manifest.jsonl").items()}
    blend = FOLDER / "imported.blend"
    line = ("import", "-o", str(blend), "--size", str(SIZE))
    assert command(*line, "--id", jobs["two"][:13])[0] == 0
    assert command(*line, "--last", "2", "--json")[1]["batch"]["results"] == 2, "one of them is there already"
    things = opened(blend)
    assert {name: thing["kiss3d"]["job"] for name, thing in things.items()} == jobs
    assert_stands(things["two"], 0, 0)
    assert_stands(things["one"], STEP, 0)
    assert things["one"]["kiss3d"]["size"] == SIZE and counts(things["one"]) == FINAL != COARSE
    assert command(*line, "--since", "2999-01-01")[0] == 0 and opened(blend).keys() == {"one", "two"}
    assert command(*line, "--id", "00000000-0000")[0] == 60


def check_generate_adds_to_a_file():
    new_file()
    bpy.ops.mesh.primitive_cube_add(size=2)
    blend = FOLDER / "room.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    assert command("generate", str(picture("plain")), "-o", str(blend), "--size", str(SIZE), "--seed", "9")[0] == 0
    things = opened(blend)
    assert tuple(things["Cube"].location) == (0, 0, 0)
    assert_stands(things["plain"], 1 + STEP / 2 + SIZE * 0.125, 0)
    assert int(things["plain"]["kiss3d"]["seed"]) == 9
    # All objects of a file are one mesh.
    corners = "".join(f"v {x} {y} {z}\n" for x, y, z in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)))
    (FOLDER / "two.obj").write_text(f"{corners}o a\nf 1 3 2\nf 1 2 4\no b\nf 2 3 4\n", encoding="utf-8")
    assert command("generate", "--mesh", str(FOLDER / "two.obj"), "-o", str(blend), "--prompt", "a rock")[0] == 0
    from bl_ext.user_default.kiss3d import blender_session

    sent = list(blender_session.monitor().jobs.values())[-1].inputs.mesh
    assert len(sent.triangles) == 3 and opened(blend)["two"]["kiss3d"]["mesh"] == "two"
    if not EXPORTS_GLB:
        return
    glb = FOLDER / "tent.glb"
    code, said = command("generate", "--prompt", "a tent", "-o", str(glb), "--json")
    assert code == 0 and glb.is_file() and said["finished"]["triangles"] == FINAL[1]
    assert command("generate", "--mesh", str(glb), "-o", str(blend), "--prompt", "a red tent")[0] == 0
    assert opened(blend)["tent"]["kiss3d"]["mesh"] == "tent"


def check_one_bundle_is_picked_and_all_become_objects():
    from bl_ext.user_default.kiss3d import blender_session

    line = ("generate", str(picture("choosing")), "--preset", "fast", "--bundles", "2")
    assert command(*line, "--pick", "2", "-o", str(FOLDER / "picked.blend"))[0] == 0
    (job,) = [one for one in blender_session.monitor().jobs.values() if one.params.bundles == 2][-1:]
    (thing,) = opened(FOLDER / "picked.blend").values()
    assert job.params.choose and thing["kiss3d"]["job"] == job.id and thing["kiss3d"]["bundle_seed"] == 1

    plain = ("generate", str(picture("plain")), "--preset", "fast", "--bundles", "2", "--size", str(SIZE), "--json")
    code, said = command(*plain, "-o", str(FOLDER / "both.blend"))
    things = opened(FOLDER / "both.blend")
    assert code == 0 and things.keys() == {"plain-1", "plain-2"}
    assert_stands(things["plain-2"], STEP, 0)
    assert [int(things[name]["kiss3d"]["bundle_seed"]) for name in sorted(things)] == [0, 1]
    jobs = [one["job"] for one in said["finished"]["outputs"]]
    assert jobs == [things[name]["kiss3d"]["job"] for name in sorted(things)] and said["finished"]["job"] == jobs[0]
    if EXPORTS_GLB:
        assert command(*plain, "-o", str(FOLDER / "both.glb"))[0] == 0
        assert {path.name for path in FOLDER.glob("both*.glb")} == {"both-1.glb", "both-2.glb"}


def check_errors_have_their_exit_codes():
    plain, blend = str(picture("plain")), str(FOLDER / "never.blend")
    assert command("generate", str(FOLDER / "missing.png"), "-o", blend) == (10, {})
    code, said = command("generate", plain, "-o", blend, "--preset", "quality", "--json")
    assert code == 32 and "no GPU" in said["error"]["message"]
    assert command("generate", plain, "-o", blend, "--preset", "splendid")[0] == 31
    assert command("batch", str(FOLDER / "missing"), "-o", blend)[0] == 18
    assert command("generate", plain)[0] == 2
    assert command("generate", str(picture("fails")), "-o", blend)[0] == 65
    (FOLDER / "no.blend").write_bytes(b"not a .blend")
    assert command("generate", plain, "-o", str(FOLDER / "no.blend"))[0] == 20
    from bl_ext.user_default.kiss3d import api

    assert not bpy.app.online_access
    assert api.command(["generate", plain, "-o", blend, "--connect", "tcp://192.0.2.1:47800"]) == 41
    assert not (FOLDER / "never.blend").exists() and (FOLDER / "no.blend").read_bytes() == b"not a .blend"
