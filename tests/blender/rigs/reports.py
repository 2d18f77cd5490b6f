"""What a script in Blender tells its test: lines of JSON behind a prefix, among everything else Blender prints."""

from __future__ import annotations

import json
from typing import Any

PREFIX = "KISS3D-REPORT "


def read_report(output: str) -> dict[str, Any]:
    """The values of all ``kiss3d_inside.report(...)`` calls in ``output``, later ones winning."""
    values: dict[str, Any] = {}
    for line in output.splitlines():
        _, found, text = line.partition(PREFIX)
        if found:
            values.update(json.loads(text))
    return values
