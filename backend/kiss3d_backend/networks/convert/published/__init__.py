"""The tensors of the published checkpoints: one text file each, a line ``NAME SHAPE`` for each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from attrs import frozen

from kiss3d_backend.networks.checkpoint.keys import Shape, check_keys


@frozen
class Kind:
    """A checkpoint that can be converted.

    ``name``: also of its list here. ``title``: for messages. ``prefix``: of the model's tensors among all the tensors
    of the checkpoint; the others (losses, discriminators) are left out.
    """

    name: str
    title: str
    prefix: str = ""

    def shapes(self) -> dict[str, Shape]:
        """Names, without the prefix, and shapes as published."""
        text = files(__name__).joinpath(f"{self.name}.txt").read_text(encoding="utf-8")
        lines = (line.rsplit(" ", 1) for line in text.splitlines())
        return {name: tuple(int(side) for side in shape.split("x")) for name, shape in lines}

    def check(self, found: Mapping[str, Shape], source: str) -> None:
        """Raises :class:`~kiss3d_protocol.errors.ModelKeysWrong` unless ``found`` are this model's tensors.

        Names are always compared. Shapes are those that were published when at least half of them are; a model of
        another width has to agree with them in the number of dimensions.
        """
        published = self.shapes()
        alike = sum(found.get(name) == shape for name, shape in published.items())
        if 2 * alike >= len(published):
            check_keys(published, found, source)
        else:
            check_keys({name: _width(shape, found.get(name)) for name, shape in published.items()}, found, source)


def _width(published: Shape, found: Shape | None) -> Shape:
    """The shape to ask for where the width is free: the one that was found, if it has as many dimensions."""
    return found if found is not None and len(found) == len(published) else published


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("multiview_unet", "Kiss3DGen's multiview UNet"),
            Kind("lrm", "the LRM (PRM)", prefix="lrm_generator."),
        )
    }
)
"""By the name that the catalogue uses."""
