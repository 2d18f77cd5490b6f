from __future__ import annotations

from tests.fakes.submits import make_submit, png

__all__ = ["make_submit", "png"]
