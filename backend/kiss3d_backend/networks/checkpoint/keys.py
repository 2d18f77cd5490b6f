"""The names and shapes of a file's tensors against those that are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kiss3d_protocol.errors import ModelKeysWrong

Shape = tuple[int, ...]

_NAMED = 5


def check_keys(wanted: Mapping[str, Shape], found: Mapping[str, Shape], source: str) -> None:
    """Passes when both hold the same names with the same shapes.

    ``source``: what the tensors come from, for the message. Raises :class:`ModelKeysWrong`, which counts the missing,
    surplus and misshapen tensors and names the first few of each.
    """
    complaints = [
        *_complaint("missing", (name for name in wanted if name not in found)),
        *_complaint("surplus", (name for name in found if name not in wanted)),
        *_complaint(
            "misshapen",
            (
                f"{name} {_text(found[name])} instead of {_text(shape)}"
                for name, shape in wanted.items()
                if name in found and found[name] != shape
            ),
        ),
    ]
    if complaints:
        raise ModelKeysWrong(f"The tensors of {source} are not those of this model: {'; '.join(complaints)}.")


def _complaint(what: str, names: Iterable[str]) -> list[str]:
    listed = sorted(names)
    if not listed:
        return []
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return [f"{len(listed)} {what} ({', '.join(listed[:_NAMED])}{more})"]


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"
