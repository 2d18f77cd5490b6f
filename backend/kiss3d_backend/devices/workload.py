"""What of a job's settings decides how much memory it takes: a preset as the planner sees it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs
from attrs import frozen

from kiss3d_protocol.errors import PresetUnknown


@frozen
class Workload:
    """``text_tokens``: of the long prompt. ``evaluations``: of FLUX's transformer. ``guided``: FLUX.1-dev. ``loras``:
    how many. ``control``, ``redux``: whether they steer. ``reference``: whether a bundle is encoded to start from.
    ``width``, ``height``: of the bundle, pixels. ``views_side``: of the picture of the imagined views, pixels.
    """

    text_tokens: int
    evaluations: int
    guided: bool
    loras: int = 1
    control: bool = False
    redux: bool = False
    reference: bool = True
    width: int = 2048
    height: int = 1024
    views_side: int = 1024

    @property
    def image_tokens(self) -> int:
        """A token is 2 x 2 latents of 8 x 8 pixels."""
        return (self.width // 16) * (self.height // 16)

    @property
    def tokens(self) -> int:
        """Of the picture, the prompt and Redux's 729 (27 x 27 patches of SigLIP at 384 pixels)."""
        return self.image_tokens + self.text_tokens + (729 if self.redux else 0)


WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        "fast": Workload(text_tokens=256, evaluations=4, guided=False),
        "balanced": Workload(text_tokens=512, evaluations=8, guided=True, loras=2),
        "quality": Workload(text_tokens=512, evaluations=20, guided=True, control=True, redux=True),
    }
)
"""By preset, for ``image_to_3d``. The settings themselves are in :mod:`kiss3d_backend.recipes.learned`, which needs
torch; a test compares them."""


def workload_of(recipe: str, preset: str) -> Workload:
    """Raises :class:`PresetUnknown` for a preset without networks, or of no name that is known."""
    if preset not in WORKLOADS:
        names = ", ".join(WORKLOADS)
        raise PresetUnknown(f"The preset '{preset:.64}' needs no plan, or is not known.", f"Choose one of: {names}.")
    workload = WORKLOADS[preset]
    if recipe == "text_to_3d":
        return attrs.evolve(workload, control=False, redux=False, reference=False)
    return attrs.evolve(workload, redux=False) if recipe == "mesh_to_3d" else workload
