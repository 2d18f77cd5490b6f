"""What made an object, kept on it as the custom property ``kiss3d``."""

from __future__ import annotations

from typing import Any

from kiss3d_protocol.messages import JobReport
from kiss3d_protocol.params import GenerateParams

LONGEST_KEY = 63
"""Blender's limit for names of custom properties, in bytes."""

_LARGEST_INT = 2**31 - 1


def make_recipe(job: str, source: str, picture_sha256: str, params: GenerateParams) -> dict[str, Any]:
    """The recipe of a job whose report has not come yet. ``quality`` is added with each mesh.

    ``source``: what it is made of is called so. ``picture_sha256``: 64 zeros where there is no picture.
    """
    return {
        "job": job,
        "picture": source,
        "picture_sha256": picture_sha256,
        "preset": params.preset,
        "prompt": params.prompt,
        # Custom properties hold 32-bit integers; a float holds every seed exactly.
        "seed": params.seed if params.seed <= _LARGEST_INT else float(params.seed),
    }


def with_report(recipe: dict[str, Any], report: JobReport, addon_version: str) -> dict[str, Any]:
    """The recipe with what the backend reported: seconds in all and of each stage, and the versions."""
    return recipe | {
        "recipe": report.recipe,
        "seconds": report.seconds,
        "stages": {_key(stage.stage): stage.seconds for stage in report.stages},
        "versions": {_key(name): version for name, version in report.versions.items()}
        | {"kiss3d_addon": addon_version},
    }


def _key(name: str) -> str:
    return name.encode("utf-8")[:LONGEST_KEY].decode("utf-8", "ignore")
