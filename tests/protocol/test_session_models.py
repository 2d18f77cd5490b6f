"""The client's half of pulls and choices, step by step."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from tests.protocol.samples import (
    INSTANCE,
    JOB,
    OTHER_INSTANCE,
    OTHER_JOB,
    bundles_ready,
    model,
    report_files,
    submit,
    welcome,
)
from tests.protocol.test_session import HELLO, Rig, progress, stage

from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Attach, Choose, GetReport, PresetOffer, Refused
from kiss3d_protocol.models import (
    CancelPull,
    ListModels,
    ModelList,
    PullCancelled,
    PullFailed,
    PullFinished,
    PullModels,
    PullProgress,
)
from kiss3d_protocol.session import LinkChanged, LinkState, Received

PULL = PullModels("fast")
COMING = PullProgress("download", "flux", "flux.safetensors", 1, 2, 3.0, 4.0)


def test_a_model_list_is_handed_on() -> None:
    rig = Rig(connected=True)
    rig.session.list_models()
    assert rig.sent() == [ListModels()]
    rig.hear(ModelList((model(),)))
    assert rig.news() == [ModelList((model(),))]


def test_a_report_is_handed_on_with_its_files() -> None:
    rig = Rig(connected=True)
    rig.session.get_report(JOB)
    assert rig.sent() == [GetReport(JOB)]
    message, blobs = report_files()
    rig.session.receive(encode(message, blobs), 0.0)
    (received,) = rig.session.news
    assert isinstance(received, Received) and received.message == message
    assert [bytes(blob) for blob in received.blobs] == blobs


@pytest.mark.parametrize("end", [PullFinished(("flux",)), PullFailed("model.gated", "No.", "Accept."), PullCancelled()])
def test_a_pull_is_followed_to_its_end_and_asked_for_again_after_a_loss(end: Any) -> None:
    rig = Rig(connected=True)
    rig.session.pull_models(PULL)
    rig.session.pull_models(PULL)
    assert rig.sent() == [PULL, PULL]
    rig.hear(COMING)
    assert rig.news() == [COMING]
    rig.tick(100.0)
    assert rig.sent() == [HELLO]
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [PULL]
    rig.news()
    rig.hear(end)
    assert rig.news() == [end]
    rig.hear(COMING)
    rig.hear(end)
    assert rig.news() == []
    rig.hear(welcome(INSTANCE))
    assert rig.sent() == []


def test_pulls_that_nobody_asked_for_are_dropped() -> None:
    rig = Rig(connected=True)
    for message in (COMING, PullFinished(()), PullCancelled()):
        rig.hear(message)
    assert rig.news() == []


def test_a_cancel_of_a_pull_is_said_again_until_the_end_comes() -> None:
    rig = Rig(connected=True)
    rig.session.pull_models(PULL)
    rig.session.cancel_pull()
    assert rig.sent() == [PULL, CancelPull()]
    rig.hear(COMING)
    assert rig.news() == []
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [CancelPull()]
    rig.news()
    rig.hear(PullCancelled())
    assert rig.news() == [PullCancelled()]
    rig.hear(welcome(INSTANCE))
    assert rig.sent() == []


def test_a_refused_pull_is_not_asked_for_again() -> None:
    rig = Rig(connected=True)
    rig.session.pull_models(PullModels(None, ("nothing",)))
    rig.sent()
    refused = Refused("pull_models", None, "model.catalogue_invalid", "There is no such entry.")
    rig.hear(refused)
    assert rig.news() == [refused]
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == []


def test_what_is_asked_before_the_welcome_is_sent_after_it() -> None:
    rig = Rig()
    rig.session.pull_models(PULL)
    rig.session.list_models()
    rig.session.choose(OTHER_JOB, [0])
    rig.tick()
    assert rig.sent() == [HELLO]
    rig.hear(welcome())
    assert rig.sent() == [PULL, ListModels(), Choose(OTHER_JOB, (0,))]


def test_a_choice_is_said_again_until_an_event_answers_it() -> None:
    rig = Rig(connected=True)
    rig.session.submit(*submit())
    rig.hear(*bundles_ready(number=1))
    rig.sent()
    rig.session.choose(JOB, [1, 0])
    assert rig.sent() == [Choose(JOB, (1, 0))]
    # Something that passes by is no answer.
    rig.hear(progress())
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [Attach(JOB, 1), Choose(JOB, (1, 0))]
    rig.hear(stage(2))
    rig.hear(welcome(INSTANCE))
    assert rig.sent() == [Attach(JOB, 2)]


def test_a_refused_choice_is_not_said_again() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.session.choose(JOB, [5])
    rig.sent()
    refused = Refused("choose", JOB, "params.invalid", "There is no sixth.")
    rig.hear(refused)
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [Attach(JOB, 0)]
    assert rig.news() == [refused, LinkState.CONNECTED]


def test_a_welcome_with_other_offers_is_news() -> None:
    rig = Rig(connected=True)
    changed = attrs.evolve(welcome(), presets=(PresetOffer("fast", "Fast", True),), missing_models=())
    rig.hear(changed)
    assert list(rig.session.news) == [LinkChanged(LinkState.CONNECTED, changed)]
    assert rig.session.welcome == changed
    rig.news()
    rig.hear(attrs.evolve(changed, device=attrs.evolve(changed.device, ram_free=77)))
    assert (rig.news(), rig.sent()) == ([], [])
