"""The JSON files of the repository, as arguments of the classes that they configure."""

from __future__ import annotations

import inspect
import json
from typing import Any

from kiss3d_backend.models.files import EntryFiles
from kiss3d_protocol.errors import ModelFileCorrupt


def read_json(files: EntryFiles, file: str) -> dict[str, Any]:
    """The object in ``file``. Raises :class:`ModelFileMissing`, and :class:`ModelFileCorrupt` for anything else."""
    try:
        value = json.loads(files.path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileCorrupt(f"The file {file} of the model '{files.entry}' is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ModelFileCorrupt(f"The file {file} of the model '{files.entry}' does not hold a JSON object.")
    return value


def arguments_of(make: Any, configuration: dict[str, Any]) -> dict[str, Any]:
    """What of ``configuration`` the class ``make`` takes by name.

    A repository's file also says which class and version wrote it, and may hold settings of older versions.
    """
    known = inspect.signature(make.__init__).parameters
    return {name: value for name, value in configuration.items() if name in known and name != "self"}


def ramp_of(files: EntryFiles) -> tuple[float, ...]:
    """The ramp that comes with the weights. Raises :class:`ModelFileCorrupt` when it is not a list of numbers."""
    ramp = read_json(files, "model_index.json").get("ramping_coefficients")
    if not isinstance(ramp, list) or not ramp or not all(isinstance(weight, int | float) for weight in ramp):
        raise ModelFileCorrupt(f"The file model_index.json of the model '{files.entry}' holds no ramping_coefficients.")
    return tuple(float(weight) for weight in ramp)
