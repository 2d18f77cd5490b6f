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

from collections.abc import Sequence
from functools import partial

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.bake.kernels import (
    add_differences,
    add_samples,
    add_unevenness,
    add_values,
    draw_samples,
    mix_corners,
    step_nodes,
)
from kiss3d_backend.mesh.bake.surface_grid import SurfaceGrid
from kiss3d_backend.mesh.bake.texels import Texels
from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.surface.view import ColourView

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
_AT_ONCE = 1 << 15
_NODES_AT_ONCE = 1 << 17


class Correction:
    """What of a correction needs no texture yet: the samples of each view, on the nodes of a surface."""

    def __init__(self, grid: SurfaceGrid, cells: NDArray[np.int32], samples: Sequence[_Samples]) -> None:
        self._grid = grid
        self._cells = cells
        self._samples = samples

    @classmethod
    def of(
        cls,
        positions: NDArray[np.float32],
        triangles: NDArray[np.int32],
        views: Sequence[ColourView],
        *,
        check: Check = lambda: None,
    ) -> Correction:
        """``positions``: (V, 3); ``triangles``: (T, 3). What ``check`` raises comes out of here."""
        shown = sum(int(view.mask.sum()) for view in views)
        grid = SurfaceGrid.of(triangles, len(positions), min(round(_NODES * shown), _MOST_NODES))
        samples: list[_Samples] = []
        for view in views:
            check()
            samples.append(_Samples.of(positions, triangles, view, grid))
        check()
        return cls(grid, grid.cells(), samples)

    def apply(
        self,
        pixels: NDArray[np.float32],
        uvs: NDArray[np.float32],
        uv_triangles: NDArray[np.int32],
        texels: Texels,
        *,
        check: Check = lambda: None,
    ) -> None:
        """Corrects ``pixels`` (side, side, 3), sRGB in [0, 1], in place.

        ``uvs`` (N, 2) and ``uv_triangles`` (T, 3): of the mesh, those that ``texels`` are of. What ``check`` raises
        comes out of here.
        """
        drawn: list[_Drawn] = at_once(
            check, [partial(_Drawn.of, samples, pixels, uvs, uv_triangles) for samples in self._samples]
        )
        correction = np.zeros((self._grid.count, 3), dtype=np.float32)
        # One for each view and one for the differences between nodes: added up in the same order on any machine.
        moves = np.empty((len(drawn) + 1, self._grid.count, 4), dtype=np.float32)

        # As if each of the two triangles beside a difference counted it.
        weights = np.where(self._grid.sides_inside(), 2 * _EVEN, _EVEN).astype(np.float32)

        def uneven(_: Check) -> None:
            moves[-1] = 0.0
            add_unevenness(correction, self._cells, weights, moves[-1])

        parts = [slice(begin, begin + _NODES_AT_ONCE) for begin in range(0, self._grid.count, _NODES_AT_ONCE)]
        for _ in range(_ROUNDS):
            at_once(
                check,
                [uneven, *(partial(each.move, here, correction) for each, here in zip(drawn, moves[:-1], strict=True))],
            )
            at_once(check, [partial(_step, moves[:, part], correction[part]) for part in parts])
        flat = pixels.reshape(-1, 3)

        def add(begin: int, _: Check) -> None:
            pixel, triangle, barycentric = texels.run(begin, begin + _AT_ONCE)
            nodes, shares = self._grid.at(triangle, barycentric)
            add_values(correction, nodes, shares, pixel, flat)

        at_once(check, [partial(add, begin) for begin in range(0, len(texels.pixel), _AT_ONCE)])


def _step(moves: NDArray[np.float32], correction: NDArray[np.float32], _: Check) -> None:
    step_nodes(moves, _RELAXATION, correction)


@attrs.frozen(eq=False)
class _Samples:
    """A view, and its picture as samples of the surface.

    Of the S samples: ``pixel`` (S,) int32, row x width + column; ``triangle`` (S,) and ``barycentric`` (S, 3);
    ``nodes`` and ``shares`` (S, 3), of the grid.
    """

    view: ColourView
    pixel: NDArray[np.int32]
    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    nodes: NDArray[np.int32]
    shares: NDArray[np.float32]

    @classmethod
    def of(
        cls, positions: NDArray[np.float32], triangles: NDArray[np.int32], view: ColourView, grid: SurfaceGrid
    ) -> _Samples:
        """Of each place of a finer picture that shows the mesh."""
        height, width = view.mask.shape
        clip = view.camera.clip(positions).astype(np.float32)[None]
        fragments = rasterize(clip, triangles, (_FINER * height, _FINER * width))
        triangle = fragments.triangle[0].ravel()
        places = np.flatnonzero(triangle >= 0)
        row, column = np.divmod(places, _FINER * width)
        pixel = ((row // _FINER) * width + column // _FINER).astype(np.int32)
        triangle, barycentric = triangle[places], fragments.barycentric[0].reshape(-1, 3)[places]
        return cls(view, pixel, triangle, barycentric, *grid.at(triangle, barycentric))


@attrs.frozen(eq=False)
class _Drawn:
    """What is left to correct of a view.

    Of its P pixels: ``wanted`` (P, 3), what the mean of their samples lacks; ``weights`` (P,), how much each counts;
    ``counts`` (P,), of their samples, at least 1.
    """

    samples: _Samples
    wanted: NDArray[np.float32]
    weights: NDArray[np.float32]
    counts: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        samples: _Samples,
        pixels: NDArray[np.float32],
        uvs: NDArray[np.float32],
        uv_triangles: NDArray[np.int32],
        check: Check,
    ) -> _Drawn:
        view, pixel = samples.view, samples.pixel
        size = view.mask.size
        sums = np.zeros((size, 3))
        for begin in range(0, len(pixel), _AT_ONCE):
            check()
            part = slice(begin, begin + _AT_ONCE)
            places = np.empty((len(pixel[part]), 2), dtype=np.float32)
            mix_corners(uvs, uv_triangles, samples.triangle[part], samples.barycentric[part], places)
            add_samples(sample_texture(pixels, places), pixel[part], sums)
        check()
        counts = np.bincount(pixel, minlength=size)
        drawn = sums / np.maximum(counts, 1)[:, None]
        ours, theirs = counts / _FINER**2, view.covered.ravel()
        wanted = _without_white(view.image.reshape(-1, 3), theirs, ours)
        both = (ours >= _LEAST_SHARE) & (theirs >= _LEAST_SHARE)
        return cls(
            samples,
            (wanted - drawn).astype(np.float32),
            np.where(both, ours, 0.0).astype(np.float32),
            np.maximum(counts, 1).astype(np.float32),
        )

    def move(self, moves: NDArray[np.float32], correction: NDArray[np.float32], check: Check) -> None:
        """Sets ``moves`` (N, 4): the weighted differences that are left with ``correction`` (N, 3), and their
        weights.
        """
        here = self.samples
        moves[:] = 0.0
        picture = np.zeros_like(self.wanted)
        draw_samples(correction, here.nodes, here.shares, here.pixel, picture)
        check()
        differences = self.wanted - picture / self.counts[:, None]
        add_differences(differences, self.weights / self.counts, here.nodes, here.shares, here.pixel, moves)


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
