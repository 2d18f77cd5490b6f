"""What a mesh is refined towards."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.camera import Camera, bundle_cameras
from kiss3d_protocol.errors import BundleInvalid, ViewEmpty

_SMALLEST_MASK = 4


@attrs.frozen(eq=False)
class Views:
    """N pictures of one object; H = W.

    ``normals``: (N, H, W, 3) float32, in the world, about unit length inside the mask, anything finite outside.
    ``masks``: (N, H, W), bool or float in [0, 1], the covered share of each pixel.
    ``cameras``: N of them.
    """

    normals: NDArray[np.float32]
    masks: NDArray[np.bool_] | NDArray[np.float32]
    cameras: tuple[Camera, ...] = attrs.field(factory=bundle_cameras)

    def check(self) -> None:
        """Raises BundleInvalid on wrong shapes or numbers, ViewEmpty on a mask of nothing; both name the view."""
        count = len(self.cameras)
        size = self.masks.shape[-1]
        if self.masks.shape != (count, size, size) or self.normals.shape != (count, size, size, 3):
            raise BundleInvalid(
                f"{count} square views are needed, but the normals are {self.normals.shape} and the masks "
                f"{self.masks.shape}."
            )
        for index, camera in enumerate(self.cameras):
            name = f"View {index + 1} (from {camera.azimuth:g} degrees)"
            if not np.isfinite(self.normals[index]).all():
                raise BundleInvalid(f"{name} has normals that are not numbers.", "Make the bundle again.")
            mask = np.asarray(self.masks[index], dtype=np.float32)
            if not ((mask >= 0) & (mask <= 1)).all():
                raise BundleInvalid(f"{name} has a mask with values outside 0 to 1.", "Make the bundle again.")
            if (mask >= 0.5).sum() < _SMALLEST_MASK:
                raise ViewEmpty(f"{name} shows no object.")
