"""Who speaks in a connection, and the one thing that a connection with a pairing's key can do."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kiss3d_backend.clients.identity import ClientIdentity
from kiss3d_backend.clients.registry import ClientRegistry, Pairing
from kiss3d_backend.disk import naming_disk_errors
from kiss3d_protocol.errors import Kiss3DError, PairingRefused
from kiss3d_protocol.framing import decode_client, peek, version_mismatch
from kiss3d_protocol.messages import Refused, ServerMessage
from kiss3d_protocol.pairing import Pair, Paired
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.version import PROTOCOL_MAJOR, major_of

_log = logging.getLogger(__name__)


class Admission:
    """The registry as the broker uses it."""

    def __init__(self, registry: ClientRegistry) -> None:
        self._registry = registry

    def who(self, key: str) -> ClientIdentity | Pairing | None:
        """Whose key it is at this moment: the doorkeeper's answer may be hours old."""
        return self._registry.who(key)

    def greet(self, client: ClientIdentity) -> None:
        """A client has said hello."""
        self._registry.saw(client)

    def has_changed(self) -> bool:
        """Whether keys have come or gone since the last call."""
        return self._registry.has_changed()

    def change_owner_key(self, public_key: str) -> None:
        """The owner has a new key."""
        self._registry.change_owner_key(public_key)

    def pair(self, pairing: Pairing, frames: Sequence[Blob]) -> ServerMessage:
        """The answer to a message that came with a pairing's key."""
        try:
            message, _ = decode_client(frames)
            if not isinstance(message, Pair):
                raise PairingRefused("With a pairing string nothing can be done but to pair.")
            if major_of(message.protocol) != PROTOCOL_MAJOR:
                raise version_mismatch(message.protocol)
            with naming_disk_errors():
                client = self._registry.redeem(pairing.public_key, message.public_key)
        except Kiss3DError as error:
            _log.warning("the pairing of %s failed: %s", pairing.name, error.message)
            return Refused(peek(frames)[0], None, error.code, error.message, error.remedy)
        _log.info("client %s (%s) was paired with key %.8s...", client.name, message.client, message.public_key)
        return Paired(client.name, client.admin)
