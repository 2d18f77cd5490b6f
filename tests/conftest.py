"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow or a shared machine is no failure, and the same tree gives the same answer every time.
settings.register_profile("kiss3d", deadline=None, derandomize=True)
settings.load_profile("kiss3d")
