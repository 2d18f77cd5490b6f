"""The draft: a picture to a mesh without weights and without a GPU."""

from __future__ import annotations

from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_backend.stages.colour_body import ColourBody
from kiss3d_backend.stages.finish_shape import FinishShape, ToFinish
from kiss3d_backend.stages.inflate_silhouette import InflateSilhouette
from kiss3d_backend.stages.read_picture import ReadPicture
from kiss3d_backend.stages.remove_background import RemoveBackground
from kiss3d_backend.stages.texture_body import Body, TextureBody

FACES = 12_000
TEXTURE_SIZE = 2048


class DraftRecipe(Recipe):
    """Cuts the object out, blows its silhouette up, and paints it with the picture; first coarse, then fine."""

    name = "draft"

    def __init__(self) -> None:
        self.read = ReadPicture()
        self.cut_out = RemoveBackground()
        self.coarse_shape = InflateSilhouette("coarse_shape", "Coarse shape", weight=0.4, faces=6_000)
        self.coarse_colours = ColourBody()
        self.shape = InflateSilhouette("shape", "Shape", weight=2.0, faces=60_000)
        self.finish = FinishShape()
        self.texture = TextureBody()
        self.stages = (
            self.read,
            self.cut_out,
            self.coarse_shape,
            self.coarse_colours,
            self.shape,
            self.finish,
            self.texture,
        )

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        picture = run.stage(self.read, inputs.picture)
        cutout = run.stage(self.cut_out, picture)
        coarse = run.stage(self.coarse_shape, cutout)
        run.mesh_ready(run.stage(self.coarse_colours, (cutout, coarse)), "coarse")
        fine = run.stage(self.shape, cutout)
        finished = run.stage(self.finish, ToFinish(fine, inputs.faces or FACES))
        size = inputs.texture_size or TEXTURE_SIZE
        return run.stage(self.texture, Body(cutout, finished.full, finished.low, size))
