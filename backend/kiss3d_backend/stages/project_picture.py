"""The cut-out projected on a body: the picture in front, its large colours behind and around the rim."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bleed import enlarge
from kiss3d_backend.mesh.charts import chart_frame, front_and_back_uvs
from kiss3d_backend.mesh.frame import to_unit_box
from kiss3d_backend.mesh.large_colours import colours_behind, large_colours
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.raster.pixels import rasterise
from kiss3d_backend.mesh.resample import resample
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Mesh, Texture

_PICTURE_FROM, _PICTURE_FULL = 0.18, 0.52
_STEPS = 4


class ProjectPicture(Stage[tuple[Cutout, Mesh], Mesh]):
    """Gives a body in the frame of its cut-out a texture of two charts, and puts it in the unit box.

    ``chart_side``: pixels; the texture is twice as wide as high. Where the surface turns away from the picture
    (the normal's z from 0.52 down to 0.18) the picture gives way to large-scale colours taken from well inside
    the object, because there a pixel of the picture would be smeared along the side.
    """

    def __init__(self, name: str, title: str, *, weight: float, chart_side: int) -> None:
        self.name = name
        self.title = title
        self.weight = weight
        self._side = chart_side

    def run(self, value: tuple[Cutout, Mesh], context: StageContext) -> Mesh:
        cutout, mesh = value
        frame = chart_frame(mesh.positions)
        uvs, uv_triangles, front = front_and_back_uvs(mesh.positions, mesh.triangles, frame)
        facing = _facing(uvs, uv_triangles, mesh, front, self._side // 2)
        context.progress(1, _STEPS)

        # The centres of the chart's pixels, in pixels of the cut-out.
        size = cutout.rgba.shape[0]
        along = ((np.arange(self._side) + 0.5) / self._side - 0.5) * frame.side
        columns = (along + frame.x + 0.5) * size - 0.5
        rows = (along - frame.y + 0.5) * size - 0.5
        seen = resample(cutout.rgba.astype(np.float32) / 255.0, rows, columns)
        picture, matte = np.clip(seen[..., :3], 0.0, 1.0), np.clip(seen[..., 3], 0.0, 1.0)
        context.progress(2, _STEPS)

        large = large_colours(picture, matte)
        behind = colours_behind(large, matte)
        context.progress(3, _STEPS)
        around = enlarge(large, self._side)
        share = np.clip((facing - _PICTURE_FROM) / (_PICTURE_FULL - _PICTURE_FROM), 0.0, 1.0)
        share = (share * share * (3.0 - 2.0 * share))[..., None]
        charts = np.concatenate([around + (picture - around) * share, enlarge(behind, self._side)[:, ::-1]], axis=1)
        texture = Texture((np.clip(charts, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
        context.preview(texture)
        return attrs.evolve(
            mesh,
            positions=to_unit_box(mesh.positions),
            uvs=uvs,
            uv_triangles=uv_triangles,
            texture=texture,
        )


def _facing(
    uvs: NDArray[np.float32],
    uv_triangles: NDArray[np.int32],
    mesh: Mesh,
    front: NDArray[np.bool_],
    side: int,
) -> NDArray[np.float32]:
    """How much the surface faces the picture (the normal's z) at each pixel of the front chart, (2 side, 2 side)."""
    towards = vertex_normals(mesh.positions, mesh.triangles)[:, 2]
    points = np.stack([uvs[:, 0] * 2 * side, (1.0 - uvs[:, 1]) * side, np.zeros(len(uvs))], axis=1)
    points = points.astype(np.float64)
    raster = rasterise(points, uv_triangles[front], side, side)
    values = towards[mesh.triangles[front]]
    facing = np.einsum("ijk,ijk->ij", values[raster.triangle], raster.weights)
    return np.clip(enlarge(facing[..., None].astype(np.float32), 2 * side)[..., 0], 0.0, 1.0)
