"""Reads the catalogue and lays a user's own file over it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, cast

from attrs import evolve

from kiss3d_backend.models.catalogue import Catalogue, Entry, ModelFile
from kiss3d_protocol.errors import CatalogueInvalid
from kiss3d_protocol.params import PRESETS

USER_FILE = "models.toml"
DEFAULT_REVISION = "main"

_ENTRY_KEYS = {"repository", "revision", "licence", "gated", "purpose", "presets", "files", "local", "on_request"}
_FILE_KEYS = {"path", "size", "about_size", "sha256", "convert", "converted_size", "optional", "local"}
_ENTRY_NAME = re.compile(r"[a-z0-9_]{1,64}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w.\-/]{0,255}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONVERSION = re.compile(r"[a-z0-9_]{1,64}")

Table = Mapping[str, Any]


def read_catalogue(data_dir: Path) -> Catalogue:
    """The shipped catalogue with ``models.toml`` of the data directory laid over it, if there is one.

    Raises :class:`CatalogueInvalid`, which names file, entry and key.
    """
    path = data_dir / USER_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return shipped_catalogue()
    except (OSError, UnicodeError) as error:
        raise CatalogueInvalid(f"{path} cannot be read ({error}).") from error
    return parse_catalogue(text, path, shipped_catalogue())


@cache
def shipped_catalogue() -> Catalogue:
    """The catalogue that comes with this version."""
    source = resources.files("kiss3d_backend.models").joinpath("catalogue.toml")
    return parse_catalogue(source.read_text(encoding="utf-8"), Path("catalogue.toml"), Catalogue({}))


def parse_catalogue(text: str, source: Path, below: Catalogue) -> Catalogue:
    """The entries of ``text`` laid over those of ``below``. ``source`` is named in errors, and relative local paths
    start at its folder. Raises :class:`CatalogueInvalid`."""
    try:
        document: Table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueInvalid(f"{source} is not valid TOML: {error}.") from error
    entries = dict(below.entries)
    for name, table in document.items():
        entries[name] = _Reader(source, name).entry(table, below.entries.get(name))
    return Catalogue(entries)


class _Reader:
    """Reads one entry, and says where it stands when something is wrong."""

    def __init__(self, source: Path, entry: str) -> None:
        self._source = source
        self._entry = entry

    def entry(self, table: object, below: Entry | None) -> Entry:
        if not _ENTRY_NAME.fullmatch(self._entry):
            raise self._wrong("", "an entry's name is made of small letters, digits and underscores")
        values = self._table(table, "", _ENTRY_KEYS)
        moved = "repository" in values or "revision" in values
        if below is None:
            missing = [key for key in ("repository", "purpose", "files") if key not in values]
            if missing:
                raise self._wrong(missing[0], "a new entry needs this key")
        elif moved and "repository" in values:
            # What is known about the published repository says nothing about another one.
            files = tuple(evolve(file, size=None, sha256=None) for file in below.files)
            below = evolve(below, files=files, licence="not stated", gated=False, revision=DEFAULT_REVISION)
        elif moved:
            below = evolve(below, files=tuple(evolve(file, size=None, sha256=None) for file in below.files))
        return Entry(
            name=self._entry,
            repository=self._text(values, "", "repository", below.repository if below else "", _REPOSITORY),
            revision=self._text(values, "", "revision", below.revision if below else DEFAULT_REVISION, _REVISION),
            licence=self._text(values, "", "licence", below.licence if below else "not stated"),
            gated=self._flag(values, "", "gated", below.gated if below else False),
            purpose=self._text(values, "", "purpose", below.purpose if below else ""),
            presets=self._presets(values, below.presets if below else ()),
            files=self._files(values, below.files if below else ()),
            overridden=below is not None,
            on_request=self._flag(values, "", "on_request", below.on_request if below else False),
        )

    def _files(self, values: Table, below: tuple[ModelFile, ...]) -> tuple[ModelFile, ...]:
        files = {file.name: file for file in below}
        tables = values.get("files", {})
        if not isinstance(tables, dict):
            raise self._wrong("files", "it must be a table with one sub-table a file")
        for name, table in cast("dict[str, object]", tables).items():
            files[name] = self._file(name, table, files.get(name))
        folder = self._local(values, "")
        if folder is not None:
            files = {name: evolve(file, local=file.local or folder / file.path) for name, file in files.items()}
        if not files:
            raise self._wrong("files", "an entry needs at least one file")
        return tuple(files.values())

    def _file(self, name: str, table: object, below: ModelFile | None) -> ModelFile:
        where = f'files."{name}"'
        values = self._table(table, where, _FILE_KEYS)
        below = below or ModelFile(name, name)
        if "path" in values or "local" in values:
            below = evolve(below, size=None, sha256=None)
        return ModelFile(
            name=self._inside(name, where),
            path=self._inside(self._text(values, where, "path", below.path), f"{where}.path"),
            size=self._count(values, where, "size", below.size),
            about_size=self._count(values, where, "about_size", below.about_size),
            sha256=self._text(values, where, "sha256", below.sha256 or "", _SHA256, lower=True) or None,
            convert=self._text(values, where, "convert", below.convert or "", _CONVERSION) or None,
            converted_size=self._count(values, where, "converted_size", below.converted_size),
            optional=self._flag(values, where, "optional", below.optional),
            local=self._local(values, where) or below.local,
        )

    def _table(self, table: object, where: str, allowed: set[str]) -> Table:
        if not isinstance(table, dict):
            raise self._wrong(where, "it must be a table")
        values = cast("dict[str, Any]", table)
        for key in values:
            if key not in allowed:
                raise self._wrong(_join(where, key), f"there is no such key; the keys are {', '.join(sorted(allowed))}")
        return values

    def _text(
        self,
        values: Table,
        where: str,
        key: str,
        default: str,
        pattern: re.Pattern[str] | None = None,
        *,
        lower: bool = False,
    ) -> str:
        if key not in values:
            return default
        value = values[key]
        if not isinstance(value, str) or not value or len(value) > 1024:
            raise self._wrong(_join(where, key), "it must be a short text")
        value = value.lower() if lower else value
        if pattern is not None and not pattern.fullmatch(value):
            raise self._wrong(_join(where, key), f"'{value:.80}' does not have the form of one")
        return value

    def _flag(self, values: Table, where: str, key: str, default: bool) -> bool:
        value = values.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(_join(where, key), "it must be true or false")
        return value

    def _count(self, values: Table, where: str, key: str, default: int | None) -> int | None:
        value = values.get(key, default)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self._wrong(_join(where, key), "it must be a number of bytes")
        return value

    def _presets(self, values: Table, default: tuple[str, ...]) -> tuple[str, ...]:
        value: object = values.get("presets", default)
        known = {preset.name for preset in PRESETS}
        if not isinstance(value, list | tuple):
            raise self._wrong("presets", "it must be a list of presets")
        for name in cast("list[object]", value):
            if not isinstance(name, str) or name not in known:
                raise self._wrong("presets", f"there is no preset '{name}'")
        return tuple(cast("list[str]", value))

    def _local(self, values: Table, where: str) -> Path | None:
        text = self._text(values, where, "local", "")
        return self._source.parent / Path(text).expanduser() if text else None

    def _inside(self, path: str, where: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or "\\" in path or ":" in path or {"..", "."} & set(path.split("/")):
            raise self._wrong(where, f"'{path:.80}' is not a path inside a repository")
        return path

    def _wrong(self, key: str, reason: str) -> CatalogueInvalid:
        return CatalogueInvalid(f"{self._source}: entry '{self._entry:.64}'{f', key {key}' if key else ''}: {reason}.")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
