"""What tensors are called in the published files, and what the libraries call them today."""

from __future__ import annotations

_TEXT_PREFIX = "text_model."
_VAE_ATTENTION = ".mid_block.attentions.0."
_VAE_RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def is_weight(name: str) -> bool:
    """False for the position numbers that older versions of transformers stored; modules make them themselves."""
    return not name.endswith(".position_ids")


def as_in_clip_text_model(name: str) -> str:
    """transformers 5 has the layers of a CLIP text model at its top; older versions wrote a prefix."""
    return name.removeprefix(_TEXT_PREFIX)


def as_in_vae(name: str) -> str:
    """Autoencoders of the first versions of diffusers have other names in the attention of their middle block."""
    head, found, tail = name.partition(_VAE_ATTENTION)
    if not found:
        return name
    layer, dot, kind = tail.partition(".")
    return f"{head}{found}{_VAE_RENAMED.get(layer, layer)}{dot}{kind}"
