"""Decoding in tiles against decoding at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fakes.tiny import flux as tiny
from torch.nn import functional

from kiss3d_backend.networks.flux.autoencoder import encode_picture, load_autoencoder
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.tiles import in_tiles, starts


def code(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(2))


def convolutions(reach: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Doubles the size and then looks ``reach`` pixels far, with zeros outside, as a decoder without norms would."""
    kernel = torch.randn(3, 4, 2 * reach + 1, 2 * reach + 1, generator=torch.Generator().manual_seed(3))
    return lambda code: functional.conv2d(functional.interpolate(code, scale_factor=2), kernel, padding=reach)


@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (33, 57), (12, 12), (5, 7)])
def test_what_looks_no_further_than_the_seams_is_decoded_alike(height: int, width: int) -> None:
    """Where no tile's rim (of 2 pixels) has a share, tiles are exact; at the rims the share is small."""
    latents = code(height, width)
    decode = convolutions(2)
    whole, tiled = decode(latents), in_tiles(decode, latents, made_cell=2, side=12, overlap=4)
    assert tiled.shape == whole.shape
    wrong = ((tiled - whole).abs() > 1e-4 * whole.abs().max()).any(dim=1)[0]
    tops, lefts = starts(height, 12, 4), starts(width, 12, 4)
    rim = torch.zeros_like(wrong)
    for first, last, side in ((tops, height, min(12, height)), (lefts, width, min(12, width))):
        for start in first:
            for place, inside in ((2 * start, start > 0), (2 * (start + side) - 2, start + side < last)):
                if inside and first is tops:
                    rim[place : place + 2] = True
                elif inside:
                    rim[:, place : place + 2] = True
    assert not (wrong & ~rim).any()
    assert wrong.any() == (max(height, width) > 12)
    # A rim's share begins at a quarter of a pixel's step on the way from 0 to 1.
    assert (tiled - whole).abs().mean() < 0.03 * whole.abs().mean()


def test_without_normalisation_at_hand_pointwise_decoders_are_exact_everywhere() -> None:
    latents = code(50, 70)
    decode = convolutions(0)
    torch.testing.assert_close(in_tiles(decode, latents, made_cell=2, side=16, overlap=5), decode(latents))


@pytest.mark.parametrize("length", [1, 95, 96, 97, 128, 176, 177, 256, 1000])
def test_tiles_cover_everything_with_the_overlap_and_no_more_of_them_than_that_takes(length: int) -> None:
    found = starts(length, 96, 16)
    assert found[0] == 0
    assert found[-1] == max(0, length - 96)
    shared = [one + 96 - other for one, other in itertools.pairwise(found)]
    assert all(overlap >= 16 for overlap in shared)
    fewest = 1
    while 96 + (fewest - 1) * (96 - 16) < length:
        fewest += 1
    assert len(found) == fewest


def test_the_autoencoder_in_tiles_is_near_the_whole(tmp_path: Path) -> None:
    """Its norms see other means in a tile: with latents of one kind all over, by little."""
    model = load_autoencoder(open_flux(tiny.write_single_file(tmp_path)).part("vae"), torch.device("cpu"))
    sizes: list[tuple[int, ...]] = []

    def decode(latents: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(latents.shape[2:]))
        return model.decode(latents, return_dict=False)[0]

    latents = code(24, 48)
    with torch.inference_mode():
        whole = decode(latents)
        tiled = in_tiles(decode, latents, made_cell=2, side=20, overlap=8)
    assert set(sizes[1:]) == {(20, 20)}
    assert len(sizes) == 1 + 2 * 4
    error = (tiled - whole).abs()
    assert error.mean() < 0.1 * whole.std()
    # No seam: neighbouring pixels differ as they do in the whole.
    steps = [(picture[..., 1:] - picture[..., :-1]).abs().mean(dim=(0, 1, 2)) for picture in (tiled, whole)]
    assert (steps[0] / steps[1]).max() < 1.5


def test_encoding_in_tiles_is_decoding_the_other_way_round(tmp_path: Path) -> None:
    means = in_tiles(lambda pixels: functional.avg_pool2d(pixels, 2), code(60, 70), cell=2, side=12, overlap=3)
    torch.testing.assert_close(means, functional.avg_pool2d(code(60, 70), 2))
    model = load_autoencoder(open_flux(tiny.write_single_file(tmp_path)).part("vae"), torch.device("cpu"))
    picture = np.random.default_rng(1).integers(0, 256, (2 * 100, 2 * 20, 3), dtype=np.uint8)
    noise = torch.zeros(1, 4, 100, 20)
    with torch.inference_mode():
        whole, tiled = (encode_picture(model, picture, noise, tiled=tiled) for tiled in (False, True))
    assert whole.shape == tiled.shape
    assert not torch.equal(whole, tiled)
    assert (tiled - whole).abs().mean() < 0.1 * whole.std()
