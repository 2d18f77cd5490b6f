"""Weights from verified safetensors files into modules: mapped, checked key by key, never twice in memory."""

from kiss3d_backend.networks.checkpoint.assign import assign, refuse_unassigned
from kiss3d_backend.networks.checkpoint.keys import check_keys
from kiss3d_backend.networks.checkpoint.meta import parameters_on_meta
from kiss3d_backend.networks.checkpoint.tensors import Tensors, open_entry, open_tensors, same_tensors

__all__ = [
    "Tensors",
    "assign",
    "check_keys",
    "open_entry",
    "open_tensors",
    "parameters_on_meta",
    "refuse_unassigned",
    "same_tensors",
]
