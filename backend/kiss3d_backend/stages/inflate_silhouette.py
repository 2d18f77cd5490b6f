"""The cut-out's silhouette to a closed mesh."""

from __future__ import annotations

import math

import numpy as np

from kiss3d_backend.mesh.inflate import Body, inflate
from kiss3d_backend.mesh.relax import relax
from kiss3d_backend.mesh.silhouette import SilhouetteGrid, silhouette_grid
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Mesh

_PROBE_CELLS = 48
_FEWEST_CELLS, _MOST_CELLS = 24, 320
_RELAX_ROUNDS = 4


class InflateSilhouette(Stage[Cutout, Mesh]):
    """Blows the silhouette up, as thick as it is wide; see :mod:`kiss3d_backend.mesh.inflate`.

    The mesh is in the cut-out's frame: its square has side 1 and is centred at the origin, x to the right, y up, the
    front towards +z. ``faces``: about how many triangles to make.
    """

    def __init__(self, name: str, title: str, *, weight: float, faces: int) -> None:
        self.name = name
        self.title = title
        self.weight = weight
        self._faces = faces

    def run(self, value: Cutout, context: StageContext) -> Mesh:
        steps = _RELAX_ROUNDS + 2
        matte = value.rgba[..., 3].astype(np.float32) / 255.0
        # A body's triangles grow with the square of the cells: a small one tells how many cells to take.
        probe = inflate(silhouette_grid(matte, _PROBE_CELLS))
        wanted = _PROBE_CELLS * math.sqrt(self._faces / len(probe.triangles))
        cells = round(min(max(wanted, _FEWEST_CELLS), _MOST_CELLS))
        context.progress(1, steps)
        grid = silhouette_grid(matte, cells)
        body = inflate(grid)
        context.progress(2, steps)
        positions = relax(body, _RELAX_ROUNDS, lambda done: context.progress(2 + done, steps))
        return _in_frame_of_cutout(Body(positions, body.triangles, body.u), grid, matte.shape[0])


def _in_frame_of_cutout(body: Body, grid: SilhouetteGrid, side: int) -> Mesh:
    x = (grid.left + body.positions[:, 0] * grid.step + 0.5) / side - 0.5
    y = 0.5 - (grid.top + body.positions[:, 1] * grid.step + 0.5) / side
    z = body.positions[:, 2] * (grid.step / side)
    return Mesh(np.stack([x, y, z], axis=1).astype(np.float32), body.triangles)
