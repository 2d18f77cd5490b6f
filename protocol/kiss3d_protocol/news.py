"""What a client tells its user: how the connection stands, and the messages that came."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from attrs import frozen

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.messages import ServerMessage, Welcome
from kiss3d_protocol.payloads import Blob


class LinkState(Enum):
    """How the connection stands. FAILED is final: the peer will never understand us."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    FAILED = "failed"


@frozen
class LinkChanged:
    """The connection changed. ``welcome`` is there when connected; ``error`` says why it is not."""

    state: LinkState
    welcome: Welcome | None = None
    error: Kiss3DError | None = None


@frozen
class Received:
    """A message for the user of the client: an event, a refusal, a list or word of a pull, with its blobs."""

    message: ServerMessage
    blobs: Sequence[Blob] = ()


News = LinkChanged | Received
