"""What is done with a result when it is finished (no bpy)."""

from __future__ import annotations

from attrs import field, frozen, validators

MAX_LODS = 4


@frozen
class ResultOptions:
    """``lods``: how many levels of detail are made, 0 to :data:`MAX_LODS`, each with half the faces of the one before.
    ``asset``: mark it as an asset, with ``tags``, in the catalogue with the id ``catalogue``, or in none."""

    lods: int = field(default=0, validator=[validators.ge(0), validators.le(MAX_LODS)])
    asset: bool = False
    tags: tuple[str, ...] = ()
    catalogue: str = ""


def split_tags(text: str) -> tuple[str, ...]:
    """The tags in a text with commas between them."""
    return tuple(tag for part in text.split(",") if (tag := part.strip()))
