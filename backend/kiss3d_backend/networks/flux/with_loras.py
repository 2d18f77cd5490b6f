"""The transformer with the LoRAs of a preset."""

from __future__ import annotations

import logging

import attrs

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.flux.denoiser import Denoiser
from kiss3d_backend.networks.flux.draw import Part
from kiss3d_backend.networks.flux.files import FluxFiles, needed
from kiss3d_backend.networks.flux.lora import read_lora, remove_lora, set_lora
from kiss3d_backend.networks.flux.settings import FluxSettings

_log = logging.getLogger(__name__)

_LORAS = ("kiss3dgen", "turbo")


@attrs.frozen
class WantedLora:
    """A LoRA that a preset asks for."""

    name: str
    files: EntryFiles
    weight: float


def wanted_loras(files: FluxFiles, settings: FluxSettings) -> tuple[WantedLora, ...]:
    """Those that ``settings`` ask for. Raises :class:`ModelFileMissing` for one that was not given."""
    weights = (settings.lora, settings.turbo)
    entries = (files.lora, files.turbo)
    return tuple(
        WantedLora(name, needed(entry, f"LoRA '{name}'"), weight)
        for name, entry, weight in zip(_LORAS, entries, weights, strict=True)
        if weight
    )


class WithLoras:
    """The transformer with these LoRAs and no others, whichever preset had it before; those that it has stay."""

    def __init__(self, transformer: Part[Denoiser], loras: tuple[WantedLora, ...], notes: list[str]) -> None:
        self._transformer = transformer
        self._loras = loras
        self._notes = notes

    def __call__(self) -> Denoiser:
        denoiser = self._transformer()
        for name in _LORAS:
            wanted = next((each for each in self._loras if each.name == name), None)
            there = denoiser.adapted.get(name)
            if wanted is None or there is None or there.wanted != wanted:
                remove_lora(denoiser.model, name)
                denoiser.adapted.pop(name, None)
            if wanted is not None and name not in denoiser.adapted:
                denoiser.adapted[name] = _set(denoiser, wanted)
        for note in (adapted.note for adapted in denoiser.adapted.values()):
            if note and note not in self._notes:
                self._notes.append(note)
        return denoiser

    def release(self) -> None:
        self._transformer.release()


@attrs.frozen
class _Adapted:
    """A LoRA that is set, and a sentence for the user about it, or none."""

    wanted: WantedLora
    note: str


def _set(denoiser: Denoiser, wanted: WantedLora) -> _Adapted:
    (path,) = [path for file, path in wanted.files.paths.items() if file.endswith(".safetensors")]
    lora = read_lora(path, denoiser.model)
    set_lora(denoiser.model, wanted.name, lora, wanted.weight, denoiser.device)
    note = ""
    if lora.text_encoder_names:
        note = (
            f"{len(lora.text_encoder_names)} tensors of {lora.source} are for the text encoders "
            f"({lora.text_encoder_names[0]}) and are not used."
        )
        _log.warning("%s", note)
    return _Adapted(wanted, note)
