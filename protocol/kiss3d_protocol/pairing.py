"""The messages by which a backend gets to know a client's key (SPEC.md, sections 5, 6 and 9)."""

from __future__ import annotations

from attrs import field, frozen, validators

from kiss3d_protocol.validation import key_text, name_text


@frozen
class Pair:
    """Puts a client's own public key on the allow list; the only message of a connection with a pairing's key.

    ``client`` is name/version, for the log.
    """

    protocol: str = field(validator=validators.max_len(32))
    client: str = field(validator=name_text)
    public_key: str = field(validator=key_text)


@frozen
class NewBackendKey:
    """The backend's key is about to be another one: the client keeps it, and connects anew with it."""

    public_key: str = field(validator=key_text)


@frozen
class Paired:
    """The answer to :class:`Pair`. ``name``: under which the backend knows the client. ``admin``: it sees all jobs."""

    name: str = field(validator=name_text)
    admin: bool = False
