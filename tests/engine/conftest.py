from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.mesh.raster.back_ends import oracle, rasterizer

__all__ = ["oracle", "rasterizer"]
