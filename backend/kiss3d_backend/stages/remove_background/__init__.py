"""The object of a picture, alone: by the picture's own transparency, a network, a plain background, or a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Picture
from kiss3d_backend.stages.remove_background.busy import mask_by_grabcut
from kiss3d_backend.stages.remove_background.main_object import main_object
from kiss3d_backend.stages.remove_background.plain import mask_on_plain_background
from kiss3d_backend.stages.remove_background.square import cut_opaque, cut_transparent, square_around
from kiss3d_backend.stages.remove_background.transparency import has_cutout_alpha, opaque_colours
from kiss3d_backend.stages.remove_background.working_size import at_most
from kiss3d_protocol.errors import PictureWithoutObject

if TYPE_CHECKING:
    from kiss3d_backend.networks.birefnet import BiRefNet

_MASK_SIDE = 768
_SMALLEST_SHARE = 0.0005
_MASK_STEPS = 4
_STEPS = 8


class RemoveBackground(Stage[Picture, Cutout]):
    """Finds the one main object and cuts it out with a soft matte and clean colours.

    A picture with transparency of its own keeps it. For any other one the matte is that of a network when there is
    one, which ``matting`` gets (``weights`` tells one file of it from another), and comes from the background's colours
    otherwise.

    Raises :class:`PictureWithoutObject`. Warns ``picture.busy_background`` when the background had to be guessed,
    and ``picture.several_objects`` when a substantial other object was left out.
    """

    name = "background"
    title = "Removing the background"
    weight = 6.0

    def __init__(self, matting: Callable[[], BiRefNet] | None = None, weights: str = "") -> None:
        self.matting = matting
        self.weights = weights

    def fingerprint(self) -> str:
        return self.weights

    def run(self, value: Picture, context: StageContext) -> Cutout:
        rgba = value.rgba
        transparent = has_cutout_alpha(rgba[..., 3])
        if not transparent and self.matting is not None:
            colours = opaque_colours(rgba) if (rgba[..., 3] < 255).any() else rgba
            matte = self.matting().matte(np.ascontiguousarray(colours[..., :3]), context.check_cancelled)
            rgba = np.dstack([colours[..., :3], matte])
            transparent = True
        if transparent:
            mask = np.asarray(at_most(rgba[..., 3], _MASK_SIDE) > 127)
        else:
            if (rgba[..., 3] < 255).any():
                rgba = opaque_colours(rgba)
            mask = self._mask_of_opaque(at_most(rgba[..., :3], _MASK_SIDE), context)
        context.progress(_MASK_STEPS, _STEPS)

        mask, left_out = main_object(mask)
        if mask.mean() < _SMALLEST_SHARE:
            raise PictureWithoutObject("No object stands out from the background of the picture.")
        if left_out:
            context.warn(
                "picture.several_objects",
                "The picture shows several objects; only the largest was used.",
                "Crop the picture to one object to choose it yourself.",
            )
        square = square_around(mask, (rgba.shape[0], rgba.shape[1]))
        steps = iter(range(_MASK_STEPS + 1, _STEPS))
        cut = cut_transparent if transparent else cut_opaque
        cutout = Cutout(cut(rgba, mask, square, lambda: context.progress(next(steps), _STEPS)))
        if not (cutout.rgba[..., 3] > 127).any():
            raise PictureWithoutObject("The object of the picture is too small or too faint to be cut out.")
        context.preview(cutout.rgba)
        return cutout

    def _mask_of_opaque(self, rgb: NDArray[np.uint8], context: StageContext) -> NDArray[np.bool_]:
        steps = iter(range(1, _STEPS))
        mask = mask_on_plain_background(rgb, lambda: context.progress(next(steps), _STEPS))
        if mask is not None:
            return mask
        context.warn(
            "picture.busy_background",
            "The background of the picture is busy; what belongs to the object is a guess.",
            "For a better result use a picture on a plain background, or one that is cut out already.",
        )
        return mask_by_grabcut(rgb, context)
