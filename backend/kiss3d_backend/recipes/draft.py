"""The draft: a picture to a mesh without weights and without a GPU."""

from __future__ import annotations

from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_backend.stages.inflate_silhouette import InflateSilhouette
from kiss3d_backend.stages.project_picture import ProjectPicture
from kiss3d_backend.stages.read_picture import ReadPicture
from kiss3d_backend.stages.remove_background import RemoveBackground


class DraftRecipe(Recipe):
    """Cuts the object out, blows its silhouette up, and projects the picture on it; first coarse, then fine."""

    name = "draft"

    def __init__(self) -> None:
        self.read = ReadPicture()
        self.cut_out = RemoveBackground()
        self.coarse_shape = InflateSilhouette("coarse_shape", "Coarse shape", weight=0.4, faces=6_000)
        self.coarse_paint = ProjectPicture("coarse_texture", "Coarse texture", weight=1.0, chart_side=512)
        self.shape = InflateSilhouette("shape", "Shape", weight=2.0, faces=90_000)
        self.paint = ProjectPicture("texture", "Texture", weight=3.0, chart_side=1024)
        self.stages = (
            self.read,
            self.cut_out,
            self.coarse_shape,
            self.coarse_paint,
            self.shape,
            self.paint,
        )

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        picture = run.stage(self.read, inputs.picture)
        cutout = run.stage(self.cut_out, picture)
        coarse = run.stage(self.coarse_shape, cutout)
        run.mesh_ready(run.stage(self.coarse_paint, (cutout, coarse)), "coarse")
        fine = run.stage(self.shape, cutout)
        return run.stage(self.paint, (cutout, fine))
