"""The extension in real Blenders against a backend that plays scripts; the checks are in checks/scripted.py."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import attrs
import numpy as np
import pytest
from PIL import Image
from tests.blender.drawn_alike import likeness
from tests.blender.rigs.bpy_env import BpyEnv, BpyRun
from tests.fakes.meshes import FakeMesh, lopsided, sphere
from tests.fakes.scripted_backend import Never, ScriptedBackend, ScriptedJob, Step, Until, coarse_then_final

from kiss3d_backend.mesh.payload import read_mesh
from kiss3d_backend.mesh.types import Texture

FOLDER = Path(__file__).parent / "checks"
SCRIPT = FOLDER / "scripted.py"
CHECKS = [
    node.name
    for path in (
        SCRIPT,
        *(
            FOLDER / f"{name}.py"
            for name in ("scene_inputs", "scene_results", "job_list", "layout", "local_setup", "commands")
        ),
    )
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]
PICTURES = (
    *("plain", "colours", "warned", "held", "go", "go_later", "forever", "fails", "choosing"),
    *("index_out_of_range", "not_finite", "degenerate"),
    *("bumpy", "bumpy_fails", "bumpy_then_flat"),
    *("front", "left", "back", "right", "bundle"),
    "lopsided",
)
VIEWS = ("front", "left", "back", "right")


@dataclass(frozen=True)
class ScriptedRun:
    run: BpyRun
    backend: ScriptedBackend
    folder: Path

    def picture(self, name: str) -> Image.Image:
        """The newest picture that came for jobs of this name."""
        data = [job.picture for job in self.backend.submits if job.submit.name == name][-1]
        return Image.open(io.BytesIO(data))

    def job(self, name: str) -> ScriptedJob:
        """The newest job of this name."""
        return [job for job in self.backend.submits if job.submit.name == name][-1]

    def array(self, name: str, part: str) -> np.ndarray:
        """An array of the mesh that came with it."""
        job = self.job(name)
        ref = getattr(job.submit.mesh, part)
        return np.frombuffer(job.blobs[ref.blob], ref.dtype).reshape(ref.shape)


@pytest.fixture(scope="session")
def scripted(bpy_env: BpyEnv, extension_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> ScriptedRun:
    """One Blender that went through all checks."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.linspace(0, 255, 48 * 40 * 3).reshape(40, 48, 3).astype(np.uint8)
    for name in PICTURES:
        stamped = pixels.copy()
        stamped[0, 0] = PICTURES.index(name)
        Image.fromarray(stamped if name in VIEWS else pixels).save(folder / f"{name}.png")
    Image.new("RGB", (16, 8), (200, 60, 40)).save(folder / "texture.jpg")
    scripts = {
        "colours": _colours,
        "warned": _warned,
        "held": lambda job: _held(job, backend),
        "forever": _forever,
        "fails": _fails,
        "choosing": _choosing,
        "shown": _shown,
        "index_out_of_range": _index_out_of_range,
        "not_finite": _not_finite,
        "degenerate": _degenerate,
        "bumpy": _bumpy,
        "bumpy_fails": _bumpy_fails,
        "bumpy_then_flat": _bumpy_then_flat,
        "lopsided": _lopsided,
    }
    with ScriptedBackend(scripts, refused_presets={"quality": "There is no GPU."}) as backend:
        run = bpy_env.run(SCRIPT, extension_zip, backend.address, folder, timeout=300)
    return ScriptedRun(run, backend, folder)


@pytest.mark.parametrize("check", CHECKS)
def test_check(scripted: ScriptedRun, check: str) -> None:
    outcome = scripted.run.report.get(check, f"was not reached\n{scripted.run.stdout}\n{scripted.run.stderr}")
    assert outcome == "ok", outcome


def test_blender_ends_normally(scripted: ScriptedRun) -> None:
    scripted.run.check()
    assert scripted.run.left_running == []


def test_images_of_the_file_arrive_as_they_look(scripted: ScriptedRun) -> None:
    plain = scripted.picture("plain")
    assert np.array_equal(scripted.picture("from_file"), plain)
    assert np.array_equal(scripted.picture("from_pack"), plain)
    painted = np.array(scripted.picture("painted").convert("RGB"))
    assert tuple(painted[-1, 0]) == (255, 0, 0), "the first pixel in Blender is the lower left one"
    assert np.array_equal(painted[:-1], np.array(plain)[:-1])
    generated = scripted.picture("generated")
    assert (generated.size, generated.mode) == ((40, 30), "RGBA")
    assert abs(np.array(generated, int)[..., 3] - 128).max() <= 1
    linear = np.array(scripted.picture("linear"), int)
    assert abs(linear[..., 0] - 188).max() <= 1, "linear 0.5 is 188 in sRGB"


