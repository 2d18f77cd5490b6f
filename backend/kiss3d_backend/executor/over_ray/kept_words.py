"""What was said, kept until the one who listens has asked for what follows it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Literal

Word = tuple[Literal["message", "log"], Any]
"""A message as fields, or a line of the log."""


class KeptWords:
    """For any number of threads that speak, and one that listens."""

    def __init__(self) -> None:
        self._words: deque[Word] = deque()
        self._heard = 0
        self._changed = threading.Condition()

    def add(self, word: Word) -> None:
        """Something is said."""
        with self._changed:
            self._words.append(word)
            self._changed.notify_all()

    def after(self, heard: int, seconds: float) -> list[Word]:
        """All words after the first ``heard`` ones, which are forgotten; asked again, the same and what has come since.

        Waits so long for the first word.
        """
        with self._changed:
            while self._heard < heard and self._words:
                self._words.popleft()
                self._heard += 1
            self._changed.wait_for(lambda: bool(self._words), seconds)
            return list(self._words)
