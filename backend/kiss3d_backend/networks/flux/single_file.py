"""The published FLUX files: one with everything, or the transformer alone."""

from __future__ import annotations

import attrs

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import Tensors, open_entry
from kiss3d_protocol.errors import ModelFileMissing, ModelKeysWrong

TRANSFORMER = "model.diffusion_model."
CLIP = "text_encoders.clip_l.transformer."
T5 = "text_encoders.t5xxl.transformer."
VAE = "vae."

_UNUSED = frozenset({"text_encoders.clip_l.logit_scale", "text_encoders.t5xxl.logit_scale"})
"""Training left them behind; no encoder has a use for them."""


@attrs.frozen(eq=False)
class FluxFile:
    """The mapped tensors of a FLUX file by model, without prefixes. None: the file has the transformer only."""

    transformer: Tensors
    clip: Tensors | None = None
    t5: Tensors | None = None
    vae: Tensors | None = None

    def part(self, name: str) -> Tensors:
        """``clip``, ``t5`` or ``vae``. Raises :class:`ModelKeysWrong` when the file lacks it."""
        found: Tensors | None = getattr(self, name)
        if found is None:
            raise ModelKeysWrong(
                f"{self.transformer.source} holds the transformer alone, without its text encoders and autoencoder.",
                "Use the single file that holds all of them, as the catalogue names it.",
            )
        return found


def split(tensors: Tensors) -> FluxFile:
    """By prefix; a file without prefixes is a transformer. Nothing is read or copied.

    Raises :class:`ModelKeysWrong` for a tensor that belongs to none of the models, and for a model that is not there.
    """
    if not any(name.startswith((TRANSFORMER, CLIP, T5, VAE)) for name in tensors):
        return FluxFile(tensors)
    strangers = [name for name in tensors if not name.startswith((TRANSFORMER, CLIP, T5, VAE)) and name not in _UNUSED]
    if strangers:
        raise ModelKeysWrong(f"{tensors.source} holds {len(strangers)} tensors of no known model ({strangers[0]}).")
    parts = {prefix: tensors.under(prefix) for prefix in (TRANSFORMER, CLIP, T5, VAE)}
    empty = [prefix for prefix, part in parts.items() if not part]
    if empty:
        raise ModelKeysWrong(f"{tensors.source} holds nothing under {', '.join(empty)}.")
    return FluxFile(parts[TRANSFORMER], parts[CLIP], parts[T5], parts[VAE])


def open_flux(files: EntryFiles) -> FluxFile:
    """The FLUX file of an entry, which must have one safetensors file.

    Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt` and :class:`ModelKeysWrong` (see :func:`split`).
    """
    names = [name for name in files.paths if name.endswith(".safetensors")]
    if len(names) != 1:
        raise ModelFileMissing(f"The model '{files.entry}' must have one safetensors file, and has {len(names)}.")
    return split(open_entry(files, names[0]))
