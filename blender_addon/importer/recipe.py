"""What made an object, kept on it as the custom property ``kiss3d``, and read from it again (no bpy)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.messages import JobReport, JobSummary
from kiss3d_protocol.params import GenerateParams

from ..job_inputs import JobInputs

LONGEST_KEY = 63
"""Blender's limit for names of custom properties, in bytes."""

_LARGEST_INT = 2**31 - 1
_DERIVED = ("recipe", "bundles", "choose")
"""Settings that follow from the inputs, or are of no use once the bundle is chosen."""


def make_recipe(job: str, inputs: JobInputs, params: GenerateParams, size: float) -> dict[str, Any]:
    """The recipe of a job whose report has not come yet. ``quality`` is added with each mesh.

    ``picture`` is what it is made of as people call it, ``slots`` those of its pictures, ``paths`` the files of those
    that are in some, ``mesh`` the name of the object that it was made of, or "". ``size``: the longest side, in scene
    units.
    """
    settings = {
        name: _number(value)
        for name, value in attrs.asdict(params).items()
        if name not in _DERIVED and value is not None
    }
    return {
        "job": job,
        "picture": inputs.name,
        "picture_sha256": inputs.picture_sha256,
        **settings,
        "size": size,
        "paths": {slot: picture.path for slot, picture in inputs.pictures.items() if picture.path},
        "slots": " ".join(inputs.pictures),
        "mesh": "" if inputs.mesh is None else inputs.mesh.name,
    }


def recipe_of_summary(summary: JobSummary) -> dict[str, Any]:
    """The recipe of a job that was made elsewhere, as far as a list of jobs tells it."""
    params = GenerateParams(summary.preset, summary.seed)
    return {"job": summary.job, "picture": summary.name, "preset": params.preset, "seed": float(params.seed)}


def with_bundle(recipe: dict[str, Any], seed: int) -> dict[str, Any]:
    """The recipe with the seed of the bundle that was chosen, so that it makes the same object again."""
    return recipe | {"bundle_seed": _number(seed)}


def with_report(recipe: dict[str, Any], report: JobReport, addon_version: str) -> dict[str, Any]:
    """The recipe with what the backend reported: seconds in all and of each stage, and the versions."""
    return recipe | {
        "recipe": report.recipe,
        "seconds": report.seconds,
        "stages": {_key(stage.stage): stage.seconds for stage in report.stages},
        "versions": {_key(name): version for name, version in report.versions.items()}
        | {"kiss3d_addon": addon_version},
    }


def params_of(recipe: Mapping[str, Any]) -> GenerateParams:
    """The settings that a recipe was made with. Raises :class:`ParamsInvalid` when somebody has spoilt it."""
    settings = {field.name: recipe[field.name] for field in attrs.fields(GenerateParams) if field.name in recipe}
    settings = {name: value for name, value in settings.items() if name not in _DERIVED}
    try:
        for name in ("seed", "bundle_seed", "faces", "texture_size"):
            if name in settings:
                settings[name] = int(settings[name])
        return GenerateParams(**{name: _flag(name, value) for name, value in settings.items()})
    except (TypeError, ValueError) as error:
        raise ParamsInvalid("The recipe of this object has been changed and cannot be read.", "") from error


def _number(value: Any) -> Any:
    # Custom properties hold 32-bit integers; a float holds every seed exactly.
    return float(value) if isinstance(value, int) and value > _LARGEST_INT else value


def _flag(name: str, value: Any) -> Any:
    return bool(value) if name in ("write_prompt", "redraw") else value


def _key(name: str) -> str:
    return name.encode("utf-8")[:LONGEST_KEY].decode("utf-8", "ignore")
