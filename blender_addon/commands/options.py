"""What was asked for on the command line (no bpy)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import evolve, frozen

from kiss3d_protocol.params import GenerateParams

from ..importer.result_options import ResultOptions

Format = Literal["glb", "blend"]


@frozen
class OutputOptions:
    """Where results go. ``path``: a .blend that gets all of them, else a folder with a file of ``format`` each.

    ``size``: the longest side of each, in scene units. ``columns`` of the grid in a .blend; None: as many as rows.
    ``catalog``: the path of the asset catalogue, with ``/``, or "".
    """

    path: Path
    format: Format
    size: float
    result: ResultOptions
    catalog: str = ""
    columns: int | None = None

    @property
    def is_one_blend(self) -> bool:
        return self.path.suffix.lower() == ".blend"

    def in_folder(self) -> OutputOptions:
        """The folder in which a single file is to be."""
        return evolve(self, path=self.path.parent)


@frozen
class GenerateOptions:
    """``blender --command kiss3d generate``. ``output.path`` is the file. ``params``: one for each object. ``pick``:
    the bundle to go on with, by index, where a job has several. ``connect``: None for what the preferences say."""

    picture: Path | None
    mesh: Path | None
    views: tuple[Path, ...]
    params: tuple[GenerateParams, ...]
    pick: int | None
    output: OutputOptions
    connect: str | None
    as_json: bool


@frozen
class BatchOptions:
    """``blender --command kiss3d batch``. ``jobs``: how many may be with the backend at once. ``params``: what counts
    where a row says nothing of its own."""

    source: Path
    params: GenerateParams
    recursive: bool
    jobs: int
    resume: bool
    retry_failed: bool
    fail_fast: bool
    output: OutputOptions
    connect: str | None
    as_json: bool


@frozen
class ImportOptions:
    """``blender --command kiss3d import``. ``ids``: of jobs, or their beginnings; when there are none, the newest
    ``last`` of those that were finished since ``since``, in seconds since 1970; None for all."""

    ids: tuple[str, ...]
    since: float | None
    last: int | None
    output: OutputOptions
    connect: str | None
    as_json: bool


Options = GenerateOptions | BatchOptions | ImportOptions
