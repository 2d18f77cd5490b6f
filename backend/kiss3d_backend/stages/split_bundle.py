"""A bundle becomes four views: colours, masks, normals in the world."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.mesh.bundle.check import check_bundle
from kiss3d_backend.mesh.bundle.layout import split_bundle, view_name
from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.normals import decode_on_white, normals_to_world
from kiss3d_backend.mesh.camera import bundle_cameras
from kiss3d_backend.pipeline.bundle_checks import note_bundle_checks
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Bundle, BundleViews
from kiss3d_protocol.errors import ViewEmpty


class SplitBundle(Stage[Bundle, BundleViews]):
    """A wrong size or an empty view is an error. ``checked``: the bundle was checked before; otherwise what looks wrong
    is a warning with its figures.

    Raises :class:`BundleInvalid` and :class:`ViewEmpty`.
    """

    name = "split_bundle"
    title = "Splitting the bundle"
    weight = 0.5

    def __init__(self, *, checked: bool = False) -> None:
        self.checked = checked

    def run(self, value: Bundle, context: StageContext) -> BundleViews:
        tiles = split_bundle(value.picture)
        context.progress(1, 3)
        seen = foreground(tiles.normals)
        figures = None if self.checked else check_bundle(value.picture)
        if figures is not None:
            note_bundle_checks(figures, context)
        for view, mask in enumerate(seen.mask):
            if not mask.any():
                raise ViewEmpty(f"There is no object in {view_name(view)}.")
        if figures is not None and not figures.valid:
            context.warn(
                "bundle.doubtful",
                "The picture does not look like a good bundle: " + " ".join(figures.problems),
                "The mesh may come out wrong; make the bundle again, with another seed for example.",
            )
        context.progress(2, 3)
        decoded = decode_on_white(tiles.normals, seen.matte)
        world = np.stack(
            [normals_to_world(each, camera) for each, camera in zip(decoded, bundle_cameras(), strict=True)]
        )
        return BundleViews(
            colours=np.where(seen.mask[..., None], tiles.colours, np.uint8(255)),
            masks=seen.mask,
            mattes=seen.matte,
            normals=world.astype(np.float32),
        )
