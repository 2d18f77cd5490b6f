"""Checks of every kind of job that has learned stages, on a running backend: ``learned.py ZIP ADDRESS FOLDER``."""

import bpy
import kiss3d_inside as inside
import numpy as np
from running import run_checks
from session import ADDRESS, FOLDER, ZIP, new_file

FACES = 1000


def generated(**asked):
    """The object, after checking what was seen on the way to it."""
    from bl_ext.user_default.kiss3d import api

    states = []
    made = api.generate(
        preset="fast", faces=FACES, texture_size=1024, timeout=250, backend=ADDRESS, on_progress=states.append,
        **asked,
    )  # fmt: skip
    seen = [state.quality for state in states if state.quality]
    # Meshes in between are replaced by the next one where that comes before they are fetched.
    assert "coarse" in seen and seen[-1] == "final", seen
    assert not [note.code for note in states[-1].warnings if note.code.startswith("bundle.")], states[-1].warnings
    mesh = made.data
    assert abs(len(mesh.polygons) - FACES) < 0.05 * FACES and not mesh.validate(verbose=True)
    shader = next(node for node in mesh.materials[0].node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    image = shader.inputs["Base Color"].links[0].from_node.image
    assert tuple(image.size) == (1024, 1024) and image.packed_file is not None
    previews = {stage: picture.text for stage, picture in states[-1].previews}
    inside.report(**{made["kiss3d"]["recipe"]: list(made["kiss3d"]["stages"].keys())})
    return made, previews


def check_picture():
    new_file()
    _, previews = generated(picture=FOLDER / "picture.png", seed=3)
    assert {"background", "multiview", "bundle"} <= previews.keys(), previews


def check_words():
    new_file()
    _, previews = generated(prompt="a red chair", seed=5)
    assert "bundle" in previews, previews


def check_mesh():
    new_file()
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, location=(2, 1, 0))
    source = bpy.context.object
    made, previews = generated(mesh=source, prompt="an egg", seed=7, place="BESIDE")
    assert "bundle" in previews and len(source.data.polygons) == 320, "what it was made of stays"
    assert made.location.x > source.location.x


def check_bundle():
    new_file()
    made, _ = generated(views=FOLDER / "bundle_bust.webp", size=1.0)
    points = np.array([vertex.co for vertex in made.data.vertices])
    heights = points[:, 2] / np.ptp(points[:, 2])
    head, shoulders = (np.ptp(points[there, 0]) for there in (heights > 0.75, heights < 0.3))
    assert head < 0.6 * shoulders, (head, shoulders)


inside.install(ZIP)
run_checks(globals())
