"""The reducer of the model files and their download."""

from __future__ import annotations

import pytest
from blender_addon.models_state import ModelsView, asked, reduce_models

from kiss3d_protocol.errors import Kiss3DError, ModelDiskFull, ModelsOffline
from kiss3d_protocol.messages import Pong, Refused, ServerMessage, new_job_id
from kiss3d_protocol.models import ModelInfo, ModelList, PullCancelled, PullFailed, PullFinished, PullProgress
from kiss3d_protocol.session import LinkChanged, LinkState, Received


def model(name: str, size: int, have: int = 0) -> ModelInfo:
    return ModelInfo(name, name, "some/where", "1", "mit", False, ("fast",), size, have, "missing", "known")


def after(*messages: ServerMessage, view: ModelsView | None = None) -> ModelsView:
    view = view or ModelsView()
    for message in messages:
        view = reduce_models(view, Received(message))
    return view


PROGRESS = PullProgress("download", "flux", "a.safetensors", 5, 10, 1.0, 5.0)


def test_what_is_missing_comes_with_its_sizes_the_most_first() -> None:
    view = after(ModelList((model("small", 5), model("here", 9, 9), model("nearly", 100, 99), model("flux", 50))))
    assert [one.name for one in view.named(("nearly", "small", "flux"))] == ["flux", "small", "nearly"]
    assert not view.pulling and after(ModelList((), ("flux",))).pulling, "somebody else's download is shown too"


def test_a_download_from_the_click_to_its_end() -> None:
    view = asked(after(PullFailed("model.offline", "No.")))
    assert view.pulling and view.error is None and view.progress is None
    view = after(PROGRESS, view=view)
    assert view.pulling and view.progress == PROGRESS
    for end in (PullFinished(("flux",)), PullCancelled()):
        ended = after(end, view=view)
        assert not ended.pulling and ended.progress is None and ended.error is None


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (PullFailed("model.disk_full", "The disk is full.", "Make room."), ModelDiskFull),
        (Refused("pull_models", None, "model.offline", "No network.", "Go on line."), ModelsOffline),
    ],
)
def test_why_a_download_ended_is_kept(message: ServerMessage, kind: type[Kiss3DError]) -> None:
    view = after(message, view=after(PROGRESS))
    assert not view.pulling and type(view.error) is kind and view.error.remedy


def test_other_news_change_nothing() -> None:
    view = after(PROGRESS)
    assert after(Pong(new_job_id()), Refused("submit", None, "a", "b"), view=view) is view
    assert reduce_models(view, LinkChanged(LinkState.LOST)) is view
