"""A baked texture corrected until pictures of it are the views themselves.

Projection asks for each texel whether a view sees it, within a tolerance. Where a surface is thin, crumpled or seen
flatly, that is another set of texels than a picture shows. Here only the pictures count: each sample of a drawn pixel
names the place of the texture that it shows, so that pixels are linear in the texture, and the sum of their squared
differences from the views is brought down by simultaneous iterative reconstruction (Gilbert, 1972).

The correction lives on nodes of the surface, and differences between neighbouring ones cost a little: on single texels,
those that one view happens to show would stand between those of another, and on a grid of the texture, islands would
have seams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bake.kernels import add_differences, add_unevenness, draw_samples
from kiss3d_backend.mesh.bake.surface_grid import SurfaceGrid
from kiss3d_backend.mesh.bake.texels import Texels
from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.surface.view import ColourView
from kiss3d_backend.mesh.types import Mesh

_ROUNDS = 10
_RELAXATION = 1.5
"""A step beside that of the plain mean of the differences; below 2 it cannot diverge."""

_FINER = 3
"""Samples of a pixel along each side."""

_NODES = 12.0
"""Nodes for each pixel that shows the object. Triangles differ in size, so that large ones have fewer than that."""

_MOST_NODES = 1_500_000

_EVEN = 0.005
"""The weight of a difference between the corrections of neighbouring nodes, beside a pixel's."""

_OUTLINE = 0.5
"""How much of a difference in coverage the colours of an outline's pixels make up for, from 0 to 1."""

_LEAST_SHARE = 0.5
_AT_ONCE = 1 << 17


def correct(
    pixels: NDArray[np.float32],
    mesh: Mesh,
    views: Sequence[ColourView],
    texels: Texels,
    *,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Corrects ``pixels`` (side, side, 3), sRGB in [0, 1], in place.

    ``mesh``: with the ``uvs`` that ``texels`` are of. ``check`` is called often; what it raises comes out of here.
    """
    shown = sum(int(view.mask.sum()) for view in views)
    grid = SurfaceGrid.of(mesh.triangles, len(mesh.positions), min(round(_NODES * shown), _MOST_NODES))
    drawn: list[_Drawn] = []
    for view in views:
        check()
        drawn.append(_Drawn.of(mesh, view, pixels, grid, check))
    cells = grid.cells()
    check()
    correction = np.zeros((grid.count, 3), dtype=np.float32)
    for _ in range(_ROUNDS):
        moves = np.zeros((grid.count, 4), dtype=np.float32)
        for each in drawn:
            check()
            each.add_to(moves, correction)
        add_unevenness(correction, cells, _EVEN, moves)
        correction += _RELAXATION * moves[:, :3] / np.maximum(moves[:, 3:], 1e-6)
    flat = pixels.reshape(-1, 3)
    for begin in range(0, len(texels.pixel), _AT_ONCE):
        check()
        part = slice(begin, begin + _AT_ONCE)
        nodes, shares = grid.at(texels.triangle[part], texels.barycentric[part])
        moved = flat[texels.pixel[part]] + np.einsum("ij,ijk->ik", shares, correction[nodes])
        flat[texels.pixel[part]] = np.clip(moved, 0.0, 1.0)


@attrs.frozen(eq=False)
class _Drawn:
    """A view's picture as samples of the surface, and what is left to correct.

    Of the S samples: ``pixel`` (S,) int32, row x width + column; ``nodes`` and ``shares`` (S, 3), of the grid. Of the P
    pixels: ``wanted`` (P, 3), what the mean of their samples lacks; ``weights`` (P,), how much each counts; ``counts``
    (P,), of their samples, at least 1.
    """

    pixel: NDArray[np.int32]
    nodes: NDArray[np.int32]
    shares: NDArray[np.float32]
    wanted: NDArray[np.float32]
    weights: NDArray[np.float32]
    counts: NDArray[np.float32]

    @classmethod
    def of(
        cls, mesh: Mesh, view: ColourView, pixels: NDArray[np.float32], grid: SurfaceGrid, check: Callable[[], None]
    ) -> _Drawn:
        height, width = view.mask.shape
        pixel, triangle, barycentric = _sampled(mesh, view)
        nodes, shares = grid.at(triangle, barycentric)
        sums = np.zeros((height * width, 3))
        for begin in range(0, len(pixel), _AT_ONCE):
            check()
            part = slice(begin, begin + _AT_ONCE)
            colours = sample_texture(pixels, _uv(mesh, triangle[part], barycentric[part]))
            for channel in range(3):
                sums[:, channel] += np.bincount(pixel[part], colours[:, channel], height * width)
        check()
        counts = np.bincount(pixel, minlength=height * width)
        drawn = sums / np.maximum(counts, 1)[:, None]
        ours, theirs = counts / _FINER**2, view.covered.ravel()
        wanted = _without_white(view.image.reshape(-1, 3), theirs, ours)
        both = (ours >= _LEAST_SHARE) & (theirs >= _LEAST_SHARE)
        return cls(
            pixel,
            nodes,
            shares,
            (wanted - drawn).astype(np.float32),
            np.where(both, ours, 0.0).astype(np.float32),
            np.maximum(counts, 1).astype(np.float32),
        )

    def add_to(self, moves: NDArray[np.float32], correction: NDArray[np.float32]) -> None:
        """Adds to ``moves`` (N, 4): the weighted differences that are left with ``correction`` (N, 3), and their
        weights.
        """
        picture = np.zeros_like(self.wanted)
        draw_samples(correction, self.nodes, self.shares, self.pixel, picture)
        differences = self.wanted - picture / self.counts[:, None]
        add_differences(differences, self.weights / self.counts, self.nodes, self.shares, self.pixel, moves)


def _sampled(mesh: Mesh, view: ColourView) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Of each sample that shows the mesh its pixel (S,), triangle (S,) and barycentric coordinates (S, 3)."""
    height, width = view.mask.shape
    clip = view.camera.clip(mesh.positions).astype(np.float32)[None]
    fragments = rasterize(clip, mesh.triangles, (_FINER * height, _FINER * width))
    triangle = fragments.triangle[0].ravel()
    places = np.flatnonzero(triangle >= 0)
    row, column = np.divmod(places, _FINER * width)
    pixel = (row // _FINER) * width + column // _FINER
    return pixel.astype(np.int32), triangle[places], fragments.barycentric[0].reshape(-1, 3)[places]


def _uv(mesh: Mesh, triangle: NDArray[np.int32], barycentric: NDArray[np.float32]) -> NDArray[np.float32]:
    assert mesh.uvs is not None
    corners = (mesh.triangles if mesh.uv_triangles is None else mesh.uv_triangles)[triangle]
    return np.einsum("ij,ijk->ik", barycentric, mesh.uvs[corners]).astype(np.float32)


def _without_white(
    image: NDArray[np.float32], theirs: NDArray[np.floating], ours: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The colours (P, 3) that the covered part of each pixel should have; ``theirs`` and ``ours``: the covered share of
    each pixel in the view and in our picture.

    Taking the white off by the view's share gives the object's own colour; by ours, what makes the pixel the same
    though the outline is off by part of it, at the price of a brighter or darker rim. The middle takes three quarters
    of the error away and leaves half of the rim.
    """
    own = np.clip((image - (1.0 - theirs)[:, None]) / np.maximum(theirs, _LEAST_SHARE)[:, None], 0.0, 1.0)
    same = (image - (1.0 - ours)[:, None]) / np.maximum(ours, _LEAST_SHARE)[:, None]
    return own + (same - own) * _OUTLINE