def test_prompt_arrives_with_its_settings(scripted: ScriptedRun) -> None:
    job = scripted.job("a brass lamp")
    params = job.submit.params
    assert (params.recipe, params.prompt, params.bundles) == ("text_to_3d", "a brass lamp", 1)
    assert (params.faces, params.texture_size, params.bundle_seed) == (5000, 2048, 9)
    assert (params.write_prompt, params.redraw) == (True, False)
    assert not job.blobs


def test_mesh_arrives_y_up_and_facing_z(scripted: ScriptedRun) -> None:
    params = scripted.job("placed pyramid").submit.params
    assert (params.recipe, params.prompt) == ("mesh_to_3d", "a tent")
    # Scaled by (1, -2, 3), a quarter turn about z takes (x, -2y, 3z) to (2y, x, 3z); that travels as (2y, 3z, -x).
    base = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1))
    expected = [(2 * y, 3 * z, -(x + shift)) for shift in (0, 2) for x, y, z in base]
    positions = scripted.array("placed pyramid", "positions")
    assert np.allclose(positions, expected, atol=1e-5), positions
    triangles = scripted.array("placed pyramid", "triangles")
    assert triangles.shape == (12, 3)
    volume = np.linalg.det(positions[triangles].astype(np.float64)).sum() / 6
    assert np.isclose(volume, 2 * 6 / 3, atol=1e-4), "two pyramids, their surfaces outwards though they are mirrored"
    assert (scripted.array("placed pyramid", "colours") == (255, 128, 0, 255)).all()


def test_texture_of_a_mesh_arrives_with_its_uvs(scripted: ScriptedRun) -> None:
    job = scripted.job("textured pyramid")
    mesh = job.submit.mesh
    assert mesh is not None and mesh.texture is not None and mesh.colours is None
    assert mesh.texture.media_type == "image/png", "JPEG is no type of a mesh's texture"
    texture = Image.open(io.BytesIO(job.blobs[mesh.texture.blob])).convert("RGB")
    assert texture.size == (16, 8) and np.abs(np.array(texture, int) - (200, 60, 40)).max() <= 3
    triangles, uv_triangles = (scripted.array("textured pyramid", part) for part in ("triangles", "uv_triangles"))
    uvs = scripted.array("textured pyramid", "uvs")
    assert np.allclose(uvs.reshape(-1), np.linspace(0, 1, 32)) and len(triangles) == len(uv_triangles) == 6
    vertex_of_corner = np.array((0, 3, 2, 1, 0, 1, 4, 1, 2, 4, 2, 3, 4, 3, 0, 4))
    assert np.array_equal(vertex_of_corner[uv_triangles], triangles)


@pytest.mark.parametrize(("name", "order"), [("front", VIEWS), ("left", ("left", "back", "right", "front"))])
def test_views_arrive_in_their_order(scripted: ScriptedRun, name: str, order: tuple[str, ...]) -> None:
    job = scripted.job(name)
    assert job.submit.params.recipe == "views_to_3d" and len(job.submit.views) == 4
    assert not job.submit.params.prompt
    first_pixels = [
        Image.open(io.BytesIO(job.blobs[view.blob])).convert("RGB").getpixel((0, 0)) for view in job.submit.views
    ]
    assert first_pixels == [(PICTURES.index(view),) * 3 for view in order]


def test_bundles_arrive(scripted: ScriptedRun) -> None:
    bundles = [job for job in scripted.backend.submits if len(job.submit.views) == 1]
    assert len(bundles) == 4 and len({job.picture for job in bundles}) == 1, "a path, bytes, an image, the panel"
    assert all(job.submit.params.recipe == "views_to_3d" for job in bundles)


def test_words_of_the_panel_arrive_with_its_settings(scripted: ScriptedRun) -> None:
    params = scripted.job("a tin robot").submit.params
    assert (params.recipe, params.prompt, params.seed) == ("text_to_3d", "  a tin   robot ", 5)
    assert (params.faces, params.texture_size) == (3000, 2048)


def test_render_and_snapshot_arrive(scripted: ScriptedRun) -> None:
    assert scripted.picture("Scene render").size == (32, 24)
    snapshot = scripted.picture("camera snapshot")
    assert snapshot.mode == "RGBA"
    pixels = np.array(snapshot, int)
    assert (pixels[0, 0] == (255, 255, 255, 0)).all() and (pixels[pixels[..., 3] == 0][:, :3] == 255).all()
    inside = pixels[..., 3] > 240  # Workbench blends its samples in half precision
    rows, columns = np.nonzero(inside)
    # The triangle of a pyramid fills the picture but for its margin, and what stands in front of it is not there.
    assert 0.8 < np.ptp(rows) / len(pixels) < 0.92 and 0.8 < np.ptp(columns) / len(pixels) < 0.92
    assert 0.3 < inside.mean() < 0.45
    red = pixels[inside][:, :3].mean(axis=0)
    assert red[0] > 100 and red[1:].max() < 0.45 * red[0], red


