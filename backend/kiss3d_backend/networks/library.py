"""From the model store to places on the shelf: which entry each network comes from, on which device, how precise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import attrs
import psutil
import torch

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.models.offers import PROMPT_WRITER
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.networks.birefnet import BiRefNet, load_birefnet
from kiss3d_backend.networks.chat.load import load_writer
from kiss3d_backend.networks.chat.writer import Writer
from kiss3d_backend.networks.florence.captioner import Captioner
from kiss3d_backend.networks.florence.load import load_captioner
from kiss3d_backend.networks.flux.draw import FluxParts
from kiss3d_backend.networks.flux.execution import FluxExecution
from kiss3d_backend.networks.flux.parts import FluxFiles, FluxNetworks
from kiss3d_backend.networks.flux.settings import FluxSettings
from kiss3d_backend.networks.lrm.load import load_lrm
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.shelf import Shelf, Slot
from kiss3d_backend.networks.zero123.loader import load_autoencoder, load_conditioner, load_unet
from kiss3d_backend.networks.zero123.parts import Parts, read_scheduler

T = TypeVar("T")

_VRAM_SHARE = 0.75
_RAM_SHARE = 0.5
"""Of the memory, for networks that stay loaded; the rest is for what they compute, and for others."""


@attrs.frozen
class Placement:
    """Where networks run. ``limit``: bytes that loaded ones may take together. ``flux``: how FLUX runs."""

    device: torch.device
    dtype: torch.dtype
    limit: int
    flux: FluxExecution = attrs.Factory(FluxExecution)


def choose_placement() -> Placement:
    """CUDA in bfloat16 where torch can use it, else the CPU in float32."""
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        memory = torch.cuda.get_device_properties(device).total_memory
        return Placement(device, torch.bfloat16, int(memory * _VRAM_SHARE))
    return Placement(torch.device("cpu"), torch.float32, int(psutil.virtual_memory().total * _RAM_SHARE))


class Library:
    """Every network of the recipes, loaded when a stage calls for it.

    Files are looked up and checked when a network is loaded: a model that was downloaded after the start is found.
    """

    def __init__(self, store: ModelStore, placement: Placement | None = None) -> None:
        self.placement = placement or choose_placement()
        self._store = store
        self._shelf = Shelf(self.placement.limit)
        self._flux: dict[str, FluxNetworks] = {}

    def has(self, entry: str) -> bool:
        """Whether all files of a catalogue entry are here."""
        return self._store.entry(entry).ready

    def weights(self, *entries: str) -> str:
        """What tells these weights, and the precision that they run in, from others."""
        told = [
            f"{name}:{file.file.name}:{file.file.sha256 or file.done}"
            for name in entries
            for file in self._store.entry(name).files
        ]
        return " ".join([str(self.placement.dtype), self.placement.device.type, *told])

    @functools.cached_property
    def matting(self) -> Slot[BiRefNet]:
        return self._slot("birefnet", lambda files: load_birefnet(files, self.placement.device))

    @functools.cached_property
    def lrm(self) -> Slot[Lrm]:
        return self._slot("lrm", lambda files: load_lrm(files, self.placement.device, self.placement.dtype))

    @functools.cached_property
    def captioner(self) -> Slot[Captioner]:
        return self._slot("florence2", lambda files: load_captioner(files, self.placement.device, self.placement.dtype))

    @functools.cached_property
    def writer(self) -> Slot[Writer]:
        return self._slot(PROMPT_WRITER, lambda files: load_writer(files, self.placement.device, self.placement.dtype))

    @functools.cached_property
    def multiview(self) -> Parts:
        device, dtype = self.placement.device, self.placement.dtype
        base = functools.partial(self._store.files, "zero123plus")
        return Parts(
            scheduler=lambda: read_scheduler(base()),
            conditioner=self._slot("zero123plus", lambda files: load_conditioner(files, device, dtype), "encoders"),
            autoencoder=self._slot("zero123plus", lambda files: load_autoencoder(files, device, dtype), "autoencoder"),
            unet=self._slot("multiview_unet", lambda files: load_unet(base(), files, device, dtype)),
        )

    def flux(self, entry: str, settings: FluxSettings) -> FluxParts:
        """The networks of a FLUX file with the LoRAs, ControlNet and Redux that ``settings`` ask for.

        Raises :class:`ModelFileMissing` for what they ask for and is not here, and :class:`ModelFileCorrupt`.
        """
        if entry not in self._flux:
            self._flux[entry] = self._flux_networks(entry)
        return self._flux[entry].parts(settings)

    def _flux_networks(self, entry: str) -> FluxNetworks:
        files = FluxFiles(
            model=self._store.files(entry),
            clip_tokenizer=self._store.files("clip_tokenizer"),
            t5_tokenizer=self._store.files("t5_tokenizer"),
            lora=self._if_here("kiss3dgen_lora"),
            turbo=self._if_here("flux_turbo_lora"),
            controlnet=self._if_here("controlnet_union"),
            redux=self._if_here("redux"),
        )
        return FluxNetworks(self._shelf, files, self.placement.device, self.placement.dtype, self.placement.flux)

    def _if_here(self, entry: str) -> EntryFiles | None:
        return self._store.files(entry) if self.has(entry) else None

    def _slot(self, entry: str, load: Callable[[EntryFiles], T], part: str = "") -> Slot[T]:
        return self._shelf.add(
            f"{entry} {part}".strip(),
            lambda: load(self._store.files(entry)),
            lambda: sum(file.done for file in self._store.entry(entry).files),
        )
