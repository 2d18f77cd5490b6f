"""From the model store to places on the shelf: which entry each network comes from, on which device, how precise."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.models.offers import PROMPT_WRITER
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.networks.flux.execution import FluxExecution, FluxPlacement
from kiss3d_backend.networks.flux.files import FluxFiles
from kiss3d_backend.networks.flux.settings import FluxSettings
from kiss3d_backend.networks.flux.single_file import CLIP, T5, TRANSFORMER, VAE
from kiss3d_backend.networks.read_ahead import Range, ReadAhead, tensors_under, whole
from kiss3d_backend.networks.shelf import Shelf, Slot
from kiss3d_protocol.errors import Kiss3DError

if TYPE_CHECKING:
    from kiss3d_backend.networks.birefnet import BiRefNet
    from kiss3d_backend.networks.chat.writer import Writer
    from kiss3d_backend.networks.florence.captioner import Captioner
    from kiss3d_backend.networks.flux.draw import FluxParts
    from kiss3d_backend.networks.flux.parts import FluxNetworks
    from kiss3d_backend.networks.lrm.model import Lrm
    from kiss3d_backend.networks.zero123.parts import Parts

# Diffusers, transformers and onnxruntime take seconds to import. Loaders are imported where they are called, so that a
# job waits for those of its own networks alone.

T = TypeVar("T")

_log = logging.getLogger(__name__)

_FLUX_PARTS = {
    "flux text encoders": (T5, CLIP),
    "flux autoencoder": (VAE,),
    "flux transformer": (TRANSFORMER,),
}
_ENTRIES = {
    "birefnet": ("birefnet", ("",)),
    "zero123plus encoders": ("zero123plus", ("vision_encoder/", "text_encoder/")),
    "zero123plus autoencoder": ("zero123plus", ("vae/",)),
    "multiview_unet": ("multiview_unet", ("",)),
    "lrm": ("lrm", ("",)),
    "florence2": ("florence2", ("model.",)),
    "controlnet": ("controlnet_union", ("",)),
    "redux": ("redux", ("",)),
}
"""Of each component of a plan: the catalogue's entry, and how the names of its files begin."""

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def flux_placement(plan: Plan) -> FluxPlacement:
    """How the plan has FLUX's networks."""
    transformer = plan.components.get("flux transformer")
    if transformer is None:
        return FluxPlacement()
    encoders, control = plan.components.get("flux text encoders"), plan.components.get("controlnet")
    streamed = transformer.residence == "streamed"
    return FluxPlacement(
        FluxExecution(
            streamed=streamed,
            resident_blocks=transformer.resident_blocks if streamed else 0,
            products=transformer.precision.products,
            compiled=plan.compiled,
            attention=plan.attention,
            tiled_decode=plan.tiled_decode,
        ),
        read_on_processor=plan.device == "cuda" and encoders is not None and encoders.residence == "processor",
        control_in_float8=plan.device == "cuda" and control is not None and control.precision.storage == "float8",
    )


