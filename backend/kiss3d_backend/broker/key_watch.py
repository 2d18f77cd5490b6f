"""Notices when this user's keys were changed while a backend runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kiss3d_protocol.errors import SecurityError
from kiss3d_protocol.key_files import BackendKeys, backend_key_file, backend_keys

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class KeyWatch:
    """Looks at the key file twice a second. ``keys``: those that are in use."""

    def __init__(self, keys: BackendKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._path = backend_key_file()
        self._stamp = self._look()
        self._next_look = clock() + LOOK_SECONDS

    def changed(self) -> BackendKeys | None:
        """The new keys, once. A file that cannot be used changes nothing: the backend goes on with what it has."""
        if self._clock() < self._next_look:
            return None
        self._next_look = self._clock() + LOOK_SECONDS
        stamp = self._look()
        if stamp == self._stamp or stamp is None:
            return None
        self._stamp = stamp
        try:
            keys = backend_keys(self._path)
        except SecurityError as error:
            _log.error("the new keys cannot be used: %s", error)
            return None
        if keys == self._keys:
            return None
        self._keys = keys
        return keys

    def _look(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino
