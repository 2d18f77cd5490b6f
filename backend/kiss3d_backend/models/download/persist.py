"""Trying again, where that helps."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar

from kiss3d_backend.models.download.hub import Interrupted
from kiss3d_backend.models.download.settings import DownloadSettings
from kiss3d_protocol.errors import JobCancelled, ModelDownloadFailed

T = TypeVar("T")


def persist(
    what: str, attempt: Callable[[], T], received: Callable[[], int], settings: DownloadSettings, cancel: Event
) -> T:
    """Calls ``attempt`` until it does not raise :class:`Interrupted`, with growing pauses.

    ``received``: bytes that have come so far; tries that brought some do not count as failed. ``what``: for the error.
    Raises :class:`ModelDownloadFailed` after ``settings.attempts`` tries in a row that brought nothing,
    :class:`JobCancelled`, and what ``attempt`` raises.
    """
    barren = 0
    while True:
        check_cancel(cancel)
        before = received()
        try:
            return attempt()
        except Interrupted as error:
            check_cancel(cancel)
            barren = 1 if received() > before else barren + 1
            if barren >= settings.attempts:
                raise ModelDownloadFailed(f"{what} could not be downloaded: {error}.") from error
            cancel.wait(min(settings.backoff * 2 ** (barren - 1), settings.longest_backoff))


def check_cancel(cancel: Event) -> None:
    """Raises :class:`JobCancelled`."""
    if cancel.is_set():
        raise JobCancelled("The download was cancelled; it goes on where it stopped when it is started again.")
