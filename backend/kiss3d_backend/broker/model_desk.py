"""What clients ask about model files, and what they are told of the one pull."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from kiss3d_backend.broker.outbox import Letter
from kiss3d_backend.broker.pulls import Pulls
from kiss3d_backend.broker.sessions import Session, Sessions
from kiss3d_backend.models.overview import model_infos, names_to_pull
from kiss3d_backend.models.pull_process import PullNotice
from kiss3d_protocol.messages import PullMessage, Welcome
from kiss3d_protocol.models import PULL_ENDS, ModelList, PullCancelled, PullModels

_log = logging.getLogger(__name__)


class ModelDesk:
    """``data_dir`` is where the models' own files lie. ``welcome`` makes the present welcome message."""

    def __init__(self, pulls: Pulls, sessions: Sessions, data_dir: Path, welcome: Callable[[], Welcome]) -> None:
        self._pulls = pulls
        self._sessions = sessions
        self._data_dir = data_dir
        self._welcome = welcome

    def list_models(self, session: Session) -> None:
        """Answers with all entries, and with what is being pulled."""
        session.outbox.put(Letter(ModelList(model_infos(self._data_dir), self._pulls.entries)))

    def pull(self, session: Session, pull: PullModels) -> None:
        """Starts the pull, or joins the one that runs."""
        self._pulls.ask(names_to_pull(self._data_dir, pull.preset, pull.entries))
        session.follows_pull = True
        if self._pulls.last is not None:
            session.outbox.put(Letter(self._pulls.last))

    def cancel(self, session: Session) -> None:
        """Ends the pull, unless another client waits for it too: then this one only hears no more of it."""
        shared = any(each.follows_pull and each.owner.id != session.owner.id for each in self._sessions)
        may_end = session.owner.admin or (session.follows_pull and not shared)
        session.follows_pull = may_end and self._pulls.cancel()
        if not session.follows_pull:
            session.outbox.put(Letter(PullCancelled()))

    def hear(self, notice: PullNotice) -> None:
        """Takes a word of the pull's process."""
        message = self._pulls.hear(notice)
        if message is not None:
            self._tell(message)

    def tick(self) -> None:
        """Does what is due. Call it several times a second."""
        self._pulls.tick()

    def _tell(self, message: PullMessage) -> None:
        ended = isinstance(message, PULL_ENDS)
        if not ended:
            self._sessions.publish_pull(Letter(message), end=False)
            return
        _log.info("the pull has ended: %s", type(message).__name__)
        # Before the end is told, so that who hears of it knows already what it has changed.
        welcome = Letter(self._welcome())
        for session in self._sessions:
            session.outbox.put(welcome)
        self._sessions.publish_pull(Letter(message), end=True)
