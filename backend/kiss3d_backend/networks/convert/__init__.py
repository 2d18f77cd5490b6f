"""Pickled checkpoints to safetensors, once, without running anything that is in them.

``python -m kiss3d_backend.networks.convert KIND SOURCE TARGET`` is what the model store runs in a child process;
nothing else reads a pickle.
"""

from kiss3d_backend.networks.convert.convert import Converted, convert
from kiss3d_backend.networks.convert.published import KINDS, Kind

__all__ = ["KINDS", "Converted", "Kind", "convert"]
