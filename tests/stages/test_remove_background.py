"""Cut-outs against known masks: transparency, plain and shaded backgrounds, busy ones, openings, several objects."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from tests.stages.context import Record, stage_context

from kiss3d_backend.pipeline.types import OBJECT_SHARE, Picture
from kiss3d_backend.stages.remove_background import RemoveBackground
from kiss3d_protocol.errors import JobCancelled, PictureWithoutObject

SIDE = 360
ORANGE = (230, 120, 30)


def cut(rgb_or_rgba: np.ndarray) -> tuple[np.ndarray, Record]:
    if rgb_or_rgba.shape[2] == 3:
        rgb_or_rgba = np.dstack([rgb_or_rgba, np.full(rgb_or_rgba.shape[:2], 255, dtype=np.uint8)])
    context, record = stage_context()
    return RemoveBackground().run(Picture(rgb_or_rgba), context).rgba, record


def drawn(draw: object, background: np.ndarray | tuple[int, int, int], colour: tuple[int, int, int]) -> np.ndarray:
    """(SIDE, SIDE, 3): a shape in one colour over a background, antialiased."""
    mask = Image.new("L", (SIDE * 4, SIDE * 4))
    draw(ImageDraw.Draw(mask))
    alpha = np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)[..., None] / 255
    mixed = np.asarray(background, dtype=np.float64) * (1 - alpha) + np.asarray(colour) * alpha
    return np.clip(np.broadcast_to(mixed, (SIDE, SIDE, 3)) + 0.5, 0, 255).astype(np.uint8)


def ellipse(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((300, 420, 1140, 1020), fill=255)


def ideal_ellipse(side: int) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] + 0.5
    half = OBJECT_SHARE * side / 2
    return np.hypot((x - side / 2) / half, (y - side / 2) / (half * 600 / 840)) < 1


def agreement(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def gradient() -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    return np.stack([120 + 90 * y, 140 + 60 * x, 190 - 50 * y * x], axis=2)


def shadowed() -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    shade = np.exp(-(((x - 190) / 110) ** 2) - ((y - 262) / 22) ** 2)
    return (245 * (1 - 0.35 * shade))[..., None] * np.ones(3)


BACKGROUNDS = {
    "white": drawn(ellipse, (255, 255, 255), ORANGE),
    "coloured": drawn(ellipse, (40, 90, 160), ORANGE),
    "black": drawn(ellipse, (0, 0, 0), ORANGE),
    "studio gradient": drawn(ellipse, gradient(), ORANGE),
    "soft shadow": drawn(ellipse, shadowed(), ORANGE),
    "JPEG noise": jpeg(drawn(ellipse, (250, 250, 250), ORANGE), 40),
    "sensor noise": np.clip(
        drawn(ellipse, (225, 225, 230), ORANGE) + np.random.default_rng(0).normal(0, 3, (SIDE, SIDE, 3)), 0, 255
    ).astype(np.uint8),
    "grey object on white": drawn(ellipse, (252, 252, 252), (170, 170, 172)),
}


@pytest.mark.parametrize("name", list(BACKGROUNDS))
def test_plain_backgrounds(name: str) -> None:
    rgba, record = cut(BACKGROUNDS[name])
    assert rgba.shape[0] == rgba.shape[1]
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.98
    assert record.warning_codes() == []


@pytest.mark.parametrize("name", ["white", "coloured", "black", "studio gradient", "JPEG noise"])
def test_nothing_of_the_background_is_left_in_the_colours(name: str) -> None:
    rgba, _ = cut(BACKGROUNDS[name])
    seen = rgba[..., 3] > 0
    tolerance = 45 if name == "JPEG noise" else 12
    assert np.abs(rgba[seen][:, :3].astype(int) - ORANGE).max() <= tolerance


def test_the_matte_is_soft_to_a_part_of_a_pixel() -> None:
    rgba, _ = cut(BACKGROUNDS["white"])
    half = OBJECT_SHARE * len(rgba) / 2
    expected = np.pi * half * half * 600 / 840
    assert rgba[..., 3].astype(float).sum() / 255 == pytest.approx(expected, rel=0.005)


def test_transparency_is_taken_as_it_is() -> None:
    alpha = np.asarray(
        Image.fromarray(drawn(ellipse, (0, 0, 0), (255, 255, 255))).convert("L").filter(ImageFilter.GaussianBlur(1))
    )
    # The colours of transparent pixels are green: none of it may come through.
    rgb = np.where(alpha[..., None] > 240, ORANGE, (0, 255, 0)).astype(np.uint8)
    rgba, record = cut(np.dstack([rgb, alpha]))
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.98
    assert np.abs(rgba[rgba[..., 3] > 0][:, :3].astype(int) - ORANGE).max() <= 16
    assert record.warning_codes() == []


def test_rounded_corners_are_no_cutout() -> None:
    picture = np.dstack([BACKGROUNDS["white"], np.full((SIDE, SIDE), 255, dtype=np.uint8)])
    corner = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(corner).rounded_rectangle((0, 0, SIDE - 1, SIDE - 1), 60, fill=255)
    picture[..., 3] = np.asarray(corner)
    rgba, _ = cut(picture)
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.98


def test_an_object_cut_off_by_the_border() -> None:
    rgba, record = cut(drawn(lambda d: d.ellipse((300, 700, 1140, 2400), fill=255), (240, 240, 240), ORANGE))
    assert record.warning_codes() == []
    matte = rgba[..., 3] > 127
    rows = np.flatnonzero(matte.any(axis=1))
    assert matte[rows[-1] - 2].sum() > 0.7 * len(rgba)


def test_the_opening_of_a_handle_is_open() -> None:
    def mug(draw: ImageDraw.ImageDraw) -> None:
        draw.ellipse((760, 520, 1240, 1000), fill=255)
        draw.ellipse((860, 620, 1140, 900), fill=0)
        draw.rectangle((300, 400, 960, 1120), fill=255)

    rgba, _ = cut(jpeg(drawn(mug, (250, 250, 250), ORANGE), 85))
    matte = rgba[..., 3] > 127
    middle = matte[len(matte) // 2]
    assert (np.diff(middle.astype(int)) != 0).sum() == 4


def test_white_eyes_on_white_are_no_openings() -> None:
    picture = Image.fromarray(drawn(ellipse, (255, 255, 255), ORANGE))
    draw = ImageDraw.Draw(picture)
    for x in (150, 190):
        draw.ellipse((x, 150, x + 24, 180), fill="white")
        draw.ellipse((x + 8, 160, x + 16, 170), fill="black")
    rgba, _ = cut(np.asarray(picture))
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.98


def test_a_line_drawing_is_filled() -> None:
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(picture).ellipse((75, 105, 285, 255), outline="black", width=4)
    rgba, _ = cut(np.asarray(picture))
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.95


def test_a_busy_background_is_guessed_with_a_warning() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (30, 30, 3)).astype(np.uint8)
    background = np.asarray(Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    rgba, record = cut(drawn(ellipse, background, (250, 240, 60)))
    assert record.warning_codes() == ["picture.busy_background"]
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.9


def test_the_largest_of_several_objects_is_kept_with_a_warning() -> None:
    def two(draw: ImageDraw.ImageDraw) -> None:
        draw.ellipse((100, 100, 800, 600), fill=255)
        draw.rectangle((900, 1000, 1300, 1300), fill=255)

    rgba, record = cut(drawn(two, (255, 255, 255), ORANGE))
    assert record.warning_codes() == ["picture.several_objects"]
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.95


def test_dust_is_left_out_in_silence() -> None:
    picture = BACKGROUNDS["white"].copy()
    picture[20:23, 30:33] = 0
    rgba, record = cut(picture)
    assert record.warning_codes() == []
    assert agreement(rgba[..., 3] > 127, ideal_ellipse(len(rgba))) > 0.98


@pytest.mark.parametrize("shade", [255, 128, 0])
def test_a_picture_of_nothing(shade: int) -> None:
    with pytest.raises(PictureWithoutObject):
        cut(np.full((SIDE, SIDE, 3), shade, dtype=np.uint8))


def test_cancel_is_noticed() -> None:
    context, _ = stage_context(cancelled=True)
    with pytest.raises(JobCancelled):
        RemoveBackground().run(
            Picture(np.dstack([BACKGROUNDS["white"], np.full((SIDE, SIDE), 255, dtype=np.uint8)])), context
        )
