"""Pairing with a backend in a thread of its own, so that Blender does not wait for the answer (no bpy)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.redeem import pair_with
from kiss3d_protocol.servers import Server


class PairingAttempt:
    """One use of a pairing string; it begins at once. ``client_name`` is name/version, for the backend's log."""

    def __init__(
        self, pairing: PairingString, client_name: str, *, pair: Callable[[str, str], Server] = pair_with
    ) -> None:
        self.address = pairing.address
        self._pairing = pairing
        self._client_name = client_name
        self._pair = pair
        self._outcome: queue.SimpleQueue[Server | Kiss3DError] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="kiss3d-pairing", daemon=True).start()

    def poll(self) -> Server | Kiss3DError | None:
        """The backend that this computer is paired with now, why it is not, or None as long as that is open.

        Tells it once; never blocks.
        """
        try:
            return self._outcome.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        try:
            self._outcome.put(self._pair(self._pairing.to_text(), self._client_name))
        except Kiss3DError as error:
            self._outcome.put(error)
