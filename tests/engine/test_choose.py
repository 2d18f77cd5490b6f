"""Which back end is taken, and what is said about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.mesh.raster import fake_pytorch3d
from tests.mesh.raster.scenes import ball

torch = pytest.importorskip("torch")

from kiss3d_backend.mesh.raster import choose as choosing  # noqa: E402
from kiss3d_backend.mesh.raster.report import ask  # noqa: E402
from kiss3d_backend.mesh.raster.torch_api import Choice, NoRasterizer, choose  # noqa: E402
from kiss3d_backend.mesh.raster.torch_numba import NumbaBackEnd  # noqa: E402
from kiss3d_backend.mesh.raster.torch_oracle import TorchBackEnd  # noqa: E402

ADAPTER = "kiss3d_backend.mesh.raster.torch_pytorch3d"


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    choosing._choose.cache_clear()
    yield
    choosing._choose.cache_clear()
    sys.modules.pop(ADAPTER, None)


def test_the_cpu_has_numba() -> None:
    choice = choose("cpu").choice
    assert choice == Choice("numba", "cpu", "it is the fastest on cpu, and its test picture is right")


def test_a_choice_is_made_once() -> None:
    assert choose("cpu") is choose(torch.device("cpu"))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="numba, warp, pytorch3d, torch"):
        choose("cpu", "opengl")


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "warp", None)
    for module in ("torch_warp", "warp_kernels"):
        monkeypatch.delitem(sys.modules, f"kiss3d_backend.mesh.raster.{module}", raising=False)
    choice = choose("cpu", "warp").choice
    assert choice.back_end == "numba"
    assert "warp is not installed" in choice.reason


class Mirrored(NumbaBackEnd):
    def rasterize(self, clip: Any, triangles: Any, size: tuple[int, int]) -> Any:
        return super().rasterize(clip * torch.tensor([-1.0, 1.0, 1.0, 1.0]), triangles, size)


class Orthographic(NumbaBackEnd):
    def interpolate(self, attributes: Any, fragments: Any, clip: Any, triangles: Any) -> Any:
        return super().interpolate(attributes, fragments, clip, triangles) * 1.01


class WithoutGradient(NumbaBackEnd):
    def antialias(self, image: Any, fragments: Any, clip: Any, triangles: Any, adjacency: Any) -> Any:
        return image * 0.0


class Broken(NumbaBackEnd):
    def rasterize(self, clip: Any, triangles: Any, size: tuple[int, int]) -> Any:
        raise OSError("driver\n version is insufficient")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Mirrored, "covers other pixels"),
        (Orthographic, "interpolates wrongly"),
        (WithoutGradient, "gradients are missing"),
        (Broken, "OSError: driver version is insufficient"),
    ],
)
def test_a_back_end_that_draws_something_else_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, made: type[NumbaBackEnd], text: str
) -> None:
    monkeypatch.setattr("kiss3d_backend.mesh.raster.torch_numba.NumbaBackEnd", made)
    choice = choose("cpu").choice
    assert choice.back_end == "torch"
    assert choice.reason.startswith("it works on cpu, and its test picture is right; numba failed its test")
    assert text in choice.reason


def test_nothing_that_works_is_an_error_that_names_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "failure", lambda back_end, device: "failed its test")
    with pytest.raises(NoRasterizer, match="numba failed its test; torch failed its test"):
        choose("cpu")


def test_pytorch3d_is_never_taken_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pytorch3d.install(monkeypatch)
    assert choose("cpu").choice.back_end == "numba"
    assert ADAPTER not in sys.modules


def test_pytorch3d_draws_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pytorch3d.install(monkeypatch)
    rasterizer = choose("cpu", "pytorch3d")
    assert rasterizer.choice == Choice("pytorch3d", "cpu", "it was asked for, and its test picture is right")
    scene = ball(8, 12)
    clip = torch.from_numpy(scene.clip)
    clip[1, 0] = torch.tensor([0.0, 0.0, 0.0, -1.0])
    triangles = torch.from_numpy(scene.triangles)
    for size in ((24, 32), (32, 24)):
        found, known = (one.rasterize(clip, triangles, size) for one in (rasterizer, choose("cpu", "torch")))
        assert torch.equal(found.triangle[0], known.triangle[0])
        torch.testing.assert_close(found.barycentric[0], known.barycentric[0])
        torch.testing.assert_close(found.depth[0], known.depth[0])
        assert not np.isin(np.flatnonzero((scene.triangles == 0).any(axis=1)), found.triangle[1].numpy()).any()


def test_pytorch3d_without_a_gpu_is_named_and_worked_around(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pytorch3d.install(monkeypatch, fake_pytorch3d.not_compiled)
    choice = choose("cpu", "pytorch3d").choice
    assert choice.back_end == "numba"
    assert "pytorch3d failed its test (RuntimeError: Not compiled with GPU support.)" in choice.reason


def test_other_devices_have_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[type] = []
    monkeypatch.setattr(choosing, "failure", lambda back_end, device: tried.append(type(back_end)))
    assert choose("mps").choice == Choice("torch", "mps", "it is the fastest on mps, and its test picture is right")
    assert tried == [TorchBackEnd]


def test_the_report_asks_in_another_process() -> None:
    answer = ask()
    assert {"back_end", "device", "reason"} == set(answer[0])
    assert (answer[0]["back_end"], answer[0]["device"]) == ("numba", "cpu")
