"""The large reconstruction model (PRM, arXiv 2412.07371, on InstantMesh, arXiv 2404.07191): views to triplanes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from kiss3d_backend.networks.lrm.decoder import Synthesizer
from kiss3d_backend.networks.lrm.encoder import ImageEncoder
from kiss3d_backend.networks.lrm.shape import LrmShape
from kiss3d_backend.networks.lrm.transformer import TriplaneTransformer


def _nothing() -> None: ...


class Lrm(nn.Module):
    """The module; its state dict has the published names and, with the default widths, the published shapes."""

    def __init__(self, shape: LrmShape | None = None) -> None:
        super().__init__()
        self.shape = LrmShape() if shape is None else shape
        self.encoder = ImageEncoder(self.shape)
        self.transformer = TriplaneTransformer(self.shape)
        self.synthesizer = Synthesizer(self.shape)

    def steps(self, views: int, side: int) -> int:
        """How often :meth:`forward_planes` calls ``step`` for one object with so many views of ``side`` pixels."""
        tokens = views * self.encoder.tokens(side, side)
        return self.encoder.steps(views, side, side) + self.transformer.steps(tokens)

    def forward_planes(self, images: Tensor, cameras: Tensor, step: Callable[[], None] = _nothing) -> Tensor:
        """Triplanes (B, 3, channels, S, S) of the dtype of the transformers.

        ``images``: (B, V, 3, H, W) in [0, 1], on white; the published model expects V = 4 and H = W = 512.
        ``cameras``: (B, V, 16) as :func:`kiss3d_backend.mesh.camera.lrm_camera_vectors` gives them. ``step``: called
        after each part of the work; what it raises ends the work.
        """
        tokens = self.encoder(images.flatten(0, 1), cameras.flatten(0, 1), step)
        return self.transformer(tokens.unflatten(0, images.shape[:2]).flatten(1, 2), step)
