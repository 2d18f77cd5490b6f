"""The sentences of the page in both languages, from ``texts.toml``, and numbers as each language writes them."""

from __future__ import annotations

import functools
import html
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, cast

from attrs import frozen


@frozen
class Both:
    """The same in English and in Brazilian Portuguese, as plain text."""

    en: str
    pt_br: str

    def html(self) -> str:
        """Escaped; where the languages differ each has an element of its own, one of which is shown."""
        if self.en == self.pt_br:
            return html.escape(self.en)
        english, portuguese = html.escape(self.en), html.escape(self.pt_br)
        return f'<span class="en" lang="en">{english}</span><span class="pt" lang="pt-BR">{portuguese}</span>'

    def alone(self) -> str:
        """Both in one line, escaped, for places that hold text only."""
        return html.escape(self.en if self.en == self.pt_br else f"{self.en} / {self.pt_br}")


def same(text: object) -> Both:
    """A name or a code, which is not translated."""
    return Both(str(text), str(text))


def number(value: float, digits: int = 1) -> Both:
    """``1,234.5``, and ``1.234,5`` in Portuguese."""
    english = f"{value:,.{digits}f}"
    return Both(english, english.translate(str.maketrans(",.", ".,")))


def amount(count: int) -> Both:
    """Bytes as kB, MB or GB."""
    if count < 10**6:
        value, unit = number(count / 1e3, 1), "kB"
    elif count < 10**9:
        value, unit = number(count / 1e6, 0), "MB"
    else:
        value, unit = number(count / 1e9, 1), "GB"
    return Both(f"{value.en} {unit}", f"{value.pt_br} {unit}")


@functools.cache
def catalogue() -> Mapping[str, Both]:
    """Every text by its dotted key."""
    told = tomllib.loads(files("kiss3d_backend.reports").joinpath("texts.toml").read_text(encoding="utf-8"))
    return dict(_flat(told, ""))


def _flat(node: dict[str, Any], path: str) -> Iterator[tuple[str, Both]]:
    if "en" in node or "pt_BR" in node:
        yield path, Both(node["en"], node["pt_BR"])
        return
    for name, child in node.items():
        yield from _flat(cast("dict[str, Any]", child), f"{path}.{name}" if path else name)


def say(key: str, **values: Both | str | float) -> Both:
    """The text of a key with its figures put in. Raises KeyError for a key that is not in the catalogue."""
    text = catalogue()[key]
    told = {name: _as_both(value) for name, value in values.items()}
    english = {name: value.en for name, value in told.items()}
    portuguese = {name: value.pt_br for name, value in told.items()}
    return Both(text.en.format(**english), text.pt_br.format(**portuguese))


def say_or(key: str, otherwise: str) -> Both:
    """The text of a key, or what the backend called it."""
    return catalogue().get(key) or same(otherwise)


def told(kind: str, code: str, words: str) -> Both:
    """What the backend said, and in Portuguese the catalogue's ``kind.code``, with the backend's words behind it where
    they are its own."""
    known = catalogue().get(f"{kind}.{code}")
    if known is None or not words:
        return same(words)
    return Both(words, known.pt_br if words == known.en else f"{known.pt_br} ({words})")


def _as_both(value: Both | str | float) -> Both:
    if isinstance(value, Both):
        return value
    if isinstance(value, float):
        return number(value, 0 if value.is_integer() else 1)
    return same(value)
