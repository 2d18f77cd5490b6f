"""The figures of a bundle's check, put into the job's report with the limits that they were compared with."""

from __future__ import annotations

from kiss3d_backend.mesh.bundle import check
from kiss3d_backend.mesh.bundle.check import BundleFigures
from kiss3d_backend.pipeline.stage import StageContext


def note_bundle_checks(figures: BundleFigures, context: StageContext, bundle: int | None = None) -> None:
    """Every figure of every view, and those of the whole. ``bundle``: its index, None for the one of the context."""
    for view, each in enumerate(figures.views):
        context.checked("bundle.iou", each.iou, least=check.LEAST_IOU, bundle=bundle, view=view)
        context.checked("bundle.offset", each.offset, most=check.MOST_OFFSET, bundle=bundle, view=view)
        context.checked(
            "bundle.length_error", each.length_error, most=check.MOST_LENGTH_ERROR, bundle=bundle, view=view
        )
        context.checked("bundle.facing", each.facing, least=check.LEAST_FACING, bundle=bundle, view=view)
        context.checked("bundle.white", each.white, least=check.LEAST_WHITE, bundle=bundle, view=view)
        context.checked("bundle.white_frame", each.white_frame, least=check.LEAST_WHITE_FRAME, bundle=bundle, view=view)
        context.checked("bundle.covered", each.covered, most=check.MOST_COVERED, bundle=bundle, view=view)
    for axis, value in zip("xy", figures.outwards, strict=True):
        if value is not None:
            context.checked(f"bundle.outwards_{axis}", value, least=check.LEAST_OUTWARDS, bundle=bundle)
