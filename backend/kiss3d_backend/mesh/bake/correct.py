"""A baked texture corrected until pictures of it are the views themselves.

Projection samples each view between its pixels, and blends what several views say: drawn again, edges are softer, and
a view that looks at a surface flatly finds the colours of another one there. What is left over is projected back, as
in the simultaneous iterative reconstruction of tomography (Gilbert, 1972): each texel moves by the mean of the
differences in the pixels that show it. Where the surface is off by a pixel, two views cannot both be right: after one
round most is gained, and many rounds only chase the views' disagreement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bake.texels import Texels
from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.surface.project import Projector
from kiss3d_backend.mesh.surface.view import RIM_TRUST, ColourView
from kiss3d_backend.mesh.types import Mesh

_ROUNDS = 2
_FINER = 2
"""Samples of a pixel along each side."""

_AT_ONCE = 1 << 17
_LEAST_SHARE = 0.5


def correct(
    pixels: NDArray[np.float32],
    mesh: Mesh,
    views: Sequence[ColourView],
    projector: Projector,
    texels: Texels,
    known: NDArray[np.float32],
    *,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Corrects ``pixels`` (side, side, 3), sRGB in [0, 1], in place.

    ``mesh``: with the ``uvs`` that ``texels`` are of; ``projector``: of this mesh and these ``views``;
    ``known``: (V, 6), positions and normals of the vertices. ``check`` is called often; what it raises comes out of
    here.
    """
    drawn: list[_Samples] = []
    for view in views:
        check()
        drawn.append(_sampled(mesh, view))
    flat = pixels.reshape(-1, 3)
    for _ in range(_ROUNDS):
        differences: list[list[NDArray[np.float32]]] = []
        for view, samples, behind in zip(views, drawn, projector.behind, strict=True):
            check()
            differences.append(_difference(view, samples, behind, pixels))
        for begin in range(0, len(texels.pixel), _AT_ONCE):
            check()
            part = slice(begin, begin + _AT_ONCE)
            here = texels.mix(known, mesh.triangles, part)
            moved = flat[texels.pixel[part]] + projector.mean_of(differences, here[:, :3], here[:, 3:])
            flat[texels.pixel[part]] = np.clip(moved, 0.0, 1.0)


@attrs.frozen(eq=False)
class _Samples:
    """Places in a view that show the mesh: ``pixel`` (S,) of the view, row x width + column; ``uv`` (S, 2)."""

    pixel: NDArray[np.int64]
    uv: NDArray[np.float32]


def _sampled(mesh: Mesh, view: ColourView) -> _Samples:
    assert mesh.uvs is not None
    height, width = view.mask.shape
    clip = view.camera.clip(mesh.positions).astype(np.float32)[None]
    fragments = rasterize(clip, mesh.triangles, (_FINER * height, _FINER * width))
    triangle = fragments.triangle[0].ravel()
    places = np.flatnonzero(triangle >= 0)
    weights = fragments.barycentric[0].reshape(-1, 3)[places]
    corners = (mesh.triangles if mesh.uv_triangles is None else mesh.uv_triangles)[triangle[places]]
    row, column = np.divmod(places, _FINER * width)
    uv = np.einsum("ij,ijk->ik", weights, mesh.uvs[corners])
    return _Samples((row // _FINER) * width + column // _FINER, uv.astype(np.float32))


def _difference(
    view: ColourView, samples: _Samples, behind: NDArray[np.bool_], pixels: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """Four of (H, W): the view's colours less the drawn ones, times how far they are trusted, and that trust.

    Of a pixel on the outline the background is taken off first, by the view's own matte: what the outline is off by is
    no matter of colours, and the texture gets no white fringe. Pixels ``behind`` an inner silhouette may show what is
    before them, so another view of the same place is preferred.
    """
    size = view.mask.size
    colours = sample_texture(pixels, samples.uv)
    count = np.bincount(samples.pixel, minlength=size).reshape(view.mask.shape)
    share = view.covered
    trust = np.where((share >= _LEAST_SHARE) & (count > 0), share**2, 0.0) * np.where(behind, RIM_TRUST, 1.0)
    planes: list[NDArray[np.float32]] = []
    for channel in range(3):
        drawn = np.bincount(samples.pixel, colours[:, channel], size).reshape(share.shape) / np.maximum(count, 1)
        wanted = (view.image[..., channel] - (1.0 - share)) / np.maximum(share, _LEAST_SHARE)
        planes.append(((np.clip(wanted, 0.0, 1.0) - drawn) * trust).astype(np.float32))
    return [*planes, trust.astype(np.float32)]
