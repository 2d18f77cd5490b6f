"""What goes into a job becomes the right message, without Blender."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blender_addon.capture.arrays import CapturedMesh, transformed, vertex_colours
from blender_addon.capture.picture import Picture
from blender_addon.importer.arrays import read_mesh
from blender_addon.job_inputs import JobInputs, make_params, make_submit
from tests.fakes.meshes import sphere

from kiss3d_protocol.errors import MeshEmpty, ParamsInvalid
from kiss3d_protocol.messages import Submit, blob_refs, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, check_blobs

PICTURE = Picture(sphere(8, 6).texture, "image/png", "chair")
VIEWS = tuple(Picture(PICTURE.data, "image/png", f"view {index}", index + 1, 9) for index in range(4))
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 4]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
MESH = CapturedMesh("corner", CORNERS, FACES)


def submit_of(inputs: JobInputs, **params: Any) -> tuple[Submit, list[Blob]]:
    return make_submit(new_job_id(), inputs.name, inputs, make_params("draft", 1, **params))


@pytest.mark.parametrize(
    ("inputs", "prompt", "recipe", "blobs"),
    [
        (JobInputs("a", PICTURE), "", "image_to_3d", 1),
        (JobInputs("a", PICTURE), "a chair", "image_to_3d", 1),
        (JobInputs("a"), "a chair", "text_to_3d", 0),
        (JobInputs("a", mesh=MESH), "", "mesh_to_3d", 2),
        (JobInputs("a", mesh=MESH), "a chair", "mesh_to_3d", 2),
        (JobInputs("a", views=VIEWS[:1]), "", "views_to_3d", 1),
        (JobInputs("a", views=VIEWS, mesh=MESH), "", "views_to_3d", 6),
    ],
)
def test_recipe_follows_from_the_inputs(inputs: JobInputs, prompt: str, recipe: str, blobs: int) -> None:
    submit, sent = submit_of(inputs, prompt=prompt)
    assert (submit.params.recipe, submit.params.prompt, submit.params.bundles) == (recipe, prompt, 1)
    assert len(sent) == blobs
    check_blobs(blob_refs(submit), sent)


def test_views_keep_their_order() -> None:
    submit, _ = submit_of(JobInputs("a", views=VIEWS))
    assert [view.width for view in submit.views] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("inputs", "prompt"),
    [
        (JobInputs("a"), "  "),
        (JobInputs("a", PICTURE, MESH), ""),
        (JobInputs("a", PICTURE, views=VIEWS), ""),
        (JobInputs("a", views=VIEWS), "a chair"),
        (JobInputs("a", views=VIEWS[:3]), ""),
        (JobInputs("a", views=(*VIEWS, PICTURE)), ""),
    ],
)
def test_inputs_that_do_not_go_together(inputs: JobInputs, prompt: str) -> None:
    with pytest.raises(ParamsInvalid):
        submit_of(inputs, prompt=prompt)


@pytest.mark.parametrize(
    "wrong",
    [{"faces": 99}, {"faces": 1_000_001}, {"texture_size": 1000}, {"bundle_seed": -1}, {"prompt": "x" * 4097}],
)
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamsInvalid):
        make_params("draft", 0, **wrong)


def test_settings_arrive() -> None:
    params = make_params("fast", 3, "a chair", 5000, 2048, 9, write_prompt=True, redraw=False)
    assert params == GenerateParams(
        "fast", 3, prompt="a chair", faces=5000, texture_size=2048, bundle_seed=9, write_prompt=True, redraw=False
    )


def test_mesh_travels_y_up_and_comes_back_as_it_was() -> None:
    submit, blobs = submit_of(JobInputs("a", mesh=MESH))
    assert submit.mesh is not None
    sent = np.frombuffer(blobs[submit.mesh.positions.blob], "<f4").reshape(-1, 3)
    assert sent.tolist() == [[x, z, -y] for x, y, z in CORNERS.tolist()]
    back = read_mesh(submit.mesh, blobs, 1.0).positions
    assert np.allclose(back - back[0], CORNERS - CORNERS[0]), "the importer turns it back"


def test_mesh_without_faces() -> None:
    with pytest.raises(MeshEmpty, match="corner"):
        submit_of(JobInputs("a", mesh=CapturedMesh("corner", CORNERS, FACES[:0])))


def signed_volume(positions: np.ndarray, triangles: np.ndarray) -> float:
    return float(np.linalg.det(positions[triangles].astype(np.float64)).sum() / 6)


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 1, 1), (-1, 1, 1), (-1, -2, 1), (-1, -1, -1)])
def test_surfaces_face_outwards_whatever_the_scale(scale: tuple[int, int, int]) -> None:
    positions, triangles, _ = transformed(CORNERS, FACES, np.diag(np.array(scale, np.float64)))
    assert np.allclose(positions, CORNERS * scale)
    assert np.isclose(signed_volume(positions, triangles), 8 / 6 * abs(np.prod(scale)))


def test_colours_of_corners_become_those_of_vertices() -> None:
    of_corners = np.array([[1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 2, 1]], np.float32)
    colours = vertex_colours(of_corners, np.array([0, 0, 2], np.int32), 3)
    assert colours.tolist() == [[128, 0, 0, 255], [0, 0, 0, 0], [0, 255, 255, 255]]
