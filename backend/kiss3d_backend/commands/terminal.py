"""Texts of others on the user's terminal."""

from __future__ import annotations

from rich.text import Text

from kiss3d_backend.logs import visible


def plain(text: str) -> Text:
    """A text as it is: its brackets are no markup, and its control characters, made visible, steer no terminal."""
    return Text(visible(text))
