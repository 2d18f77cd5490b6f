"""What a stage made, as bytes and back: arrays in safetensors, their arrangement as JSON in its header.

Nothing is unpickled, and only the classes that are named here are ever made again.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_backend.pipeline.types import Bundle, BundleViews, Cutout, Picture, Views

_LAYOUT = 1
_ENTRY = "kiss3d"
_CLASSES: dict[str, type[Any]] = {
    cls.__name__: cls for cls in (Bundle, BundleViews, Cutout, Mesh, Picture, Texture, Views)
}


class SnapshotUnreadable(ValueError):
    """The bytes are damaged, or from a version that arranged them otherwise."""


def register(cls: type[Any]) -> type[Any]:
    """Lets values of an attrs class be kept; for use as a decorator. Its name must be its own."""
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise ValueError(f"two classes are named {cls.__name__}")
    return cls


def freeze(value: object) -> bytes:
    """The bytes of a value: None, bool, int, float, str, bytes, arrays, tuples of these, registered classes.

    The same value gives the same bytes, so that their hash can stand for it. Raises :class:`TypeError` for others.
    """
    arrays: dict[str, NDArray[Any]] = {}
    told = {"layout": _LAYOUT, "value": _take_apart(value, arrays)}
    # One entry: safetensors writes several in an order that differs from run to run.
    return save(arrays, {_ENTRY: json.dumps(told, separators=(",", ":"))})


def thaw(data: bytes) -> Any:
    """The value of :func:`freeze`. Raises :class:`SnapshotUnreadable`."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        told = json.loads(header["__metadata__"][_ENTRY])
        if told["layout"] != _LAYOUT:
            raise SnapshotUnreadable(f"layout {told['layout']}")
        return _put_together(told["value"], load(data))
    except SnapshotUnreadable:
        raise
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise SnapshotUnreadable(str(error)) from error


def _take_apart(value: object, arrays: dict[str, NDArray[Any]]) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"bytes": _keep(np.frombuffer(value, np.uint8), arrays)}
        case np.ndarray():
            return {"array": _keep(value, arrays)}
        case tuple():
            return [_take_apart(each, arrays) for each in value]
    if _CLASSES.get(type(value).__name__) is not type(value):
        raise TypeError(f"a {type(value).__name__} cannot be kept")
    names = [field.name for field in attrs.fields(type(value))]
    return {"class": type(value).__name__, "fields": {n: _take_apart(getattr(value, n), arrays) for n in names}}


def _keep(array: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    name = f"{len(arrays):06d}"
    arrays[name] = np.ascontiguousarray(array)
    return name


def _put_together(node: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    match node:
        case list():
            return tuple(_put_together(each, arrays) for each in node)
        case {"bytes": name}:
            return arrays[name].tobytes()
        case {"array": name}:
            return arrays[name]
        case {"class": name, "fields": fields}:
            return _CLASSES[name](**{key: _put_together(each, arrays) for key, each in fields.items()})
        case dict():
            raise SnapshotUnreadable("an unknown kind of value")
    return node
