"""What a batch is to make: one row for each picture of a folder, or for each line of a CSV or JSONL file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

from attrs import evolve, frozen

from kiss3d_protocol.errors import BatchInvalid
from kiss3d_protocol.params import MAX_SEED, GenerateParams

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
COLUMNS = ("picture", "prompt", "seed", "preset", "name")
MOST_BYTES = 64 * 2**20
"""Of a CSV or JSONL file."""
_NOT_IN_NAMES = frozenset('<>:"|?*')


@frozen
class Row:
    """One result to make. ``name``: its path in the output folder, with ``/`` and without an ending."""

    name: str
    picture: Path | None
    params: GenerateParams

    def digest(self) -> str:
        """sha256 of all that the result depends on; of the picture its bytes, so that a moved one is the same."""
        content = hashlib.sha256(repr(self.params).encode())
        if self.picture is not None:
            try:
                content.update(self.picture.read_bytes())
            except OSError:
                # What cannot be read is named when the row's turn comes.
                content.update(b"unreadable")
        return content.hexdigest()


def read_rows(source: Path, params: GenerateParams, *, recursive: bool) -> tuple[Row, ...]:
    """The rows in their order. ``params``: what counts where a row says nothing of its own.

    Raises :class:`BatchInvalid`, which names the line.
    """
    if source.is_dir():
        rows = tuple(_folder(source, params, recursive=recursive))
        if not rows:
            deeper = "" if recursive else ", or add --recursive for the folders in it"
            raise BatchInvalid(f"There is no picture in '{source}'.", f"Choose another folder{deeper}.")
        return rows
    readers = {".csv": _csv, ".jsonl": _jsonl}
    if source.suffix.lower() not in readers:
        raise BatchInvalid(f"'{source}' is neither a folder nor a .csv or .jsonl file.")
    rows = tuple(
        _row(values, source.parent, params, f"Line {line} of '{source.name}'")
        for line, values in readers[source.suffix.lower()](_text(source))
    )
    if not rows:
        raise BatchInvalid(f"'{source}' has no rows.")
    twice = [name for name, count in Counter(row.name.casefold() for row in rows).items() if count > 1]
    if twice:
        raise BatchInvalid(
            f"'{source.name}' has more than one row named '{twice[0]}'.",
            "Give each a name of its own in column 'name'.",
        )
    return rows


def _folder(folder: Path, params: GenerateParams, *, recursive: bool) -> Iterator[Row]:
    found = folder.rglob("*") if recursive else folder.iterdir()
    pictures = sorted(
        path
        for path in found
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    names = Counter(_inside(path.relative_to(folder).with_suffix("")).casefold() for path in pictures)
    for path in pictures:
        name = _inside(path.relative_to(folder).with_suffix(""))
        # "chair.png" beside "chair.jpg": both keep their ending in the name.
        yield Row(f"{name}-{path.suffix[1:].lower()}" if names[name.casefold()] > 1 else name, path, params)


def _inside(path: Path) -> str:
    return path.as_posix()


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BatchInvalid(f"'{path}' is larger than {MOST_BYTES // 2**20} MiB.", "Divide it.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise BatchInvalid(f"There is no file or folder '{path}'.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise BatchInvalid(f"'{path}' is not in UTF-8.", "Save it again as 'CSV UTF-8'.") from error
    except OSError as error:
        raise BatchInvalid(f"'{path}' cannot be read ({error.strerror}).", "Check that you may read it.") from error


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Spreadsheets in many countries separate by semicolons.
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    unknown = [name for name in reader.fieldnames or () if name and name.strip().lower() not in COLUMNS]
    if unknown:
        raise BatchInvalid(f"'{unknown[0]:.40}' is no column of a batch.", f"Columns are {', '.join(COLUMNS)}.")
    for values in reader:
        if None in values:
            raise BatchInvalid(f"Line {reader.line_num} has more values than the first line has names.")
        row = {str(name).strip().lower(): (value or "").strip() for name, value in values.items() if name}
        if any(row.values()):
            yield reader.line_num, row


def _jsonl(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values: Any = json.loads(line)
        except ValueError as error:
            raise BatchInvalid(f"Line {number} is no JSON: {error}.", "Write one object on each line.") from error
        if not isinstance(values, dict):
            raise BatchInvalid(f"Line {number} is no JSON object.", "Write one object on each line.")
        row = cast("dict[str, Any]", values)
        unknown = [name for name in row if name not in COLUMNS]
        if unknown:
            raise BatchInvalid(f"Line {number}: '{unknown[0]:.40}' is not known.", f"Keys are {', '.join(COLUMNS)}.")
        yield number, row


def _row(values: dict[str, Any], base: Path, params: GenerateParams, place: str) -> Row:
    def text(column: str) -> str:
        value = values.get(column)
        if value is not None and not isinstance(value, str | int):
            raise BatchInvalid(f"{place}: {column} must be a text.")
        return "" if value is None else str(value)

    picture = base / text("picture") if text("picture") else None
    if picture is None and not text("prompt"):
        raise BatchInvalid(f"{place} has neither a picture nor a prompt.")
    name = text("name") or (picture.stem if picture is not None else "")
    if not name:
        raise BatchInvalid(f"{place} has a prompt only, so its result needs a name.", "Fill the column 'name'.")
    seed = text("seed")
    if seed and not (seed.isascii() and seed.isdigit() and int(seed) <= MAX_SEED):
        raise BatchInvalid(f"{place}: the seed must be a number from 0 to {MAX_SEED}.")
    try:
        own = evolve(
            params,
            seed=int(seed) if seed else params.seed,
            preset=text("preset") or params.preset,
            prompt=text("prompt") or params.prompt,
        )
    except ValueError as error:
        raise BatchInvalid(f"{place}: the preset or the prompt is too long.") from error
    return Row(_checked_name(name, place), picture, own)


def _checked_name(name: str, place: str) -> str:
    """A name that stays in the output folder, on every system."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    bad = not parts or path.is_absolute() or any(part in ("..", ".") or part.endswith((" ", ".")) for part in parts)
    if bad or any(letter in _NOT_IN_NAMES or not letter.isprintable() for letter in name):
        raise BatchInvalid(f"{place}: '{name:.60}' cannot be the name of a file in the output folder.")
    return path.as_posix()
