"""What a client may send for a job, and what is refused before anything is stored."""

from __future__ import annotations

import io
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

from kiss3d_backend.intake.mesh import check_mesh, read_mesh_input
from kiss3d_backend.intake.submit import check_submit
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.inputs import store_inputs
from kiss3d_backend.mesh.payload import describe_mesh
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.worker.inputs import read_inputs
from kiss3d_protocol.errors import BundleInvalid, Kiss3DError, MeshEmpty, MeshFileUnreadable, PictureTooSmall
from kiss3d_protocol.messages import Submit, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter, MeshRef

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
UVS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)


def png(width: int, height: int, colour: tuple[int, ...] = (200, 10, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def sent(texture: bytes | None = None, **arrays: Any) -> tuple[MeshRef, list[Any]]:
    """The message of a tetrahedron with some arrays changed."""
    writer = BlobWriter()
    if texture is not None:
        arrays = {"uvs": UVS, **arrays}
    ref = describe_mesh(attrs.evolve(Mesh(CORNERS, FACES), **arrays), writer)
    if texture is not None:
        ref = attrs.evolve(ref, texture=writer.image(texture, "image/png"))
    return ref, writer.blobs


def test_a_mesh_comes_in_with_its_colours_and_its_texture() -> None:
    colours = np.arange(16, dtype=np.uint8).reshape(4, 4)
    mesh = read_mesh_input(*sent(png(40, 32)))
    assert mesh.positions.tolist() == CORNERS.tolist()
    assert mesh.triangles.tolist() == FACES.tolist()
    assert mesh.texture is not None and mesh.texture.pixels.shape == (32, 40, 3)
    assert mesh.texture.pixels[0, 0].tolist() == [200, 10, 30]
    plain = read_mesh_input(*sent(colours=colours))
    assert plain.texture is None and plain.colours is not None and plain.colours.tolist() == colours.tolist()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"positions": np.where(CORNERS == 1, np.nan, CORNERS)}, MeshFileUnreadable, "not finite"),
        ({"positions": np.where(CORNERS == 1, np.inf, CORNERS)}, MeshFileUnreadable, "not finite"),
        ({"positions": CORNERS * 1e9}, MeshFileUnreadable, "beyond"),
        ({"triangles": FACES + 1}, MeshFileUnreadable, "index 4"),
        ({"triangles": FACES[:0]}, MeshEmpty, "no faces"),
        ({"triangles": FACES[:, [0, 0, 1]]}, MeshEmpty, "area"),
        ({"positions": CORNERS * [1, 0, 0]}, MeshEmpty, "area"),
        ({"positions": CORNERS * 0}, MeshEmpty, "area"),
        ({"uvs": UVS * np.float32(np.nan)}, MeshFileUnreadable, "not finite"),
        ({"uvs": UVS, "uv_triangles": FACES + 9}, MeshFileUnreadable, "index 12"),
    ],
)
def test_what_is_wrong_with_a_mesh_is_said(change: dict[str, Any], error: type[Kiss3DError], words: str) -> None:
    with pytest.raises(error, match=words):
        check_mesh(*sent(**change))


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_a_mesh_may_be_of_any_ordinary_size(scale: float) -> None:
    check_mesh(*sent(positions=(CORNERS * scale).astype(np.float32)))


@pytest.mark.parametrize("texture", [b"nothing", png(40, 40)[:60], png(8, 8)])
def test_a_texture_that_is_no_picture_is_refused(texture: bytes) -> None:
    with pytest.raises(MeshFileUnreadable, match="texture"):
        read_mesh_input(*sent(texture))


def submit_of(views: list[bytes], picture: bytes | None = None) -> tuple[Submit, list[Any]]:
    writer = BlobWriter()
    ref = None if picture is None else writer.image(picture, "image/png")
    refs = tuple(writer.image(view, "image/png") for view in views)
    return Submit(new_job_id(), "x", GenerateParams(), ref, refs), writer.blobs


def test_views_are_looked_at_one_by_one() -> None:
    check_submit(*submit_of([png(64, 64)] * 4))
    check_submit(*submit_of([png(2048, 1024)]))
    with pytest.raises(BundleInvalid, match="1024 x 1024"):
        check_submit(*submit_of([png(1024, 1024)]))
    with pytest.raises(PictureTooSmall):
        check_submit(*submit_of([png(64, 64), png(64, 64), png(8, 64), png(64, 64)]))
    with pytest.raises(PictureTooSmall):
        check_submit(*submit_of([], png(8, 8)))


def test_a_worker_reads_back_everything_that_was_sent(tmp_path: Any) -> None:
    writer = BlobWriter()
    picture, views = writer.image(b"picture", "image/png"), (writer.image(b"view", "image/png"),)
    mesh = describe_mesh(Mesh(CORNERS, FACES), writer)
    params = GenerateParams("fast", 9, "views_to_3d", "  a chair ", 500, 2048, 3, True)
    submit = Submit(new_job_id(), "x", params, picture, views, mesh)
    artifacts = Artifacts(tmp_path)
    inputs = read_inputs(params, store_inputs(submit, writer.blobs, artifacts), artifacts)
    assert (inputs.picture, inputs.views, inputs.seed, inputs.prompt) == (b"picture", (b"view",), 9, "a chair")
    assert (inputs.faces, inputs.texture_size, inputs.bundles, inputs.choose) == (500, 2048, 3, True)
    assert inputs.mesh is not None and inputs.mesh.positions.tolist() == CORNERS.tolist()
    nothing = read_inputs(
        GenerateParams(), store_inputs(Submit(new_job_id(), "x", GenerateParams()), [], artifacts), artifacts
    )
    assert (nothing.picture, nothing.mesh, nothing.views) == (b"", None, ())
