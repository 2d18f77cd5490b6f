"""The multiview stage: its input, its output, what it tells on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from tests.fakes.tiny.zero123 import write_flexgen, write_zero123plus
from tests.stages.context import Record, stage_context

from kiss3d_backend.mesh.on_white import on_white
from kiss3d_backend.networks.zero123.parts import Parts, parts_from_files
from kiss3d_backend.networks.zero123.settings import SamplingSettings
from kiss3d_backend.networks.zero123.tiles import BUNDLE_ORDER, TILE_AZIMUTHS, split_tiles
from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.snapshot import freeze, thaw
from kiss3d_backend.pipeline.stage import StageContext
from kiss3d_backend.pipeline.types import Cutout
from kiss3d_backend.stages.multiview import MakeViews
from kiss3d_protocol.errors import JobCancelled

SETTINGS = SamplingSettings(steps=11, side=64)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("tiny")
    repository = write_zero123plus(folder / "zero123plus", picture_side=64, levels=4)
    return parts_from_files(repository, write_flexgen(folder / "flexgen"), torch.device("cpu"), torch.float32)


def cutout() -> Cutout:
    rgba = np.zeros((96, 96, 4), np.uint8)
    rgba[10:86, 20:76] = (200, 90, 30, 255)
    return Cutout(rgba)


def context_with(seed: int, index: int = 3) -> tuple[StageContext, Record]:
    record = Record()
    clock = JobClock([1.0] * (index + 1))
    return StageContext(
        stage="multiview", index=index, seed=seed, sink=record, cancel=threading.Event(), clock=clock
    ), record


def test_one_seed_gives_the_same_views_and_another_does_not(parts: Parts) -> None:
    stage = MakeViews(parts, attrs.evolve(SETTINGS, steps=2))
    views = [stage.run(cutout(), context_with(seed)[0]).colours for seed in (5, 5, 6)]
    assert views[0].shape == (4, 32, 32, 3)
    assert views[0].dtype == np.uint8
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])


def test_tells_every_step_and_shows_a_picture_every_five(parts: Parts) -> None:
    context, record = context_with(1)
    views = MakeViews(parts, SETTINGS).run(cutout(), context)
    assert [event[1:3] for event in record.of("progress")] == [(step, 12) for step in range(1, 12)]
    previews = [image for _, image in record.of("preview")]
    assert [image.shape for image in previews] == [(512, 512, 3), (512, 512, 3), (64, 64, 3)]
    assert np.array_equal(split_tiles(previews[-1])[3], views.colours[0])


class Scripted:
    """An autoencoder whose decoder draws one grey for each quarter: 10, 20 above 30, 40."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        quarters = torch.tensor([[10, 20], [30, 40]]) / 255
        return quarters.repeat_interleave(32, 0).repeat_interleave(32, 1).expand(3, -1, -1)


def test_views_are_in_the_order_of_the_bundle(parts: Parts) -> None:
    """Azimuth 0 is the tile at the lower right; then come the others in reading order."""
    scripted = attrs.evolve(parts, autoencoder=lambda: Scripted(parts.autoencoder()))
    views = MakeViews(scripted, attrs.evolve(SETTINGS, steps=1)).run(cutout(), context_with(1)[0])
    assert views.colours[:, 16, 16, 0].tolist() == [40, 10, 20, 30]
    assert all((tile == tile[0, 0, 0]).all() for tile in views.colours)
    assert [TILE_AZIMUTHS[tile] for tile in BUNDLE_ORDER] == [0.0, 90.0, 180.0, 270.0]


def test_object_stands_on_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 51]]], np.uint8)
    assert on_white(rgba).tolist() == [[[10, 20, 30], [255, 255, 255], [204, 224, 255]]]


def test_cancel_is_noticed_before_the_first_step_ends(parts: Parts) -> None:
    context, record = stage_context()
    stage = MakeViews(parts, SETTINGS)
    seen = 0

    def cancel_soon() -> None:
        nonlocal seen
        seen += 1
        if seen == 12:
            raise JobCancelled("The job was cancelled.")

    context.check_cancelled = cancel_soon  # type: ignore[method-assign]
    with pytest.raises(JobCancelled):
        stage.run(cutout(), context)
    assert record.of("progress") == []


def test_fingerprint_tells_settings_and_weights_apart(parts: Parts) -> None:
    stages = [
        MakeViews(parts),
        MakeViews(parts, SamplingSettings(steps=24)),
        MakeViews(parts, SamplingSettings(guidance=3.0)),
        MakeViews(parts, weights="sha256:1"),
    ]
    assert len({stage.fingerprint() for stage in stages}) == len(stages)
    assert MakeViews(parts).fingerprint() == stages[0].fingerprint()
    assert MakeViews(parts).settings == SamplingSettings(steps=50, guidance=4.0, side=1024)


def test_views_can_be_kept(parts: Parts) -> None:
    views = MakeViews(parts, attrs.evolve(SETTINGS, steps=1)).run(cutout(), context_with(1)[0])
    assert np.array_equal(thaw(freeze(views)).colours, views.colours)


def test_bfloat16_on_the_processor_gives_nearly_the_same_views(tmp_path: Path, parts: Parts) -> None:
    repository = write_zero123plus(tmp_path / "zero123plus", picture_side=64, levels=4)
    coarse = parts_from_files(repository, write_flexgen(tmp_path / "flexgen"), torch.device("cpu"), torch.bfloat16)
    settings = attrs.evolve(SETTINGS, steps=3)
    fine, rough = (
        MakeViews(each, settings).run(cutout(), context_with(1)[0]).colours.astype(float) for each in (parts, coarse)
    )
    difference = np.abs(fine - rough).mean()
    assert 0 < difference < 8


def test_a_picture_that_is_not_two_by_two_tiles_is_refused() -> None:
    for shape in ((6, 8, 3), (7, 7, 3), (8, 8, 4)):
        with pytest.raises(ValueError, match="2 x 2"):
            split_tiles(np.zeros(shape, np.uint8))
