"""How patient a download is."""

from __future__ import annotations

from attrs import frozen


@frozen
class DownloadSettings:
    """``parallel``: files at once. ``attempts``: tries in a row that bring no byte before giving up. ``backoff``:
    seconds before the second try, doubled each time up to ``longest_backoff``. ``stall``: seconds without a byte.
    ``describe``: seconds for the hub to describe a file.
    """

    parallel: int = 4
    attempts: int = 5
    backoff: float = 0.5
    longest_backoff: float = 10.0
    stall: float = 30.0
    describe: float = 10.0


def settings_from_environment() -> DownloadSettings:
    """The defaults, or what ``HF_HUB_DOWNLOAD_TIMEOUT`` and ``HF_HUB_ETAG_TIMEOUT`` say in seconds."""
    from huggingface_hub import constants

    default = DownloadSettings()
    stall, describe = constants.HF_HUB_DOWNLOAD_TIMEOUT, constants.HF_HUB_ETAG_TIMEOUT
    return DownloadSettings(
        stall=default.stall if stall == constants.DEFAULT_DOWNLOAD_TIMEOUT else float(stall),
        describe=float(describe),
    )
