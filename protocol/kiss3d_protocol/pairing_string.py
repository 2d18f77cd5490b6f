"""The string that starts a pairing: what a client has to know before its first connection to a backend.

The short-lived secret of a pairing string is a CURVE key of its own, which the backend lets in for one message only. So
whoever does not hold the string does not get as far as a message, nothing can be guessed or listened to, and the
backend keeps only the public half of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from attrs import field, frozen

from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.errors import AddressInvalid, PairingInvalid
from kiss3d_protocol.security import KEY_BYTES, ConnectionKeys, key_from_bytes, key_pair_of, key_to_bytes
from kiss3d_protocol.servers import is_name

PREFIX = "kiss3d1-"
CHECK_BYTES = 4
MAX_LETTERS = 1000


@frozen
class PairingString:
    """What ``kiss3d pair`` prints: where the backend is, its public key, a key for one use, the client's name."""

    address: Address
    keys: ConnectionKeys = field(repr=False)
    name: str

    def to_text(self) -> str:
        """One word of letters, digits, ``-`` and ``_``."""
        keys = key_to_bytes(self.keys.backend) + key_to_bytes(self.keys.own.secret)
        content = keys + f"{self.address}\n{self.name}".encode()
        return PREFIX + base64.urlsafe_b64encode(content + _check(content)).decode("ascii").rstrip("=")


def parse_pairing(text: str) -> PairingString:
    """The pairing string in a text that was pasted; white space does not matter.

    Raises :class:`PairingInvalid`, whose words do not repeat the text.
    """
    letters = re.sub(r"\s", "", text)
    if not letters.startswith(PREFIX) or len(letters) > MAX_LETTERS:
        raise PairingInvalid("This is not a pairing string.")
    body = letters.removeprefix(PREFIX)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PairingInvalid("This is not a whole pairing string.") from error
    content, check = data[:-CHECK_BYTES], data[-CHECK_BYTES:]
    if check != _check(content) or len(content) <= 2 * KEY_BYTES:
        raise PairingInvalid("This is not a whole pairing string.")
    try:
        backend = key_from_bytes(content[:KEY_BYTES])
        own = key_pair_of(key_from_bytes(content[KEY_BYTES : 2 * KEY_BYTES]))
        place, name = content[2 * KEY_BYTES :].decode("utf-8").split("\n")
        address = parse_address(place)
    except (ValueError, AddressInvalid) as error:
        raise PairingInvalid("This pairing string says nothing that this version understands.") from error
    if not is_name(name):
        raise PairingInvalid("This pairing string says nothing that this version understands.")
    return PairingString(address, ConnectionKeys(backend, own), name)


def _check(content: bytes) -> bytes:
    """Against a slip in copying, not against malice: who changes a string only makes it useless."""
    return hashlib.sha256(content).digest()[:CHECK_BYTES]
