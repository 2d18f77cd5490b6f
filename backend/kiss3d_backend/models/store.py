"""The model files of this machine: what is here, what is missing, and the way from an entry to its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Event

from kiss3d_backend.models.catalogue import Catalogue, Entry, ModelFile
from kiss3d_backend.models.catalogue_reader import read_catalogue
from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.models.hub_cache import HubCache, default_cache_root
from kiss3d_backend.models.pins import Pin, Pins, pin_key
from kiss3d_backend.models.states import EntryState, FileState, PresetState
from kiss3d_backend.models.verify import OnBytes, Verified, ensure_verified, verify_files
from kiss3d_protocol.errors import ModelFileMissing

ABSENT = "absent"
"""The ETag of a pin that says: the repository has no such file."""


class ModelStore:
    """The catalogue, the cache and the data directory together. Reading it touches no network and writes nothing.

    ``catalogue`` and ``cache`` default to the shipped one with the user's changes, and to the Hugging Face cache.
    """

    def __init__(self, data_dir: Path, catalogue: Catalogue | None = None, cache: HubCache | None = None) -> None:
        self.data_dir = data_dir
        self.catalogue = read_catalogue(data_dir) if catalogue is None else catalogue
        self.cache = HubCache(default_cache_root()) if cache is None else cache
        self.pins = Pins(self.models_dir / "pins.json")

    @property
    def models_dir(self) -> Path:
        """Our own part: pins, conversions, imported files."""
        return self.data_dir / "models"

    def preset(self, name: str) -> PresetState:
        """What a preset needs and what is here of it."""
        pins = self.pins.all()
        return PresetState(name, tuple(self._state(entry, pins) for entry in self.catalogue.of_preset(name)))

    def entry(self, name: str) -> EntryState:
        """The state of one entry. Raises :class:`CatalogueInvalid` when there is none of that name."""
        return self._state(self.catalogue.entry(name), self.pins.all())

    def entries(self) -> tuple[EntryState, ...]:
        """The state of every entry."""
        pins = self.pins.all()
        return tuple(self._state(entry, pins) for entry in self.catalogue.entries.values())

    def files(self, name: str) -> EntryFiles:
        """The files of an entry for its loader. Files that were never hashed here are hashed first, once.

        Raises :class:`ModelFileMissing`, which names the first missing file and the remedy, and
        :class:`ModelFileCorrupt`.
        """
        state = self.entry(name)
        paths: dict[str, Path] = {}
        for file in state.files:
            if not file.ready or (file.path is None and file.status != "absent"):
                text = f"The model '{name}' lacks its file {file.file.name}."
                raise ModelFileMissing(text, missing_remedy(state.entry, file.file))
            if file.path is not None:
                ensure_verified(self.pins, state.entry, file)
                paths[file.file.loaded_name] = file.path
        return EntryFiles(name, paths)

    def verify(
        self, names: tuple[str, ...], on_bytes: OnBytes | None = None, cancel: Event | None = None
    ) -> tuple[Verified, ...]:
        """Hashes every file of these entries again, also those that were hashed before. Nothing is loaded, and nothing
        changed but the pins. Raises :class:`JobCancelled`."""
        lines: list[Verified] = []
        for name in names:
            state = self.entry(name)
            lines += verify_files(self.pins, state.entry, state.files, on_bytes, cancel)
        return tuple(lines)

    def converted_path(self, entry: Entry, file: ModelFile, sha256: str) -> Path:
        """Where the conversion of the pickle with this hash lies or would lie."""
        return self.models_dir / "converted" / entry.name / sha256[:16] / file.loaded_name

    def imported_path(self, entry: Entry, file: ModelFile) -> Path:
        """Where an imported file lies or would lie."""
        return self.models_dir / "imported" / entry.name / file.name

    def _state(self, entry: Entry, pins: Mapping[str, Pin]) -> EntryState:
        return EntryState(entry, tuple(self._file_state(entry, file, pins) for file in entry.files))

    def _file_state(self, entry: Entry, file: ModelFile, pins: Mapping[str, Pin]) -> FileState:
        pin = pins.get(pin_key(entry, file))
        trust = _trust(file, pin)
        path = self._find(entry, file, pin)
        if file.convert is not None and not (file.local and file.local.suffix == ".safetensors"):
            sha256 = file.sha256 or (pin.sha256 if pin is not None else "")
            if file.local is not None and path is not None and not (pin is not None and pin.describes(path)):
                sha256 = ""  # The user's file has changed, or was never looked at: what was converted is another one.
            converted = self.converted_path(entry, file, sha256) if sha256 else None
            if converted is not None and converted.is_file():
                size = converted.stat().st_size
                return FileState(file, "converted", size, size, converted, trust)
            waits = True
        else:
            waits = False
        if path is not None:
            size = path.stat().st_size
            if file.local is not None:
                return FileState(file, "local", size, size, path, trust, waits)
            verified = pin is not None and pin.describes(path)
            return FileState(file, "verified" if verified else "present", size, size, path, trust, waits)
        if file.local is not None:
            return FileState(file, "missing", 0, file.expected_size, None, trust, waits)
        if file.optional and pin is not None and pin.etag == ABSENT:
            return FileState(file, "absent", 0, 0, None, trust)
        etag = (pin.etag if pin is not None else "") or file.sha256 or ""
        total = (pin.size if pin is not None else 0) or file.expected_size
        part = self.cache.part(entry.repository, etag) if etag else None
        if part is not None and part.is_file():
            return FileState(file, "partial", part.stat().st_size, total, None, trust, waits)
        return FileState(file, "missing", 0, total, None, trust, waits)

    def _find(self, entry: Entry, file: ModelFile, pin: Pin | None) -> Path | None:
        if file.local is not None:
            return file.local if file.local.is_file() else None
        if pin is not None and pin.place:
            place = Path(pin.place)
            if place.is_file():
                return place
        commit = pin.commit if pin is not None else ""
        return self.cache.find(entry.repository, entry.revision, file.path, commit)


def missing_remedy(entry: Entry, file: ModelFile) -> str:
    """What to do about a file that is missing, or a pickle that waits for its conversion, in a sentence."""
    if file.local is not None and not file.local.is_file():
        return f"Put it at {file.local}, or correct the entry '{entry.name}' in models.toml."
    return f"Get it with 'kiss3d models pull {entry.name}'."


def _trust(file: ModelFile, pin: Pin | None) -> str:
    if file.sha256:
        return "catalogue"
    return "trusted on first use" if pin is not None and pin.sha256 else "hash not known yet"
