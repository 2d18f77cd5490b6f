"""The matting network, and the background removal that uses it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.fakes.tiny.birefnet import APART, FILE, STEEPNESS, write_birefnet
from tests.stages.context import stage_context

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.birefnet import load_birefnet
from kiss3d_backend.networks.birefnet.matting import prepared
from kiss3d_backend.pipeline.types import OBJECT_SHARE, Picture
from kiss3d_backend.stages.remove_background import RemoveBackground
from kiss3d_protocol.errors import (
    JobCancelled,
    ModelFileCorrupt,
    ModelFileMissing,
    ModelKeysWrong,
    PictureWithoutObject,
)

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _files(folder: Path) -> EntryFiles:
    return EntryFiles("birefnet", {FILE: folder / FILE})


def _never() -> None: ...


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> EntryFiles:
    folder = tmp_path_factory.mktemp("birefnet")
    write_birefnet(folder)
    return _files(folder)


def _busy_picture(height: int = 600, width: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 4) and the mask of an ellipse in one colour; grey stripes that the tiny network does not mind."""
    rows, columns = np.mgrid[0:height, 0:width]
    mask = ((rows - 250) / 150) ** 2 + ((columns - 420) / 300) ** 2 < 1
    grey = 128 + 6 * ((columns // 40) % 2)
    picture = np.dstack([grey, grey, grey, np.full_like(grey, 255)]).astype(np.uint8)
    picture[mask, :3] = (200, 60, 30)
    return picture, mask


def test_input_is_normalised_as_for_imagenet() -> None:
    picture = np.zeros((2, 4, 3), dtype=np.uint8)
    picture[:, 2:] = (255, 128, 0)
    given = prepared(picture)
    assert given.shape == (1, 3, 1024, 1024) and given.dtype == np.float32
    np.testing.assert_allclose(given[0, :, 512, 0], -MEAN / STD, rtol=1e-6)
    np.testing.assert_allclose(given[0, :, 512, -1], (np.array([1, 128 / 255, 0]) - MEAN) / STD, rtol=1e-5)


@pytest.mark.parametrize("half_ends", [False, True])
def test_the_matte_is_the_sigmoid_of_the_logits(tmp_path: Path, half_ends: bool) -> None:
    write_birefnet(tmp_path, half_ends=half_ends)
    network = load_birefnet(_files(tmp_path))
    assert network.provider == "CPUExecutionProvider"
    difference = 5  # of 255, in each channel: near the middle of the sigmoid
    picture = np.full((1024, 1024, 3), 100, dtype=np.uint8)
    picture[400:600, 300:700] += difference
    matte = network.matte(picture, _never)
    logit = STEEPNESS * ((difference / 255 / STD).sum() - APART)
    assert matte.shape == (1024, 1024) and matte.dtype == np.uint8
    assert abs(int(matte[500, 500]) - 255 / (1 + np.exp(-logit))) < 6, "float16 has three digits"
    assert matte[0, 0] == round(255 / (1 + np.exp(STEEPNESS * APART)))


def test_the_matte_has_the_size_of_the_picture(files: EntryFiles) -> None:
    picture, mask = _busy_picture()
    matte = load_birefnet(files, "cuda:0").matte(picture[..., :3], _never)
    assert matte.shape == mask.shape
    assert ((matte > 127) != mask).mean() < 0.003


def test_background_removal_uses_the_network(files: EntryFiles) -> None:
    picture, _ = _busy_picture()
    context, record = stage_context()
    rgba = RemoveBackground(lambda: load_birefnet(files)).run(Picture(picture), context).rgba
    side = rgba.shape[0]
    rows, columns = np.nonzero(rgba[..., 3] > 127)
    assert abs(np.ptp(columns) + 1 - OBJECT_SHARE * side) < 4
    assert abs(np.ptp(rows) + 1 - OBJECT_SHARE * side / 2) < 4
    assert abs(rgba[..., :3][rgba[..., 3] > 0].astype(int) - (200, 60, 30)).max() < 12, "nothing grey is left"
    assert record.warning_codes() == [], "nothing had to be guessed"


def test_transparency_of_the_picture_comes_first(files: EntryFiles) -> None:
    picture, mask = _busy_picture()
    picture[..., 3] = np.where(np.roll(mask, 200, axis=0), 255, 0)

    def fail() -> None:
        raise AssertionError("the network was asked")

    context, _ = stage_context()
    assert RemoveBackground(fail).run(Picture(picture), context).rgba[..., 3].max() == 255


def test_an_empty_picture_has_no_object(files: EntryFiles) -> None:
    context, _ = stage_context()
    with pytest.raises(PictureWithoutObject):
        RemoveBackground(lambda: load_birefnet(files)).run(Picture(np.full((300, 300, 4), 255, np.uint8)), context)


def test_a_cancel_stops_the_network(tmp_path: Path) -> None:
    write_birefnet(tmp_path, extra_layers=40)
    network = load_birefnet(_files(tmp_path))
    cancelled = threading.Event()
    timer = threading.Timer(0.5, cancelled.set)

    def check() -> None:
        if cancelled.is_set():
            raise JobCancelled("The job was cancelled.")

    timer.start()
    started = time.monotonic()
    with pytest.raises(JobCancelled):
        network.matte(np.zeros((64, 64, 3), dtype=np.uint8), check)
    assert time.monotonic() - started < 3.0


def test_a_wrong_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFileMissing):
        load_birefnet(EntryFiles("birefnet", {}))
    path = tmp_path / FILE
    path.parent.mkdir()
    for content in (b"", b"<html>404</html>", write_birefnet(tmp_path / "whole").read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(ModelFileCorrupt, match="model_fp16"):
            load_birefnet(_files(tmp_path))


@pytest.mark.parametrize(
    ("kind", "shape"), [(TensorProto.FLOAT, [1, 4, 8, 8]), (TensorProto.INT64, [1, 3, 1024, 1024])]
)
def test_another_network_says_so(tmp_path: Path, kind: int, shape: list[int]) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        "other",
        [helper.make_tensor_value_info("a", kind, shape)],
        [helper.make_tensor_value_info("b", kind, shape)],
    )
    (tmp_path / FILE).parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / FILE)
    with pytest.raises(ModelKeysWrong, match="does not make a matte"):
        load_birefnet(_files(tmp_path))
