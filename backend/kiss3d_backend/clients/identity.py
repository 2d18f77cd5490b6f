"""Who a client is, apart from the key that it has at the moment."""

from __future__ import annotations

from attrs import frozen

OWNER_ID = "local"


@frozen
class ClientIdentity:
    """A client as jobs know it. ``id`` outlives its keys; an ``admin`` may do everything with everybody's jobs."""

    id: str
    name: str
    admin: bool = False

    def may_use(self, owner: str) -> bool:
        """Whether a job of ``owner`` (an id) is this client's business."""
        return self.admin or self.id == owner


OWNER = ClientIdentity(OWNER_ID, OWNER_ID, admin=True)
"""The user whose backend it is: whoever can read its key file. Jobs from before there were keys are this user's."""
