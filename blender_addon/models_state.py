"""What is known about a backend's model files and their download, as a pure function of the news (no bpy, no clock)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from kiss3d_protocol.errors import Kiss3DError, error_from_wire
from kiss3d_protocol.messages import Refused
from kiss3d_protocol.models import PULL_ENDS, ModelInfo, ModelList, PullFailed, PullProgress
from kiss3d_protocol.session import News, Received


@frozen
class ModelsView:
    """The models as the panel shows them. ``models``: all that the backend told of; empty before it has told.

    ``pulling``: a download runs; ``progress`` is its last word. ``error``: why the last one ended early.
    """

    models: tuple[ModelInfo, ...] = ()
    pulling: bool = False
    progress: PullProgress | None = None
    error: Kiss3DError | None = None

    def named(self, names: Sequence[str]) -> tuple[ModelInfo, ...]:
        """What is known of these entries, those with the most left to download first."""
        return tuple(sorted((one for one in self.models if one.name in names), key=lambda one: one.have - one.size))


def asked(view: ModelsView) -> ModelsView:
    """The view after the user asked for a download, until the backend has answered."""
    return evolve(view, pulling=True, progress=None, error=None)


def reduce_models(view: ModelsView, news: News) -> ModelsView:
    """The view after ``news``; the same object when they do not concern models."""
    if not isinstance(news, Received):
        return view
    match news.message:
        case ModelList(models=models, pulling=pulling):
            return evolve(view, models=models, pulling=bool(pulling))
        case PullProgress() as progress:
            return evolve(view, pulling=True, progress=progress)
        case PullFailed(code=code, message=message, remedy=remedy):
            return evolve(view, pulling=False, progress=None, error=error_from_wire(code, message, remedy))
        case Refused(about="pull_models", code=code, message=message, remedy=remedy):
            return evolve(view, pulling=False, progress=None, error=error_from_wire(code, message, remedy))
        case message if isinstance(message, PULL_ENDS):
            return evolve(view, pulling=False, progress=None, error=None)
        case _:
            return view
