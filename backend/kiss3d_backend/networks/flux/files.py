"""The catalogue entries that one FLUX model and what goes with it are loaded from."""

from __future__ import annotations

import attrs

from kiss3d_backend.models.files import EntryFiles
from kiss3d_protocol.errors import ModelFileMissing


@attrs.frozen
class FluxFiles:
    """The catalogue entries of a preset.

    ``model``: the single file. ``lora``: Kiss3DGen's. ``turbo``: the one for few steps. ``transformer``: a file with
    the transformer alone that takes the place of the single file's.
    """

    model: EntryFiles
    clip_tokenizer: EntryFiles
    t5_tokenizer: EntryFiles
    lora: EntryFiles | None = None
    turbo: EntryFiles | None = None
    controlnet: EntryFiles | None = None
    redux: EntryFiles | None = None
    transformer: EntryFiles | None = None


def needed(entry: EntryFiles | None, what: str) -> EntryFiles:
    """``entry``. Raises :class:`ModelFileMissing` when it was not given; ``what`` it is, in words."""
    if entry is None:
        raise ModelFileMissing(f"The preset needs a {what}, and its files were not given.")
    return entry
