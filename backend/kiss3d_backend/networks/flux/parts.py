"""FLUX's networks from verified files, loaded when they are called for and kept on the worker's shelf."""

from __future__ import annotations

import math

import attrs
import torch

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import Tensors, open_entry, open_tensors, same_tensors
from kiss3d_backend.networks.flux import controlnet, redux
from kiss3d_backend.networks.flux.autoencoder import load_autoencoder
from kiss3d_backend.networks.flux.denoiser import Denoiser, refuse_without_float8
from kiss3d_backend.networks.flux.draw import FluxParts
from kiss3d_backend.networks.flux.execution import FluxExecution, FluxPlacement, device_block_bytes
from kiss3d_backend.networks.flux.files import FluxFiles, needed
from kiss3d_backend.networks.flux.prompt import PromptEncoder, read_clip_tokenizer, read_t5_tokenizer
from kiss3d_backend.networks.flux.settings import FluxSettings
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.text_encoders import load_clip, load_t5
from kiss3d_backend.networks.flux.transformer import load_transformer
from kiss3d_backend.networks.flux.with_loras import WithLoras, wanted_loras
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_backend.networks.shelf import Shelf

_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2}
_REDUX_FILES = (redux.ENCODER_FILE, redux.EMBEDDER_FILE)


class FluxNetworks:
    """The places on ``shelf`` of one FLUX model and of what goes with it; presets that use them share what is loaded.

    Nothing is read before a part is called for. ``dtype``: that the networks compute in. The autoencoder does so in
    float32 on the CPU, where its file is mapped then. ``placement``: may be changed by :meth:`follow`. ``like``:
    another model's, placed alike, whose text encoders and autoencoder serve this one too where the files hold the same.
    Raises :class:`ParamsInvalid` for float16 on the CPU, and for float8 products on a GPU that has none.
    """

    def __init__(
        self,
        shelf: Shelf,
        files: FluxFiles,
        device: torch.device,
        dtype: torch.dtype,
        placement: FluxPlacement | None = None,
        like: FluxNetworks | None = None,
    ) -> None:
        refuse_half_on_cpu(device, dtype)
        self._device, self._dtype = device, dtype
        self._placement = placement or FluxPlacement()
        if self._placement.execution.products == "scaled":
            refuse_without_float8(device)
        self._files = files
        name, model = files.model.entry, files.model
        precision = torch.float32 if device.type == "cpu" else dtype
        alike = () if like is None else _alike(model, like._files.model)
        self._prompts = (
            like._prompts
            if like is not None and {"clip", "t5"} <= set(alike)
            else shelf.add(
                f"{name} text encoders",
                self._load_prompts,
                lambda: stored_bytes(open_flux(model).part("clip")) + stored_bytes(open_flux(model).part("t5")),
                "flux text encoders",
            )
        )
        self._autoencoder = (
            like._autoencoder
            if like is not None and "vae" in alike
            else shelf.add(
                f"{name} autoencoder",
                lambda: load_autoencoder(open_flux(model).part("vae"), device, precision),
                lambda: stored_bytes(open_flux(model).part("vae")),
                "flux autoencoder",
            )
        )
        drawing = files.transformer or model
        self._transformer = shelf.add(
            f"{drawing.entry} transformer",
            lambda: load_denoiser(open_flux(drawing).transformer, device, dtype, self._placement.execution),
            lambda: device_bytes(open_flux(drawing).transformer, self._placement.execution) + _lora_bytes(files),
            "flux transformer",
        )
        self._controlnet = shelf.add(
            "ControlNet",
            lambda: controlnet.load_controlnet(
                open_entry(needed(files.controlnet, "ControlNet"), controlnet.FILE),
                device,
                dtype,
                in_float8=self._placement.control_in_float8,
            ),
            lambda: stored_bytes(open_entry(needed(files.controlnet, "ControlNet"), controlnet.FILE)),
            "controlnet",
        )
        self._redux = shelf.add(
            "Redux",
            lambda: redux.load_redux(needed(files.redux, "Redux"), device, dtype),
            lambda: sum(stored_bytes(open_entry(needed(files.redux, "Redux"), file)) for file in _REDUX_FILES),
            "redux",
        )

    def follow(self, placement: FluxPlacement) -> None:
        """From now on as ``placement`` says. What is loaded and would be otherwise is freed; the rest stays."""
        before, self._placement = self._placement, placement
        if not _runs_alike(before.execution, placement.execution):
            self._transformer.drop()
        if before.read_on_processor != placement.read_on_processor:
            self._prompts.drop()
        if before.control_in_float8 != placement.control_in_float8:
            self._controlnet.drop()

    def _load_prompts(self) -> PromptEncoder:
        file, files = open_flux(self._files.model), self._files
        away = self._placement.read_on_processor
        device = torch.device("cpu") if away else self._device
        dtype = torch.float32 if away else self._dtype
        return PromptEncoder(
            load_clip(file.part("clip"), device, dtype),
            read_clip_tokenizer(files.clip_tokenizer),
            load_t5(file.part("t5"), device, dtype),
            read_t5_tokenizer(files.t5_tokenizer),
            self._device,
        )

    def parts(self, settings: FluxSettings) -> FluxParts:
        """What ``settings`` ask for; calling a part raises what its loader raises.

        Raises :class:`ModelFileMissing` for an entry that they need and that was not given.
        """
        if settings.control is not None:
            needed(self._files.controlnet, "ControlNet")
        if settings.redux is not None:
            needed(self._files.redux, "Redux")
        notes: list[str] = []
        return FluxParts(
            self._prompts,
            self._autoencoder,
            WithLoras(self._transformer, wanted_loras(self._files, settings), notes),
            None if settings.control is None else self._controlnet,
            None if settings.redux is None else self._redux,
            notes,
            self._placement.execution,
        )


