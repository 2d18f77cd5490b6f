"""The three networks of the stage, as whoever holds them lends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.zero123.autoencoder import Autoencoder
from kiss3d_backend.networks.zero123.conditioning import Conditioner
from kiss3d_backend.networks.zero123.configuration import read_json
from kiss3d_backend.networks.zero123.loader import load_autoencoder, load_conditioner, load_unet
from kiss3d_backend.networks.zero123.reference import ReferenceUNet


@attrs.frozen(eq=False)
class Parts:
    """Each is called when its network is needed, and what it returns is dropped right after.

    The calls come in the order of the fields, the autoencoder once more at the end, so that only one of them has to be
    on the device at a time. A :class:`kiss3d_backend.networks.shelf.Slot` is such a call. ``scheduler``: the
    configuration that comes with the weights.
    """

    scheduler: Callable[[], Mapping[str, Any]]
    conditioner: Callable[[], Conditioner]
    autoencoder: Callable[[], Autoencoder]
    unet: Callable[[], ReferenceUNet]


def parts_from_files(
    repository: EntryFiles, unet: EntryFiles, device: torch.device, dtype: torch.dtype, *, tiled_decoding: bool = False
) -> Parts:
    """Parts that are loaded anew at each call. For the arguments and the errors see :mod:`.loader`."""
    return Parts(
        scheduler=lambda: read_scheduler(repository),
        conditioner=lambda: load_conditioner(repository, device, dtype),
        autoencoder=lambda: load_autoencoder(repository, device, dtype, tiled=tiled_decoding),
        unet=lambda: load_unet(repository, unet, device, dtype),
    )


def read_scheduler(repository: EntryFiles) -> Mapping[str, Any]:
    """The repository's scheduler configuration."""
    return read_json(repository, "scheduler/scheduler_config.json")
