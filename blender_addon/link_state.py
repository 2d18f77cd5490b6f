"""How things stand with a backend, as a pure function of the news (no bpy, no clock)."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.messages import PresetOffer, Welcome
from kiss3d_protocol.session import LinkChanged, LinkState, News


class Link(Enum):
    """How things stand with a backend. FAILED stays until the user does something."""

    OFF = "off"
    STARTING = "starting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    FAILED = "failed"


@frozen
class LinkView:
    """The connection as the panel shows it. ``error`` is the reason why it does not stand, if one is known."""

    link: Link = Link.OFF
    error: Kiss3DError | None = None
    welcome: Welcome | None = None

    def offer(self, preset: str) -> PresetOffer | None:
        """What the connected backend says about a preset; None while nobody is connected or it does not know it."""
        if self.link is not Link.CONNECTED or self.welcome is None:
            return None
        return next((offer for offer in self.welcome.presets if offer.name == preset), None)

    def lighter_than(self, preset: str) -> PresetOffer | None:
        """The heaviest of the presets below ``preset`` that the connected backend can run; None when there is none."""
        if self.link is not Link.CONNECTED or self.welcome is None:
            return None
        names = [offer.name for offer in self.welcome.presets]
        below = self.welcome.presets[: names.index(preset)] if preset in names else ()
        return next((offer for offer in reversed(below) if offer.offered), None)


_LINKS = {
    LinkState.CONNECTING: Link.CONNECTING,
    LinkState.CONNECTED: Link.CONNECTED,
    LinkState.LOST: Link.LOST,
    LinkState.FAILED: Link.FAILED,
}


def reduce_link(view: LinkView, news: News) -> LinkView:
    """The view after ``news``. The last welcome is kept through a loss, to name the backend that was there."""
    if not isinstance(news, LinkChanged):
        return view
    return LinkView(_LINKS[news.state], news.error, news.welcome or view.welcome)
