"""The large reconstruction model: four views to a coarse mesh with colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.camera import (
    BUNDLE_AZIMUTHS,
    ELEVATION,
    FIELD_OF_VIEW,
    LRM_RADIUS,
    Camera,
    from_lrm_frame,
    lrm_camera_vectors,
    to_lrm_frame,
    turned,
)
from kiss3d_backend.mesh.cleanup.clean import clean
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Views

if TYPE_CHECKING:
    import torch

    from kiss3d_backend.networks.lrm.model import Lrm

PICTURE_SIDE = 512
_TOLERANCE = 1e-6
_LAST_STEPS = 10
"""Of progress, for what comes after the field."""


def _turns_as_one(instance: CoarseSettings, attribute: attrs.Attribute[tuple[float, ...]], value: object) -> None:
    turns = [told - bundle for bundle, told in zip(BUNDLE_AZIMUTHS, instance.azimuths, strict=True)]
    if any(abs(math.remainder(turn - turns[0], 360)) > _TOLERANCE for turn in turns):
        raise ValueError("the azimuths must be those of a bundle, all turned by one angle")


@attrs.frozen
class CoarseSettings:
    """``azimuths``: what the model is told of the four views, degrees, in a bundle's order; the mesh is turned back so
    that it stands in the bundle's world whatever they are. ``elevation``, ``radius``, ``field_of_view``: of all four,
    degrees, and lengths of the LRM's frame. ``resolution``: cells of the grid along an edge. ``memory``: bytes that
    reading the triplanes may take for temporary arrays.
    """

    azimuths: tuple[float, float, float, float] = attrs.field(default=BUNDLE_AZIMUTHS, validator=_turns_as_one)
    elevation: float = ELEVATION
    radius: float = LRM_RADIUS
    field_of_view: float = FIELD_OF_VIEW
    resolution: int = attrs.field(default=128, validator=[attrs.validators.ge(8), attrs.validators.le(512)])
    memory: int = attrs.field(default=64 * 2**20, validator=attrs.validators.ge(2**20))

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return tuple(Camera(each, self.elevation, self.radius, self.field_of_view) for each in self.azimuths)

    @property
    def turn(self) -> float:
        """Degrees about y that bring what the model made into the bundle's world."""
        return BUNDLE_AZIMUTHS[0] - self.azimuths[0]


MULTIVIEW_SETTINGS = CoarseSettings(azimuths=(270.0, 0.0, 90.0, 180.0))
"""For the views of Zero123++: the published system gives the model its tiles in reading order (azimuth 90, 180, 270, 0
of the bundle) as azimuth 0, 90, 180, 270."""


class ReconstructCoarse(Stage[Views, Mesh]):
    """A closed mesh with vertex colours in the bundle's world, of the size that the model gave it.

    ``model``: gives the network, loaded. ``weights``: what tells one set of weights from another (their hashes, their
    dtype), for the fingerprint. Raises what getting the network raises.
    """

    weight = 5.0
    kept = True

    def __init__(
        self,
        model: Callable[[], Lrm],
        settings: CoarseSettings | None = None,
        weights: str = "",
        *,
        name: str = "coarse",
        title: str = "Coarse shape",
    ) -> None:
        self.name = name
        self.title = title
        self.model = model
        self.settings = settings or CoarseSettings()
        self.weights = weights

    def fingerprint(self) -> str:
        return f"{attrs.astuple(attrs.evolve(self.settings, memory=2**20))} {self.weights}"

    def run(self, value: Views, context: StageContext) -> Mesh:
        import torch

        from kiss3d_backend.networks.lrm.field import TriplaneField, points_at_once
        from kiss3d_backend.networks.lrm.geometry import extract_mesh, vertex_colours

        model, settings = self.model(), self.settings
        context.check_cancelled()
        device = next(model.parameters()).device
        pieces = -(-((settings.resolution + 1) ** 3) // points_at_once(model.shape.channels, settings.memory))
        steps = model.steps(len(value.colours), PICTURE_SIDE) + pieces + _LAST_STEPS
        done = 0

        def step() -> None:
            nonlocal done
            done = min(done + 1, steps - 1)
            if device.type == "cuda":
                # Work is only queued on the device: without waiting, a cancel would come after all of it.
                torch.cuda.current_stream(device).synchronize()
            context.progress(done, steps)

        with torch.inference_mode():
            cameras = torch.from_numpy(lrm_camera_vectors(settings.cameras))
            planes = model.forward_planes(
                model_pictures(value.colours)[None].to(device), cameras[None].to(device), step
            )
            field = TriplaneField(model, planes, settings.memory, step)
            surface = extract_mesh(field, settings.resolution)
            upright = from_lrm_frame(surface.vertices.cpu().numpy())
            cleaned = clean(upright, surface.faces.cpu().numpy().astype(np.int32), check=context.check_cancelled)
            # After the clean-up, so that what it added has the colours of its own place too.
            places = torch.from_numpy(to_lrm_frame(cleaned.positions)).to(device)
            colours = vertex_colours(field, places).cpu().numpy()
        return Mesh(turned_about_y(cleaned.positions, settings.turn), cleaned.triangles, colours=colours)


def model_pictures(colours: NDArray[np.uint8]) -> torch.Tensor:
    """(N, 3, 512, 512) float32 in [0, 1] of pictures (N, S, S, 3) uint8; resized bicubically, antialiased."""
    import torch

    pictures = torch.tensor(colours).permute(0, 3, 1, 2).float() / 255
    if pictures.shape[-2:] == (PICTURE_SIDE, PICTURE_SIDE):
        return pictures
    resized = torch.nn.functional.interpolate(pictures, (PICTURE_SIDE, PICTURE_SIDE), mode="bicubic", antialias=True)
    return resized.clamp(0, 1)


def turned_about_y(positions: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Positions (V, 3) turned so that what is seen from azimuth 0 is seen from azimuth ``degrees`` afterwards."""
    return turned(positions, Camera(-degrees, elevation=0.0).axes)
