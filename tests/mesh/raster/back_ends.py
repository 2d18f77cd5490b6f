"""The back ends that can be tried on this machine."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("torch")

from kiss3d_backend.mesh.raster.torch_api import BACK_ENDS, Rasterizer, choose

CPU = [name for name in ("numba", "warp", "torch") if BACK_ENDS[name][2] is None or find_spec(BACK_ENDS[name][2] or "")]


@pytest.fixture(params=CPU)
def rasterizer(request: pytest.FixtureRequest) -> Rasterizer:
    made = choose("cpu", request.param)
    assert made.choice.back_end == request.param, made.choice.reason
    return made


@pytest.fixture
def oracle() -> Rasterizer:
    return choose("cpu", "torch")
