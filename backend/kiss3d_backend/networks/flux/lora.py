"""LoRA files for FLUX: read in either usual format, checked against the transformer, set and taken off."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from safetensors import SafetensorError, safe_open

from kiss3d_backend.networks.checkpoint import open_tensors
from kiss3d_backend.networks.flux.bfl_names import places
from kiss3d_backend.networks.flux.stored_layers import LowRank, StoredLinear
from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing, ModelKeysWrong

_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.")
_KOHYA_PREFIXES = ("lora_unet_", "lora_transformer_")
_TEXT_PREFIXES = ("lora_te", "text_encoder.", "text_encoder_2.", "text_encoders.")
_ROLES = (
    (re.compile(r"(.+)\.(?:lora_A(?:\.\w+)?|lora_down|lora\.down)\.weight"), "down"),
    (re.compile(r"(.+)\.(?:lora_B(?:\.\w+)?|lora_up|lora\.up)\.weight"), "up"),
    (re.compile(r"(.+)\.alpha"), "alpha"),
)
_NAMED = 5


@attrs.frozen(eq=False)
class Factors:
    """What is added to one layer: ``scale`` * up(down(x)). ``down``: (rank, in), ``up``: (out, rank)."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float


@attrs.frozen(eq=False)
class Lora:
    """``layers``: by diffusers' module names.

    ``text_encoder_names``: tensors for the text encoders, which are not used (the file's prompts were trained with
    them, so the user should know).
    """

    source: str
    layers: Mapping[str, Factors]
    text_encoder_names: tuple[str, ...]


@attrs.define
class _Parts:
    """What a file says of one module."""

    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    alpha: float | None = None


def read_lora(path: Path, transformer: FluxTransformer2DModel) -> Lora:
    """A LoRA of any rank in kohya's names (``lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight``, with alpha)
    or PEFT's (``transformer.transformer_blocks.0.attn.to_q.lora_A.weight``, also without the prefix), told by its keys.

    ``transformer``: one that :func:`~kiss3d_backend.networks.flux.transformer.load_transformer` made. Without an alpha
    in keys or metadata it equals the rank. Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt`, and
    :class:`ModelKeysWrong`, which lists them, for tensors of unknown layers, half pairs and wrong shapes.
    """
    tensors = open_tensors(path)
    metadata = _metadata(path)
    layers = {name: child for name, child in transformer.named_modules() if isinstance(child, StoredLinear)}
    known = _known_modules(layers, transformer)
    text_names = tuple(sorted(name for name in tensors if name.startswith(_TEXT_PREFIXES)))
    found: dict[str, _Parts] = {}
    unknown: list[str] = []
    for name in tensors:
        if name.startswith(_TEXT_PREFIXES):
            continue
        module, role = _split(name)
        if module not in known:
            unknown.append(name)
            continue
        parts = found.setdefault(module, _Parts())
        value = tensors[name]
        if role == "alpha":
            parts.alpha = float(value)
        else:
            setattr(parts, role, value)
    halves = [module for module, parts in found.items() if parts.down is None or parts.up is None]
    _refuse(tensors.source, "of no known layer:", unknown)
    _refuse(tensors.source, "without their other half, for", halves)
    if not found:
        raise ModelKeysWrong(f"{tensors.source} holds no LoRA for FLUX's transformer.")
    result: dict[str, Factors] = {}
    for module, parts in found.items():
        result |= dict(_factors(module, parts, known[module], layers, metadata, tensors.source))
    return Lora(tensors.source, result, text_names)


def set_lora(
    transformer: FluxTransformer2DModel, name: str, lora: Lora, weight: float = 1.0, device: torch.device | None = None
) -> None:
    """Adds ``lora`` times ``weight`` to the layers, in the place of one of the same ``name`` (an identifier).

    Stored weights are not touched; several LoRAs add up. ``device``: where the transformer computes; None where each
    layer's weight lies.
    """
    remove_lora(transformer, name)
    for module, factors in lora.layers.items():
        layer = transformer.get_submodule(module)
        assert isinstance(layer, StoredLinear)
        place = device or layer.weight.device
        layer.adapters[name] = LowRank(factors.down.to(place), factors.up.to(place), factors.scale * weight)


