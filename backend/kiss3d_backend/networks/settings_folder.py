"""The small files of an entry, as libraries want them: in one folder, by their own names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kiss3d_backend.models.files import EntryFiles

_KINDS = {".json", ".jinja", ".txt"}
_LARGEST = 64 << 20


@contextmanager
def settings_folder(files: EntryFiles) -> Iterator[Path]:
    """A folder with copies of the entry's configurations, vocabularies and templates; it is gone afterwards.

    Where the files lie on this machine, each may lie elsewhere and have another name. Weights are not copied, and
    neither is anything that a library could run.
    """
    with TemporaryDirectory(prefix="kiss3d-settings-") as name:
        for file, path in files.paths.items():
            if Path(file).suffix in _KINDS and path.stat().st_size <= _LARGEST:
                copy = Path(name, file)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        yield Path(name)
