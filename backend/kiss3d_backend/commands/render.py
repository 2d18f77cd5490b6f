"""``kiss3d render``: a mesh file to a bundle picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kiss3d_backend.commands.files import check_writable, write_atomically


def run_render(*, mesh: Path, output: Path, keep_frame: bool | None, smooth: bool, as_json: bool) -> None:
    """Renders the mesh and writes the picture. Raises a :class:`Kiss3DError` for everything that can go wrong.

    ``keep_frame``: True leaves the mesh where it is, False centres it and fits it to the tiles; None does that only
    to a mesh that does not lie in the bundle's world already.
    """
    check_writable(output, ".png")
    from kiss3d_backend.mesh.bundle.check import check_bundle
    from kiss3d_backend.mesh.bundle.layout import join_bundle, view_name
    from kiss3d_backend.mesh.bundle.masks import foreground
    from kiss3d_backend.mesh.bundle.render import fitted_scale, is_in_bundle_world, render_bundle
    from kiss3d_backend.mesh.png import encode_png
    from kiss3d_backend.mesh.read import read_model
    from kiss3d_protocol.errors import ViewEmpty

    model = read_model(mesh)
    bounds = model.bounds()
    kept = is_in_bundle_world(bounds) if keep_frame is None else keep_frame
    scale, middle = 1.0, np.zeros(3)
    if not kept:
        middle = bounds.astype(np.float64).mean(axis=0)
        scale = fitted_scale(np.concatenate([part.positions - middle for part in model.parts]))
        model = model.moved(scale, middle)
    views = render_bundle(model.parts, smooth=smooth)
    for view, mask in enumerate(foreground(views.normals).mask):
        if not mask.any():
            raise ViewEmpty(
                f"The mesh is not to be seen in {view_name(view)}.",
                "Leave --keep-frame out, so that it is fitted to the views.",
            )
    picture = join_bundle(views)
    figures = check_bundle(picture)
    write_atomically(output, lambda: encode_png(picture))
    if as_json:
        summary = {
            "output": str(output),
            "triangles": model.triangles,
            "kept_frame": kept,
            "scale": scale,
            "middle": middle.tolist(),
            "valid": figures.valid,
            "problems": list(figures.problems),
            "touches_border": [each.touches for each in figures.views],
        }
        print(json.dumps(summary))
        return
    print(f"{output}: a bundle of {model.triangles:,} triangles")
    if not kept:
        print(f"The mesh was centred and scaled by {scale:.4g} to fit the views.")
    for problem in figures.problems:
        print(f"Note: {problem}")
