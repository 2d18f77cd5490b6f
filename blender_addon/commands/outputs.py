"""From what was asked for to where results really go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from kiss3d_protocol.batch.manifest import MANIFEST, Entry
from kiss3d_protocol.errors import OutputUnwritable

from ..importer.blend_file import library_of
from ..importer.catalogue import ensure_catalogue
from ..importer.each_file import EachFile
from ..importer.one_blend import OneBlend
from ..importer.result_options import ResultOptions
from .options import OutputOptions


def begin(options: OutputOptions, known: Mapping[str, Entry]) -> OneBlend | EachFile:
    """The output, with which Blender has the file open that it needs. ``known``: what the manifest tells.

    Raises :class:`OutputUnwritable`, or :class:`ParamsInvalid` for a catalogue that cannot be.
    """
    make_folder(options)
    if options.is_one_blend:
        return OneBlend(options.path, options.size, _result(options, options.path.parent), options.columns)
    return EachFile(options.path, options.format, options.size, _result(options, options.path), known)


def manifest_of(options: OutputOptions) -> Path:
    """Where the manifest is: in the folder, or beside the .blend. The folder is made when it is not there.

    Raises :class:`OutputUnwritable`.
    """
    make_folder(options)
    return options.path.with_suffix(f".{MANIFEST}") if options.is_one_blend else options.path / MANIFEST


def make_folder(options: OutputOptions) -> None:
    """Makes the folder in which results go. Raises :class:`OutputUnwritable`."""
    folder = options.path.parent if options.is_one_blend else options.path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(f"The folder '{folder}' cannot be made ({error.strerror}).") from error


def _result(options: OutputOptions, folder: Path) -> ResultOptions:
    if not options.catalog:
        return options.result
    return evolve(options.result, catalogue=ensure_catalogue(library_of(folder), options.catalog))
