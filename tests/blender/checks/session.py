"""What all checks against a backend that plays scripts share: ``ADDRESS``, ``FOLDER`` and the ways to make a job."""

import contextlib
import sys
import time
from pathlib import Path

import bpy

ZIP, ADDRESS, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])

COARSE = (8 * 5 + 2, 2 * 8 * 5)
FINAL = (24 * 15 + 2, 2 * 24 * 15)


def new_file():
    """An empty scene, as File > New makes it."""
    bpy.ops.wm.read_homefile(use_empty=True, load_ui=False)
    if not bpy.data.scenes:
        bpy.data.scenes.new("Scene")
    bpy.ops.ed.undo_push(message="start")


def picture(name):
    return FOLDER / f"{name}.png"


def submit(name, **settings):
    from bl_ext.user_default.kiss3d import api

    return api.submit(picture(name), backend=ADDRESS, **settings)


def generate(name, **settings):
    from bl_ext.user_default.kiss3d import api

    return api.generate(picture(name), backend=ADDRESS, timeout=30, **settings)


def let_go():
    """Lets the script named "held" go on."""
    return submit("go")


def drive(seconds=0.3):
    """Takes in what comes, as the timer does in a window."""
    from bl_ext.user_default.kiss3d import blender_session

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        blender_session.monitor().poll()
        time.sleep(0.01)


def data_counts():
    """How much there is of each kind of data, users or not."""
    kinds = ("objects", "meshes", "materials", "images", "node_groups", "collections", "scenes")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def counts(thing):
    return len(thing.data.vertices), len(thing.data.polygons)


@contextlib.contextmanager
def raises(name, *words):
    """Expects an error of this class (by name: each install has its own) whose sentences have the ``words``."""
    try:
        yield
    except Exception as error:
        assert type(error).__name__ == name, f"{type(error).__name__}: {error}"
        for word in words:
            assert word in str(error), f"'{word}' is not in: {error}"
    else:
        raise AssertionError(f"{name} was not raised")


def use_scripted_backend():
    from bl_ext.user_default.kiss3d import preferences

    chosen = preferences.get(bpy.context)
    chosen.mode, chosen.address = "ADDRESS", ADDRESS


def pyramid(name):
    """A pyramid of height 1 on the unit square, with its corners' UVs, linked to the scene."""
    mesh = bpy.data.meshes.new(name)
    faces = [(0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1)], [], faces)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing
