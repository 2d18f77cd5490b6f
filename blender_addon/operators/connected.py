"""What operators that talk to a backend ask first."""

from __future__ import annotations

from .. import preferences
from ..connection import Connection
from ..link_state import Link
from ..translations import tr


def connected(operator, context) -> Connection | None:
    """The connection that stands. None, with the reason for the tooltip of the operator's class, when there is none."""
    connection = preferences.connection(context)
    if connection is None or connection.view.link is not Link.CONNECTED:
        operator.poll_message_set(tr("Connect to the backend first"))
        return None
    return connection
