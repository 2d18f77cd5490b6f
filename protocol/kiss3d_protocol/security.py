"""Keys of connections: CURVE (ZeroMQ's RFC 26) on every TCP connection, loopback too.

Each side has a pair of Curve25519 keys. A client must know the backend's public key beforehand, and the backend lets in
only the public keys of its allow list; both prove that they hold the secret half. What they say is encrypted with keys
made for that one connection, so that a key that is stolen later opens no recorded one.
"""

from __future__ import annotations

import struct
from typing import Any

import zmq
from attrs import field, frozen
from zmq.utils import z85

ZAP_DOMAIN = "kiss3d"
"""The domain in which a backend's socket asks its doorkeeper (ZAP, RFC 27). Both must name the same one."""

KEY_BYTES = 32


@frozen
class KeyPair:
    """A Curve25519 pair, each key in the 40 letters of Z85 (RFC 32). The secret is not in its ``repr``."""

    public: str
    secret: str = field(repr=False)


@frozen
class ConnectionKeys:
    """What a client needs for a connection: the backend's public key, and its own pair."""

    backend: str
    own: KeyPair


def new_key_pair() -> KeyPair:
    """A fresh pair, from the system's source of randomness."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def key_pair_of(secret: str) -> KeyPair:
    """The pair that a secret key in Z85 belongs to. Raises ValueError for what is no key."""
    key_to_bytes(secret)
    return KeyPair(zmq.curve_public(secret.encode("ascii")).decode("ascii"), secret)


def key_to_bytes(key: str) -> bytes:
    """The 32 bytes of a key in Z85. Raises ValueError for what is no key; its text is not repeated."""
    try:
        decoded = z85.decode(key)
    except (KeyError, ValueError, struct.error):
        decoded = b""
    if len(decoded) != KEY_BYTES:
        raise ValueError("not a key of 32 bytes in Z85")
    return decoded


def key_from_bytes(data: bytes) -> str:
    """A key in Z85. Raises ValueError unless there are 32 bytes."""
    if len(data) != KEY_BYTES:
        raise ValueError("not a key of 32 bytes")
    return z85.encode(data).decode("ascii")


def secure_client(socket: zmq.Socket[Any], keys: ConnectionKeys) -> None:
    """Sets a socket up as a client; before it connects."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.backend.encode("ascii"))
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.own.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret.encode("ascii"))


def secure_backend(socket: zmq.Socket[Any], pair: KeyPair, domain: str = ZAP_DOMAIN) -> None:
    """Sets a socket up as a backend's; before it binds.

    CURVE by itself lets in every client that knows the backend's public key. With ``ZAP_ENFORCE_DOMAIN`` a socket whose
    context has no doorkeeper lets nobody in.
    """
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret.encode("ascii"))
    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode("ascii"))
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
