"""What the adapter calls of pytorch3d, by the published signatures and conventions, over the NumPy oracle."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tests.mesh.raster.scenes import all_hits


class Meshes:
    def __init__(self, verts: list[torch.Tensor], faces: list[torch.Tensor]) -> None:
        assert all(face.dtype == torch.int64 for face in faces)
        self.verts, self.faces = verts, faces


def rasterize_meshes(
    meshes: Meshes,
    image_size: tuple[int, int],
    blur_radius: float = 0.0,
    faces_per_pixel: int = 8,
    perspective_correct: bool = False,
) -> tuple[torch.Tensor, ...]:
    """x to the left and y up, the shorter side from -1 to 1; the index of a face counts those of earlier meshes."""
    assert blur_radius == 0.0
    assert faces_per_pixel == 1
    assert not perspective_correct
    height, width = image_size
    found, first = [], 0
    for verts, faces in zip(meshes.verts, meshes.faces, strict=True):
        x, y, z = verts.double().numpy().T
        shorter = min(image_size)
        # Into the oracle's clip space, with depths from 1 to 3 squeezed into its range.
        clip = np.stack([-x * shorter / width, y * shorter / height, (z - 2) * 0.9, np.ones_like(z)], axis=1)
        hits = all_hits(clip.astype(np.float32), faces.numpy(), image_size)
        nearest = hits.depth.argmin(axis=0) + first
        nearest[np.isinf(hits.depth.min(axis=0))] = -1
        found.append(nearest)
        first += len(faces)
    index = torch.from_numpy(np.stack(found))[..., None]
    return index, index.float(), index[..., None].float(), index.float()


def not_compiled(*_: Any, **__: Any) -> tuple[torch.Tensor, ...]:
    raise RuntimeError("Not compiled with GPU support.")


def install(monkeypatch: pytest.MonkeyPatch, draw: Any = rasterize_meshes) -> None:
    """As if a pytorch3d were installed, until the test ends."""
    names = ["pytorch3d", "pytorch3d.structures", "pytorch3d.renderer", "pytorch3d.renderer.mesh"]
    names.append("pytorch3d.renderer.mesh.rasterize_meshes")
    for name in names:
        module = ModuleType(name)
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys.modules["pytorch3d.structures"], "Meshes", Meshes, raising=False)
    monkeypatch.setattr(sys.modules[names[-1]], "rasterize_meshes", draw, raising=False)
