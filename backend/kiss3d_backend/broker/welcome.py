"""What a backend says of itself to a client that comes in."""

from __future__ import annotations

from pathlib import Path

from kiss3d_backend import __version__
from kiss3d_backend.devices.probe import probe_device
from kiss3d_backend.models.offers import preset_offers
from kiss3d_backend.models.overview import bytes_missing
from kiss3d_protocol.messages import Welcome
from kiss3d_protocol.version import HEARTBEAT_SECONDS, PROTOCOL_VERSION


def make_welcome(instance: str, data_dir: Path) -> Welcome:
    """The welcome of this backend as things stand now."""
    presets = preset_offers(data_dir)
    missing = {name: None for offer in presets for name in offer.missing_models}
    return Welcome(
        protocol=PROTOCOL_VERSION,
        server=f"kiss3d/{__version__}",
        instance=instance,
        heartbeat_seconds=HEARTBEAT_SECONDS,
        device=probe_device(),
        presets=presets,
        missing_models=tuple(missing),
        bytes_to_get=bytes_missing(data_dir, missing),
    )