def _alike(one: EntryFiles, other: EntryFiles) -> tuple[str, ...]:
    """Of "clip", "t5" and "vae" those that both files hold, and the same."""
    ours, theirs = open_flux(one), open_flux(other)
    pairs = {"clip": (ours.clip, theirs.clip), "t5": (ours.t5, theirs.t5), "vae": (ours.vae, theirs.vae)}
    return tuple(name for name, (a, b) in pairs.items() if a is not None and b is not None and same_tensors(a, b))


def _runs_alike(one: FluxExecution, other: FluxExecution) -> bool:
    """Whether a transformer that was made for one serves the other: decoding and the cache are not part of it."""
    return attrs.evolve(one, tiled_decode=False, first_block_cache=None) == attrs.evolve(
        other, tiled_decode=False, first_block_cache=None
    )


# The weights are loaded in the midst of a drawing, and are the next drawing's too.
@torch.inference_mode(False)
@torch.no_grad()
def load_denoiser(tensors: Tensors, device: torch.device, dtype: torch.dtype, execution: FluxExecution) -> Denoiser:
    """As load_transformer, for ``execution``: what is streamed goes from the file to host memory, not by the device."""
    model = load_transformer(tensors, device, dtype, mapped=execution.streamed)
    return Denoiser(model, execution, device)


def device_bytes(tensors: Tensors, execution: FluxExecution) -> int:
    """What a transformer, ``tensors`` in BFL's names, takes on the device with this execution, from the header."""
    blocks = block_bytes(tensors)
    return stored_bytes(tensors) - sum(blocks) + device_block_bytes(blocks, execution)


def block_bytes(tensors: Tensors) -> list[int]:
    """What each block of a transformer, ``tensors`` in BFL's names, takes as it is stored, in the order of work."""
    sizes: dict[tuple[str, int], int] = {}
    dtypes = tensors.stored_dtypes
    for name, shape in tensors.shapes.items():
        kind, _, rest = name.partition(".")
        number = rest.partition(".")[0]
        if kind in ("double_blocks", "single_blocks") and number.isdigit():
            place = (kind, int(number))
            sizes[place] = sizes.get(place, 0) + math.prod(shape) * _BYTES.get(dtypes[name], 1)
    return [sizes[place] for place in sorted(sizes)]


def stored_bytes(tensors: Tensors) -> int:
    """What the tensors take as they are stored, from the header alone."""
    dtypes = tensors.stored_dtypes
    return sum(math.prod(shape) * _BYTES.get(dtypes[name], 1) for name, shape in tensors.shapes.items())


def _lora_bytes(files: FluxFiles) -> int:
    """Of all LoRAs together: they lie on the device beside the transformer."""
    paths = [path for entry in (files.lora, files.turbo) if entry is not None for path in entry.paths.values()]
    return sum(stored_bytes(open_tensors(path)) for path in paths if path.suffix == ".safetensors")
