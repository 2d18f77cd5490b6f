"""The Kiss3DGen pipeline (arXiv 2503.01370), in four ways by what comes in: a picture, words, a mesh, or views."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bundle.layout import split_bundle
from kiss3d_backend.mesh.on_white import on_white
from kiss3d_backend.models.offers import PROMPT_WRITER
from kiss3d_backend.networks.flux.settings import FLUX_PRESETS, ControlSettings, FluxSettings
from kiss3d_backend.networks.library import Library
from kiss3d_backend.networks.zero123.settings import SamplingSettings
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.types import Cutout, Mesh, Picture
from kiss3d_backend.recipes.bundle_to_mesh import LRM_STAGES, BundleToMesh
from kiss3d_backend.recipes.reconstruct import RECONSTRUCT_PRESETS, ReconstructSettings
from kiss3d_backend.stages.caption import Caption
from kiss3d_backend.stages.generate_bundle import GenerateBundle, ToGenerate
from kiss3d_backend.stages.multiview import MakeViews
from kiss3d_backend.stages.read_picture import ReadPicture
from kiss3d_backend.stages.reconstruct_coarse import MULTIVIEW_SETTINGS, ReconstructCoarse
from kiss3d_backend.stages.reference_bundle import ReferenceBundle, ToReference
from kiss3d_backend.stages.remove_background import RemoveBackground
from kiss3d_backend.stages.render_mesh import RenderMesh
from kiss3d_backend.stages.write_prompt import WritePrompt

REDUX_SIDE = 512
"""Pixels of the picture that Redux is given."""


@attrs.frozen
class LearnedSettings:
    """One preset. ``flux_entry``: of the catalogue. ``flux_entries``: all entries that the bundle depends on."""

    flux_entry: str
    flux: FluxSettings
    views: SamplingSettings
    reconstruct: ReconstructSettings

    @property
    def flux_entries(self) -> tuple[str, ...]:
        asked = {
            "kiss3dgen_lora": bool(self.flux.lora),
            "flux_turbo_lora": bool(self.flux.turbo),
            "controlnet_union": self.flux.control is not None,
            "redux": self.flux.redux is not None,
        }
        return (self.flux_entry, *(entry for entry, wanted in asked.items() if wanted))


LEARNED_PRESETS: dict[str, LearnedSettings] = {
    "fast": LearnedSettings(
        "flux_schnell_fp8", FLUX_PRESETS["fast"], SamplingSettings(steps=24), RECONSTRUCT_PRESETS["fast"]
    ),
    "balanced": LearnedSettings(
        "flux_dev_fp8", FLUX_PRESETS["balanced"], SamplingSettings(steps=36), RECONSTRUCT_PRESETS["fast"]
    ),
    "quality": LearnedSettings(
        "flux_dev_fp8", FLUX_PRESETS["quality"], SamplingSettings(steps=50), RECONSTRUCT_PRESETS["quality"]
    ),
}


class _FromBundles(Recipe):
    """What the recipes share once there are words: the prompt, bundles, the choice, and the way to meshes."""

    def __init__(self, library: Library, settings: LearnedSettings) -> None:
        self.prompt = WritePrompt(library.writer, library.weights(PROMPT_WRITER))
        self.generate = GenerateBundle(
            settings.flux,
            lambda: library.flux(settings.flux_entry, settings.flux),
            library.dtype,
            library.weights(*settings.flux_entries),
            drawing=lambda: library.drawing,
        )
        self.rest = BundleToMesh(settings.reconstruct, library, checked=True)
        self.entries = {
            **LRM_STAGES,
            "background": ("birefnet",),
            "multiview": ("zero123plus", "multiview_unet"),
            "caption": ("florence2",),
            "prompt": (PROMPT_WRITER,),
            "bundle": (*settings.flux_entries, "clip_tokenizer", "t5_tokenizer"),
        }

    def _meshes(
        self,
        words: str,
        inputs: JobInputs,
        run: Run,
        *,
        reference: NDArray[np.uint8] | None = None,
        picture: NDArray[np.uint8] | None = None,
    ) -> Mapping[int, Mesh]:
        caption = run.stage(self.prompt, words) if inputs.write_prompt else words
        request = ToGenerate(caption, reference, picture, bundle_seeds(inputs), inputs.redraw)
        bundles = run.stage(self.generate, request)
        chosen = run.choose(bundles)
        return self.rest.wire({index: bundles[index] for index in chosen}, inputs, run)


class ImageTo3D(_FromBundles):
    """A picture: imagined from three more sides, drawn again by FLUX with normals, and made a mesh."""

    name = "image_to_3d"

    def __init__(self, library: Library, settings: LearnedSettings) -> None:
        super().__init__(library, settings)
        self.read = ReadPicture()
        self.cut_out = RemoveBackground(library.matting, library.weights("birefnet"))
        self.views = MakeViews(library.multiview, settings.views, library.weights("zero123plus", "multiview_unet"))
        self.shape = ReconstructCoarse(
            library.lrm, MULTIVIEW_SETTINGS, library.weights("lrm"), name="reference_shape", title="Reference shape"
        )
        self.reference = ReferenceBundle()
        self.caption = Caption(library.captioner, library.weights("florence2"))
        self.stages = (
            self.read,
            self.cut_out,
            self.views,
            self.shape,
            self.reference,
            self.caption,
            self.prompt,
            self.generate,
            *self.rest.stages,
        )

    def wire(self, inputs: JobInputs, run: Run) -> Mapping[int, Mesh]:
        cutout = run.stage(self.cut_out, run.stage(self.read, inputs.picture))
        views = run.stage(self.views, cutout)
        shape = run.stage(self.shape, views)
        run.mesh_ready(shape, "coarse")
        reference = run.stage(self.reference, ToReference(views, shape))
        caption = inputs.prompt or run.stage(self.caption, cutout)
        return self._meshes(caption, inputs, run, reference=reference, picture=picture_for_redux(cutout))


class TextTo3D(_FromBundles):
    """Words: FLUX draws the bundle from noise alone."""

    name = "text_to_3d"

    def __init__(self, library: Library, settings: LearnedSettings) -> None:
        from_noise = attrs.evolve(settings.flux, strength=1.0, control=None, redux=None)
        super().__init__(library, attrs.evolve(settings, flux=from_noise))
        self.stages = (self.prompt, self.generate, *self.rest.stages)

    def wire(self, inputs: JobInputs, run: Run) -> Mapping[int, Mesh]:
        return self._meshes(inputs.prompt, inputs, run)


class MeshTo3D(_FromBundles):
    """A mesh: rendered to a bundle, which FLUX draws anew; the prompt says what it should become."""

    name = "mesh_to_3d"

    def __init__(self, library: Library, settings: LearnedSettings) -> None:
        control = None if settings.flux.control is None else ControlSettings(scale=0.1, end=0.2)
        super().__init__(library, attrs.evolve(settings, flux=attrs.evolve(settings.flux, control=control, redux=None)))
        self.render = RenderMesh()
        self.caption = Caption(library.captioner, library.weights("florence2"))
        self.stages = (self.render, self.caption, self.prompt, self.generate, *self.rest.stages)

    def wire(self, inputs: JobInputs, run: Run) -> Mapping[int, Mesh]:
        assert inputs.mesh is not None
        reference = run.stage(self.render, inputs.mesh)
        caption = inputs.prompt or run.stage(self.caption, front_of(reference))
        return self._meshes(caption, inputs, run, reference=reference)


def bundle_seeds(inputs: JobInputs) -> tuple[int, ...]:
    """One for each bundle that was asked for."""
    first = inputs.seed if inputs.bundle_seed is None else inputs.bundle_seed
    return tuple((first + number) % 2**32 for number in range(inputs.bundles))


def picture_for_redux(cutout: Cutout) -> NDArray[np.uint8]:
    """The object on white, (512, 512, 3) uint8."""
    resized = cv2.resize(on_white(cutout.rgba), (REDUX_SIDE, REDUX_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def front_of(bundle: NDArray[np.uint8]) -> Picture:
    """The front view of a bundle picture."""
    front = split_bundle(bundle).colours[0]
    return Picture(np.dstack([front, np.full(front.shape[:2], 255, dtype=np.uint8)]))
