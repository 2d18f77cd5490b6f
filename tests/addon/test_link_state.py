"""The reducer of the connection: news in, views out."""

from __future__ import annotations

import attrs
from blender_addon.link_state import Link, LinkView, reduce_link
from tests.protocol.samples import welcome

from kiss3d_protocol.errors import BackendUnreachable
from kiss3d_protocol.messages import Device, PresetOffer, Welcome, new_job_id
from kiss3d_protocol.session import LinkChanged, LinkState


def test_link_tells_the_reason_and_keeps_the_backend_through_a_loss() -> None:
    welcome = Welcome(
        protocol="1.0",
        server="kiss3d/0.1.0",
        instance=new_job_id(),
        heartbeat_seconds=2.0,
        device=Device("cpu", "CPU", None, None, 1, 1),
        presets=(PresetOffer("draft", "Draft", True), PresetOffer("fast", "Fast", False, "It needs a GPU.")),
    )
    view = reduce_link(LinkView(), LinkChanged(LinkState.CONNECTING, None, BackendUnreachable("Nobody is there.")))
    assert view.link is Link.CONNECTING and isinstance(view.error, BackendUnreachable)
    assert view.offer("fast") is None, "nobody has said anything about presets yet"

    view = reduce_link(view, LinkChanged(LinkState.CONNECTED, welcome))
    assert view.error is None
    offer = view.offer("fast")
    assert offer is not None and offer.reason == "It needs a GPU."
    assert view.offer("nonsense") is None

    view = reduce_link(view, LinkChanged(LinkState.LOST))
    assert view.link is Link.LOST and view.welcome == welcome and view.offer("draft") is None


def test_offers_that_change_reach_the_panel() -> None:
    view = reduce_link(LinkView(), LinkChanged(LinkState.CONNECTED, welcome()))
    offer = view.offer("fast")
    assert offer is not None and not offer.offered
    changed = attrs.evolve(welcome(), presets=(PresetOffer("fast", "Fast", True),))
    offer = reduce_link(view, LinkChanged(LinkState.CONNECTED, changed)).offer("fast")
    assert offer is not None and offer.offered


def test_the_heaviest_lighter_preset_that_runs_is_what_would_do() -> None:
    runs = {"draft": True, "fast": True, "big": False, "huge": True}
    offers = tuple(PresetOffer(name, name, offered) for name, offered in runs.items())
    view = reduce_link(LinkView(), LinkChanged(LinkState.CONNECTED, attrs.evolve(welcome(), presets=offers)))
    lighter = {name: view.lighter_than(name) for name in (*runs, "unknown")}
    assert {name: offer and offer.name for name, offer in lighter.items()} == {
        "draft": None,
        "fast": "draft",
        "big": "fast",
        "huge": "fast",
        "unknown": None,
    }
    lost = reduce_link(view, LinkChanged(LinkState.LOST))
    assert lost.lighter_than("big") is None