@pytest.mark.parametrize("azimuth", [0, 90])
def test_result_looks_as_the_backend_draws_it(scripted: ScriptedRun, azimuth: int) -> None:
    """Nothing is mirrored, turned or of another size, and the texture lies where it belongs in its own colours."""
    fake = lopsided()
    mesh = read_mesh(*fake.message())
    texture = Texture(np.array(Image.open(io.BytesIO(fake.texture)).convert("RGB")))
    seen = attrs.evolve(mesh, positions=2 * mesh.positions, texture=texture)
    alike = likeness(scripted.folder / f"drawn-{azimuth}.png", seen, azimuth)
    assert alike.iou > 0.98 and alike.mean < 2 and alike.most < 5, alike
    assert alike.mirrored_iou < 0.9 and alike.mirrored_mean > 8, "a mirrored one would be seen"


# -- scripts ------------------------------------------------------------------------------------------------


def _beginning(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 2)
    yield job.progress(0.25)
    yield job.mesh("coarse", sphere(8, 6))


def _end(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("texture", 1, 2)
    yield job.mesh("final", sphere(24, 16))
    yield job.finished()


def _held(job: ScriptedJob, backend: ScriptedBackend) -> Iterator[Step]:
    """Stands still after the coarse mesh until a job named "go" comes."""
    number = backend.submits.index(job)
    yield from _beginning(job)
    yield Until(lambda: any(later.submit.name == "go" for later in backend.submits[number:]))
    yield from _end(job)


def _forever(job: ScriptedJob) -> Iterator[Step]:
    yield from _beginning(job)
    yield job.preview(job.picture, 48, 40)
    yield Never()


def _choosing(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("bundle", 0, 1)
    yield job.preview(job.picture, 48, 40)
    yield job.bundles([job.picture] * 2, 48, 40)
    yield Until(lambda: job.choice is not None)
    yield job.mesh("final", sphere(24, 16))
    yield job.finished()


def _shown(job: ScriptedJob) -> Iterator[Step]:
    """Of words, so that the only picture of it is one that the job shows: a red one."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    yield job.stage("bundle", 0, 1)
    yield job.preview(buffer.getvalue(), 40, 30)
    yield job.mesh("final", sphere(24, 16))
    yield job.finished()


def _fails(job: ScriptedJob) -> Iterator[Step]:
    yield from _beginning(job)
    yield job.failed("job.out_of_memory", "The memory was full.", "Close other programs.")


def _warned(job: ScriptedJob) -> Iterator[Step]:
    yield job.warning("picture.background", "The background is busy.")
    yield from coarse_then_final(job)


def _colours(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("final", replace(sphere(24, 16, nose=False, colours=True), texture=b""))
    yield job.finished()


def _bumped(mesh: FakeMesh) -> FakeMesh:
    """With a normal map whose colour is the same everywhere: 0.25, 0.5, 0.75 as stored."""
    buffer = io.BytesIO()
    Image.new("RGB", (mesh.texture_size, mesh.texture_size), (64, 128, 191)).save(buffer, "PNG")
    return replace(mesh, normal_map=buffer.getvalue())


def _bumpy(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", _bumped(sphere(8, 6)))
    yield job.mesh("final", _bumped(sphere(24, 16)))
    yield job.finished()


def _bumpy_fails(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", _bumped(sphere(8, 6)))
    yield job.failed("job.out_of_memory", "The memory was full.", "Close other programs.")


def _bumpy_then_flat(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", _bumped(sphere(8, 6)))
    yield job.mesh("final", sphere(24, 16))
    yield job.finished()


def _lopsided(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("final", lopsided())
    yield job.finished()


def _index_out_of_range(job: ScriptedJob) -> Iterator[Step]:
    mesh = sphere(24, 16)
    triangles = mesh.triangles.copy()
    triangles[5, 1] = len(mesh.positions)
    yield job.mesh("coarse", sphere(8, 6))
    yield job.mesh("final", replace(mesh, triangles=triangles))
    yield job.finished()


def _not_finite(job: ScriptedJob) -> Iterator[Step]:
    mesh = sphere(24, 16)
    positions = mesh.positions.copy()
    positions[7, 2] = np.nan
    yield job.mesh("final", replace(mesh, positions=positions))
    yield job.finished()


def _degenerate(job: ScriptedJob) -> Iterator[Step]:
    mesh = sphere(24, 16)
    triangles = mesh.triangles.copy()
    triangles[10, 1] = triangles[10, 0]
    triangles[11, 2] = triangles[11, 0]
    triangles[12] = triangles[12, 0]
    yield job.mesh("final", replace(mesh, triangles=triangles))
    yield job.finished()
