"""From pictures to planes, predictions and a mesh, beside the definition. Full size: tests/benchmarks/check_lrm.py."""

from __future__ import annotations

from tests.learned.lrm_compared import compared, random_lrm

from kiss3d_backend.networks.lrm.shape import LrmShape

SMALL = LrmShape(
    image_width=128,
    image_layers=3,
    image_mlp=160,
    patch=16,
    image_positions=5,
    width=192,
    layers=3,
    mlp=200,
    tokens=6,
    channels=12,
    decoder_width=24,
)


def test_all_that_the_model_makes_agrees_with_its_definition() -> None:
    errors = compared(random_lrm(SMALL, 0), side=96, resolution=9)
    assert errors.pop("diagonals") == 0
    assert errors.pop("mesh") < 1e-4
    assert max(errors.values()) < 1e-5, errors
