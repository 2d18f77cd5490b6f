"""The Hugging Face cache on disk, in its published layout, so that other tools find our files and we find theirs.

::

    models--OWNER--NAME/
      blobs/ETAG               the content; ETAG.part while we download it
      refs/REVISION            the commit that a branch or tag stood for
      snapshots/COMMIT/PATH    a relative link to the blob, or the file itself where there are no links

Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from attrs import frozen

PART_SUFFIX = ".part"


def default_cache_root() -> Path:
    """The folder that ``HF_HUB_CACHE``, ``HF_HOME`` or the platform names."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def links_wanted() -> bool:
    """False when ``HF_HUB_DISABLE_SYMLINKS`` is set."""
    from huggingface_hub import constants

    return not constants.HF_HUB_DISABLE_SYMLINKS


@frozen
class HubCache:
    """One cache folder. Paths only; nothing is made before a file is installed."""

    root: Path

    def folder(self, repository: str) -> Path:
        return self.root / f"models--{repository.replace('/', '--')}"

    def blob(self, repository: str, etag: str) -> Path:
        return self.folder(repository) / "blobs" / etag

    def part(self, repository: str, etag: str) -> Path:
        """Where a download grows."""
        return self.folder(repository) / "blobs" / (etag + PART_SUFFIX)

    def lock(self, repository: str, etag: str) -> Path:
        """The lock that huggingface_hub takes for the same blob."""
        return self.root / ".locks" / self.folder(repository).name / f"{etag}.lock"

    def snapshot(self, repository: str, commit: str, path: str) -> Path:
        return self.folder(repository) / "snapshots" / commit / path

    def commit_of(self, repository: str, revision: str) -> str:
        """The commit that ``revision`` stood for when it was last asked, or the revision itself."""
        try:
            return (self.folder(repository) / "refs" / revision).read_text(encoding="utf-8").strip() or revision
        except (OSError, UnicodeError):
            return revision

    def find(self, repository: str, revision: str, path: str, commit: str = "") -> Path | None:
        """The file at ``revision`` if it is here; ``commit`` is looked at first."""
        for candidate in (commit, self.commit_of(repository, revision)):
            if candidate:
                found = self.snapshot(repository, candidate, path)
                if found.is_file():
                    return found
        return None

    def install(self, repository: str, revision: str, commit: str, path: str, etag: str) -> Path:
        """Gives the complete ``.part`` of ``etag`` its final names, each in one step. Returns the snapshot's path.

        Raises OSError.
        """
        blob, part = self.blob(repository, etag), self.part(repository, etag)
        target = self.snapshot(repository, commit, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if links_wanted() and _links_work(self.folder(repository)):
            part.replace(blob)
            sync_folder(blob.parent)
            _link(blob, target)
        else:
            part.replace(target)
        sync_folder(target.parent)
        self.write_ref(repository, revision, commit)
        return target

    def adopt(self, repository: str, revision: str, commit: str, path: str, etag: str) -> Path | None:
        """The snapshot's path for content that is here already under ``etag``, linked if it has to be; else None."""
        blob = self.blob(repository, etag)
        target = self.snapshot(repository, commit, path)
        if not target.is_file():
            if not blob.is_file():
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            if links_wanted() and _links_work(self.folder(repository)):
                _link(blob, target)
            else:
                link_or_copy(blob, target)
        self.write_ref(repository, revision, commit)
        return target

    def write_ref(self, repository: str, revision: str, commit: str) -> None:
        """Notes which commit ``revision`` stands for."""
        if revision == commit or self.commit_of(repository, revision) == commit:
            return
        path = self.folder(repository) / "refs" / revision
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".ref-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(commit)
        Path(name).replace(path)

    def names_of(self, blob: Path) -> Iterator[Path]:
        """The snapshot paths of one repository that are links to ``blob``."""
        snapshots = blob.parent.parent / "snapshots"
        for path in snapshots.rglob("*"):
            if path.is_symlink() and path.resolve() == blob.resolve():
                yield path


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for ``source`` on the same disk, or a copy on another one; ``target`` appears in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".copy-")
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.unlink()
        try:
            os.link(source.resolve(), temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` survive a power cut, on systems where a folder can be synchronised."""
    if os.name == "nt":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _links_work(folder: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".link-") as name:
        try:
            (Path(name) / "link").symlink_to("target")
        except (OSError, NotImplementedError):
            return False
    return True


def _link(blob: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(blob, target.parent))
    temporary.replace(target)