def remove_lora(transformer: FluxTransformer2DModel, name: str) -> None:
    """Takes the LoRA of this ``name`` off all layers; nothing happens when there is none."""
    for layer in transformer.modules():
        if isinstance(layer, StoredLinear) and name in layer.adapters:
            del layer.adapters[name]


@attrs.frozen
class _Cut:
    """A part of a LoRA's module: diffusers' ``module`` takes these ``rows`` of the up matrix (all if None)."""

    module: str
    rows: tuple[tuple[int, int], ...] | None


def _known_modules(
    layers: Mapping[str, StoredLinear], transformer: FluxTransformer2DModel
) -> dict[str, tuple[_Cut, ...]]:
    """Every name that a file may give a module: diffusers' and BFL's, with dots and with underscores."""
    config = transformer.config
    known: dict[str, tuple[_Cut, ...]] = {name: (_Cut(name, None),) for name in layers}
    width = config["num_attention_heads"] * config["attention_head_dim"]
    for name, place in places(config["num_layers"], config["num_single_layers"]).items():
        if all(module in layers for module in place.modules):
            total = sum(layers[module].out_features for module in place.modules)
            rows = place.rows(total, width)
            known[name] = tuple(_Cut(module, cut) for module, cut in zip(place.modules, rows, strict=True))
    underscored = {name.replace(".", "_"): cuts for name, cuts in known.items()}
    return known | underscored


def _split(name: str) -> tuple[str, str]:
    for pattern, role in _ROLES:
        match = pattern.fullmatch(name)
        if match:
            return _without_prefix(match.group(1)), role
    return "", ""


def _without_prefix(module: str) -> str:
    for prefix in _KOHYA_PREFIXES:
        if module.startswith(prefix):
            return module.removeprefix(prefix)
    for prefix in _PREFIXES:
        module = module.removeprefix(prefix)
    return module


def _factors(
    module: str,
    parts: _Parts,
    cuts: tuple[_Cut, ...],
    layers: Mapping[str, StoredLinear],
    metadata: Mapping[str, Any],
    source: str,
) -> Iterator[tuple[str, Factors]]:
    assert parts.down is not None and parts.up is not None
    out = sum(layers[cut.module].out_features for cut in cuts)
    wide = layers[cuts[0].module].in_features
    down, up = parts.down, parts.up
    rank = down.shape[0] if down.ndim == 2 else -1
    if down.shape != (rank, wide) or up.shape != (out, rank):
        raise ModelKeysWrong(
            f"{source}: the LoRA of {module} is {tuple(up.shape)} x {tuple(down.shape)}, "
            f"and its layer has {wide} inputs and {out} outputs."
        )
    scale = _scale(module, rank, parts.alpha, metadata)
    for cut in cuts:
        rows = up if cut.rows is None else torch.cat([up[start:stop] for start, stop in cut.rows])
        yield cut.module, Factors(down, rows, scale)


def _scale(module: str, rank: int, alpha: float | None, metadata: Mapping[str, Any]) -> float:
    if alpha is not None:
        return alpha / rank
    pattern = metadata.get("alpha_pattern") or {}
    told = pattern.get(module, metadata.get("lora_alpha"))
    if told is None:
        return 1.0
    return float(told) / (math.sqrt(rank) if metadata.get("use_rslora") else rank)


def _metadata(path: Path) -> dict[str, Any]:
    """PEFT's settings, which diffusers keeps as JSON in the file's metadata; kohya's alpha by the same name."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            texts = file.metadata() or {}
        if "lora_adapter_metadata" in texts:
            settings = json.loads(texts["lora_adapter_metadata"])
            return {name.removeprefix("transformer."): value for name, value in settings.items()}
        return {"lora_alpha": float(texts["ss_network_alpha"])} if "ss_network_alpha" in texts else {}
    except FileNotFoundError as error:
        raise ModelFileMissing(f"The model file {path} is not there.") from error
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise ModelFileCorrupt(f"The metadata of the LoRA {path} cannot be read ({error}).") from error


def _refuse(source: str, what: str, names: list[str]) -> None:
    if names:
        listed = ", ".join(sorted(names)[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        raise ModelKeysWrong(f"{source} holds {len(names)} tensors {what} {listed}.")