class Library:
    """Every network of the recipes, loaded when a stage calls for it, and placed as ``plan`` says.

    Files are looked up and checked when a network is loaded: a model that was downloaded after the start is found.
    """

    def __init__(self, store: ModelStore, plan: Plan) -> None:
        self._store = store
        self._plan = plan
        self.device = (
            torch.device("cuda", torch.cuda.current_device()) if plan.device == "cuda" else torch.device("cpu")
        )
        self.dtype = DTYPES[plan.compute]
        self._shelf = Shelf(plan.limit)
        self._shelf.follow(plan.places, plan.limit)
        self._flux: dict[str, FluxNetworks] = {}
        self._drawn_by: str | None = None
        self._read_ahead = ReadAhead()

    def draws_by(self, entry: str) -> None:
        """Which FLUX file the job will want; for reading ahead."""
        self._drawn_by = entry

    def follow(self, plan: Plan) -> None:
        """From now on as ``plan`` says, which is for the same machine. Only what it places otherwise is freed."""
        if DTYPES[plan.compute] != self.dtype or plan.device != self._plan.device:
            raise AssertionError("a library is for one machine")
        self._plan = plan
        self._shelf.follow(plan.places, plan.limit)
        for networks in self._flux.values():
            networks.follow(flux_placement(plan))

    @property
    def loaded(self) -> tuple[str, ...]:
        """The components of the plan that are loaded, the one that was used longest ago first."""
        return self._shelf.loaded

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the networks that are loaded, of whichever file."""
        return self._shelf.names

    def reserve(self, work: int) -> None:
        """Makes room on the device for work without a network, in bytes."""
        self._shelf.reserve(work)

    def clear(self) -> None:
        """Frees every network."""
        self._read_ahead.stop()
        self._shelf.clear()

    def read_ahead(self, components: Iterable[str]) -> None:
        """Brings the files of networks that will be wanted soon into the system's memory, on a thread of its own."""
        ranges: list[Range] = []
        for name in components:
            try:
                ranges += self._files_of(name)
            except (OSError, ValueError, Kiss3DError) as error:
                # Whoever loads it will say what is wrong.
                _log.info("%s is not read ahead: %s", name, error)
        self._read_ahead.start(ranges)

    def _files_of(self, component: str) -> Sequence[Range]:
        prefixes = _FLUX_PARTS.get(component)
        if prefixes is not None:
            if self._drawn_by is None:
                return ()
            (path,) = [path for name, path in self._paths(self._drawn_by) if name.endswith(".safetensors")]
            return tensors_under(path, prefixes)
        if component not in _ENTRIES:
            return ()
        entry, folders = _ENTRIES[component]
        return [whole(path) for name, path in self._paths(entry) if name.startswith(folders)]

    def _paths(self, entry: str) -> list[tuple[str, Path]]:
        state = self._store.entry(entry)
        return [(file.file.loaded_name, file.path) for file in state.files if file.ready and file.path is not None]

    @property
    def drawing(self) -> str:
        """What of the plan changes the pictures that FLUX draws, however little."""
        placement = flux_placement(self._plan)
        return f"{placement.execution.results} {placement.read_on_processor} {placement.control_in_float8}"

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
        return " ".join([str(self.dtype), self.device.type, *told])

    @functools.cached_property
    def matting(self) -> Slot[BiRefNet]:
        def load(files: EntryFiles) -> BiRefNet:
            from kiss3d_backend.networks.birefnet import load_birefnet

            return load_birefnet(files)

        return self._slot("birefnet", load)

    @functools.cached_property
    def lrm(self) -> Slot[Lrm]:
        def load(files: EntryFiles) -> Lrm:
            from kiss3d_backend.networks.lrm.load import load_lrm

            return load_lrm(files, self.device, self.dtype)

        return self._slot("lrm", load)

    @functools.cached_property
    def captioner(self) -> Slot[Captioner]:
        def load(files: EntryFiles) -> Captioner:
            from kiss3d_backend.networks.florence.load import load_captioner

            return load_captioner(files, self.device, self.dtype)

        return self._slot("florence2", load)

    @functools.cached_property
    def writer(self) -> Slot[Writer]:
        def load(files: EntryFiles) -> Writer:
            from kiss3d_backend.networks.chat.load import load_writer

            return load_writer(files, self.device, self.dtype)

        return self._slot(PROMPT_WRITER, load)

    @functools.cached_property
    def multiview(self) -> Parts:
        from kiss3d_backend.networks.zero123.loader import load_autoencoder, load_conditioner, load_unet
        from kiss3d_backend.networks.zero123.parts import Parts, read_scheduler

        device, dtype = self.device, self.dtype
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
        from kiss3d_backend.networks.flux.parts import FluxNetworks

        files = FluxFiles(
            model=self._store.files(entry),
            clip_tokenizer=self._store.files("clip_tokenizer"),
            t5_tokenizer=self._store.files("t5_tokenizer"),
            lora=self._if_here("kiss3dgen_lora"),
            turbo=self._if_here("flux_turbo_lora"),
            controlnet=self._if_here("controlnet_union"),
            redux=self._if_here("redux"),
        )
        # schnell and dev were published with the same text encoders and autoencoder.
        like = next(iter(self._flux.values()), None)
        return FluxNetworks(self._shelf, files, self.device, self.dtype, flux_placement(self._plan), like)

    def _if_here(self, entry: str) -> EntryFiles | None:
        return self._store.files(entry) if self.has(entry) else None

    def _slot(self, entry: str, load: Callable[[EntryFiles], T], part: str = "") -> Slot[T]:
        return self._shelf.add(
            f"{entry} {part}".strip(),
            lambda: load(self._store.files(entry)),
            lambda: sum(file.done for file in self._store.entry(entry).files),
        )
