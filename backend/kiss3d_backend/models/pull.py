"""Everything that a preset or an entry lacks: planned, downloaded, verified, converted, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import Literal

from attrs import evolve, frozen

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_backend.models.conversion import convert_file
from kiss3d_backend.models.download.crew import Crew
from kiss3d_backend.models.download.hub import NotInRepository, RemoteFile, describe, said
from kiss3d_backend.models.download.meter import Meter
from kiss3d_backend.models.download.persist import persist
from kiss3d_backend.models.download.room import check_room
from kiss3d_backend.models.download.settings import DownloadSettings, settings_from_environment
from kiss3d_backend.models.download.transfer import Transfer
from kiss3d_backend.models.pins import Pin, pin_key
from kiss3d_backend.models.states import FileState
from kiss3d_backend.models.store import ABSENT, ModelStore, missing_remedy
from kiss3d_backend.models.verify import ensure_verified
from kiss3d_protocol.errors import ModelFileMissing
from kiss3d_protocol.params import PRESETS

Step = Literal["describe", "verify", "download", "convert"]


@frozen
class PullProgress:
    """``step``: what is done now. ``entry``, ``file``: with what. ``done``, ``total``: bytes of this step, of all files
    together. ``bytes_per_second``, ``eta_seconds``: of this step; None when not known yet."""

    step: Step
    entry: str
    file: str
    done: int
    total: int
    bytes_per_second: float = 0.0
    eta_seconds: float | None = None


@frozen
class PullReport:
    """What a pull did, as ``ENTRY/FILE``. ``received``: bytes that came over the network. ``seconds``: wall-clock."""

    entries: tuple[str, ...]
    downloaded: tuple[str, ...]
    reused: tuple[str, ...]
    converted: tuple[str, ...]
    absent: tuple[str, ...]
    received: int
    seconds: float


OnProgress = Callable[[PullProgress], None]
Wanted = tuple[Entry, ModelFile]


def pull(
    names: str | Sequence[str],
    store: ModelStore,
    on_progress: OnProgress = lambda _: None,
    cancel: Event | None = None,
    settings: DownloadSettings | None = None,
) -> PullReport:
    """Gets what the named presets and entries lack. ``on_progress`` is called in this thread, about ten times a second.

    Everything is asked for before anything is downloaded, so that a wrong name, a licence that nobody accepted or a
    full disk is told at once. Ends within half a second of ``cancel``; what has come stays and is gone on with.

    Raises :class:`CatalogueInvalid` (no such name), :class:`ModelFileMissing` (a user's own file), and what
    :class:`Transfer` and :func:`run_conversion` raise.
    """
    started = time.monotonic()
    puller = _Puller(store, on_progress, cancel or Event(), settings or settings_from_environment())
    report = puller.pull(entries_of((names,) if isinstance(names, str) else names, store))
    return evolve(report, seconds=time.monotonic() - started)


def entries_of(names: Iterable[str], store: ModelStore) -> tuple[Entry, ...]:
    """The entries of presets and entries, each once. Raises :class:`CatalogueInvalid` when a name is neither."""
    presets = {preset.name for preset in PRESETS}
    found: dict[str, Entry] = {}
    for name in names:
        for entry in store.catalogue.of_preset(name) if name in presets else (store.catalogue.entry(name),):
            found[entry.name] = entry
    return tuple(found.values())


class _Puller:
    def __init__(self, store: ModelStore, on_progress: OnProgress, cancel: Event, settings: DownloadSettings) -> None:
        self._store = store
        self._tell = on_progress
        self._cancel = cancel
        self._settings = settings

    def pull(self, entries: tuple[Entry, ...]) -> PullReport:
        states = [(entry, file) for entry in entries for file in self._store.entry(entry.name).files]
        here = [(entry, state) for entry, state in states if state.path is not None]
        wanted = [(entry, state.file) for entry, state in states if state.path is None and state.status != "absent"]
        for entry, file in wanted:
            if file.local is not None:
                remedy = missing_remedy(entry, file)
                raise ModelFileMissing(f"The model '{entry.name}' has no file at {file.local}.", remedy)
        remotes = self._describe(wanted)
        coming = [item for item in wanted if item in remotes]
        self._check_room(states, remotes)
        self._verify(here)
        received = self._download(coming, remotes)
        return PullReport(
            entries=tuple(entry.name for entry in entries),
            downloaded=tuple(_named(entry, file) for entry, file in coming),
            reused=tuple(_named(entry, state.file) for entry, state in here),
            converted=self._convert(entries),
            absent=tuple(_named(entry, file) for entry, file in wanted if (entry, file) not in remotes),
            received=received,
            seconds=0.0,
        )

    def _describe(self, wanted: list[Wanted]) -> dict[Wanted, RemoteFile]:
        """Asks for all at once; an optional file that the repository lacks is left out and noted as such."""
        found: dict[Wanted, RemoteFile] = {}

        def ask(entry: Entry, file: ModelFile, stop: Event) -> None:
            pin = self._store.pins.get(pin_key(entry, file))
            pinned = pin.sha256 if pin is not None else ""
            try:
                found[entry, file] = persist(
                    said(entry, file),
                    lambda: describe(entry, file, pinned, self._settings.describe),
                    lambda: 0,
                    self._settings,
                    stop,
                )
            except NotInRepository:
                if not file.optional:
                    raise
                self._store.pins.put(pin_key(entry, file), Pin("", 0, etag=ABSENT))

        crew = Crew(self._settings.parallel, self._cancel)
        for entry, file in wanted:
            crew.add(lambda stop, entry=entry, file=file: ask(entry, file, stop))
        total = len(wanted)
        crew.run(lambda: self._tell(PullProgress("describe", *_first(wanted), len(found), total)) if total else None)
        return {item: found[item] for item in wanted if item in found}

    def _check_room(self, states: list[tuple[Entry, FileState]], remotes: dict[Wanted, RemoteFile]) -> None:
        needs = [
            (self._store.cache.root, max(0, (remote.size or file.expected_size) - self._part_size(entry, remote)))
            for (entry, file), remote in remotes.items()
        ]
        needs += [
            (self._store.models_dir, state.file.converted_size or state.file.expected_size)
            for _, state in states
            if state.needs_conversion
        ]
        check_room(needs)

    def _part_size(self, entry: Entry, remote: RemoteFile) -> int:
        for path in (
            self._store.cache.blob(entry.repository, remote.etag),
            self._store.cache.part(entry.repository, remote.etag),
        ):
            if path.is_file():
                return path.stat().st_size
        return 0

    def _verify(self, here: list[tuple[Entry, FileState]]) -> None:
        if not here:
            return
        meter = Meter(sum(state.total for _, state in here), (here[0][0], here[0][1].file))
        for entry, state in here:

            def on_bytes(count: int, item: Wanted = (entry, state.file)) -> None:
                meter.add(count, item)
                self._tell_meter("verify", meter)

            ensure_verified(self._store.pins, entry, state, on_bytes, self._cancel)

    def _download(self, coming: list[Wanted], remotes: dict[Wanted, RemoteFile]) -> int:
        if not coming:
            return 0
        meter = Meter(sum(remotes[item].size or item[1].expected_size for item in coming), coming[0])
        crew = Crew(self._settings.parallel, self._cancel)
        transfers: list[Transfer] = []
        # The largest first: they decide when all is done.
        for item in sorted(coming, key=lambda item: -(remotes[item].size or 0)):
            transfer = Transfer(
                *item, remotes[item], self._store.cache, self._store.pins, self._settings, crew.stop, meter
            )
            transfers.append(transfer)
            crew.add(lambda _, transfer=transfer: transfer.run(), transfer.abort)
        crew.run(lambda: self._tell_meter("download", meter))
        self._tell_meter("download", meter)
        return sum(transfer.received for transfer in transfers)

    def _convert(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        converted: list[str] = []
        for entry in entries:
            for state in self._store.entry(entry.name).files:
                if not state.needs_conversion or state.path is None:
                    continue
                file = state.file
                pin = ensure_verified(self._store.pins, entry, state, None, self._cancel)
                target = self._store.converted_path(entry, file, pin.sha256)

                def on_step(step: str, done: int, total: int, entry: Entry = entry, file: ModelFile = file) -> None:
                    self._tell(PullProgress("convert", entry.name, file.name, done, total))

                convert_file(entry, file, state.path, pin, target, self._store.pins, on_step, self._cancel)
                converted.append(_named(entry, file))
        return tuple(converted)

    def _tell_meter(self, step: Step, meter: Meter[Wanted]) -> None:
        done, total, speed, left = meter.read()
        entry, file = meter.latest
        self._tell(PullProgress(step, entry.name, file.name, done, total, speed, left))


def _named(entry: Entry, file: ModelFile) -> str:
    return f"{entry.name}/{file.name}"


def _first(wanted: list[Wanted]) -> tuple[str, str]:
    entry, file = wanted[0]
    return entry.name, file.name
