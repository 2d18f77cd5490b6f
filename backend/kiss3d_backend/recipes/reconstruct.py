"""A bundle, and perhaps a coarse mesh, to a textured mesh."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.frame import unit_height
from kiss3d_backend.mesh.refine.settings import PRESETS, RefineSettings
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_backend.stages.finish_shape import FinishShape, ToFinish
from kiss3d_backend.stages.read_bundle import ReadBundle
from kiss3d_backend.stages.refine_shape import RefineShape, ToRefine
from kiss3d_backend.stages.split_bundle import SplitBundle
from kiss3d_backend.stages.start_shape import Start, StartShape
from kiss3d_backend.stages.texture_shape import TextureShape, ToTexture

_DETAIL = 8
_PIXELS_OF_A_DETAIL = 25


@attrs.frozen
class ReconstructSettings:
    """``faces``: of the result. ``texture_size``: pixels. ``keep_frame``: stay in the bundle's world."""

    refine: RefineSettings
    faces: int = attrs.field(validator=[attrs.validators.ge(100), attrs.validators.le(1_000_000)])
    texture_size: int = attrs.field(validator=attrs.validators.in_((1024, 2048, 4096)))
    keep_frame: bool = False
    rasterizer: str | None = None

    def detail(self, faces: int, texture_size: int) -> int:
        """Triangles that are worth refining to, for a result of ``faces`` triangles and a normal map of
        ``texture_size`` pixels: eight for each of the result's, or one for every 25 pixels that the map's islands have
        (about half of all), whichever is more. Finer detail would be seen in neither.
        """
        return max(_DETAIL * faces, texture_size**2 // (2 * _PIXELS_OF_A_DETAIL))


RECONSTRUCT_PRESETS: dict[str, ReconstructSettings] = {
    "draft": ReconstructSettings(PRESETS["draft"], faces=10_000, texture_size=1024),
    "fast": ReconstructSettings(PRESETS["fast"], faces=20_000, texture_size=2048),
    "quality": ReconstructSettings(PRESETS["quality"], faces=60_000, texture_size=4096),
}


RECONSTRUCT_OF = {"draft": "draft", "fast": "fast", "balanced": "fast", "quality": "quality"}
"""Of each preset of a job."""


class ReconstructRecipe(Recipe):
    """The picture is a bundle; a mesh among the inputs is the coarse mesh to start from."""

    name = "reconstruct"

    def __init__(self, settings: ReconstructSettings) -> None:
        self.settings = settings
        self.read = ReadBundle()
        self.split = SplitBundle()
        self.start = StartShape()
        self.refine = RefineShape(settings.refine, settings.rasterizer)
        self.finish = FinishShape()
        self.texture = TextureShape()
        self.stages = (self.read, self.split, self.start, self.refine, self.finish, self.texture)

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        views = run.stage(self.split, run.stage(self.read, inputs.picture))
        coarse = run.stage(self.start, Start(views, inputs.mesh))
        run.mesh_ready(coarse, "coarse")
        faces = inputs.faces or self.settings.faces
        size = inputs.texture_size or self.settings.texture_size
        origin = "hull" if inputs.mesh is None else "coarse"
        refined = run.stage(self.refine, ToRefine(views, coarse, origin, self.settings.detail(faces, size)))
        finished = run.stage(self.finish, ToFinish(refined, faces, views))
        textured = run.stage(self.texture, ToTexture(views, finished.full, finished.low, size))
        return textured if self.settings.keep_frame else unit_height(textured)
