"""Every random number of a run, drawn at once.

Drawn before the loop, nothing inside it waits for the host, and whoever wants to compare with another implementation
can pass the same numbers to both.
"""

from __future__ import annotations

from typing import Any

import attrs
import torch


@attrs.frozen(eq=False)
class Noise:
    """Standard normal, float32. T steps, C latent channels; h, w: of the condition's latents, H, W: of the result's.

    ``picture``, ``negative``: (1, C, h, w), for the sample of the autoencoder's code of the picture and of the zero
    tensor. ``initial``: (1, C, H, W). ``condition``: (T, 2, C, h, w), added to the code of the zero tensor (first) and
    of the picture (second) in each step. ``ancestral``: (T, 1, C, H, W), added to the result after each step.
    """

    picture: torch.Tensor
    negative: torch.Tensor
    initial: torch.Tensor
    condition: torch.Tensor
    ancestral: torch.Tensor

    @classmethod
    def draw(
        cls, generator: torch.Generator, steps: int, size: tuple[int, int, int], condition_size: tuple[int, int, int]
    ) -> Noise:
        """Draws in the order of the fields: picture, negative, initial, all of condition, all of ancestral.

        ``size``: (C, H, W), ``condition_size``: (C, h, w). The numbers depend on the generator's device; drawn on the
        CPU, one seed means the same noise on every device.
        """

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, device=generator.device, dtype=torch.float32)

        return cls(
            picture=normal(1, *condition_size),
            negative=normal(1, *condition_size),
            initial=normal(1, *size),
            condition=normal(steps, 2, *condition_size),
            ancestral=normal(steps, 1, *size),
        )

    def to(self, device: torch.device) -> Noise:
        """The same numbers on ``device``."""
        moved: dict[str, Any] = {field.name: getattr(self, field.name).to(device) for field in attrs.fields(Noise)}
        return Noise(**moved)
