"""Ray, for those who call it. It is an extra, so it is imported when it is called; and its annotations are partial."""

from __future__ import annotations

from typing import Any


def ray_api() -> Any:
    """The module."""
    import ray.exceptions  # pyright: ignore[reportUnusedImport]
    import ray.util.scheduling_strategies  # pyright: ignore[reportUnusedImport]

    return ray
