"""The LRM's names and shapes are the published ones, and converted files load into it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.fakes.tiny.lrm import TINY, tiny_lrm
from tests.fakes.tiny.pickled import write_lightning
from torch import Tensor

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.convert.convert import convert
from kiss3d_backend.networks.convert.published import KINDS
from kiss3d_backend.networks.lrm.load import LRM_FILE, load_lrm
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.lrm.shape import LrmShape, shape_of
from kiss3d_protocol.errors import ModelFileMissing, ModelKeysWrong, ParamsInvalid


def entry(folder: Path, tensors: dict[str, Tensor]) -> EntryFiles:
    path = folder / "lrm.safetensors"
    save_file(tensors, path)
    return EntryFiles("lrm", {LRM_FILE: path})


def test_names_and_shapes_are_the_published_ones() -> None:
    published = KINDS["lrm"].shapes()
    assert len(published) == 527
    with torch.device("meta"):
        model = Lrm()
    ours = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert ours == published
    assert sum(value.numel() for value in model.parameters()) == 378_681_518
    assert shape_of(published) == LrmShape()
    assert (LrmShape().image_heads, LrmShape().heads) == (12, 16)


def test_the_tiny_models_names_are_the_published_ones() -> None:
    tensors = tiny_lrm()
    published = KINDS["lrm"].shapes()
    assert tensors.keys() == published.keys()
    assert all(value.dim() == len(published[name]) for name, value in tensors.items())
    assert shape_of({name: tuple(value.shape) for name, value in tensors.items()}) == TINY


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_published_pickle_converts_loads_and_runs(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = tiny_lrm(1)
    write_lightning(tmp_path / "final_ckpt.ckpt", tensors, "lrm_generator.")
    convert(KINDS["lrm"], tmp_path / "final_ckpt.ckpt", tmp_path / LRM_FILE, lambda *_: None)
    model = load_lrm(EntryFiles("lrm", {LRM_FILE: tmp_path / LRM_FILE}), "cpu", dtype)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {value.dtype for value in model.transformer.parameters()} == {dtype}
    assert {value.dtype for value in model.synthesizer.parameters()} == {torch.float32}
    plain = Lrm(TINY).requires_grad_(False).eval()
    plain.load_state_dict(tensors)
    views, cameras = torch.rand(1, 4, 3, 128, 128), torch.randn(1, 4, 16)
    found, expected = model.forward_planes(views, cameras), plain.forward_planes(views, cameras)
    assert found.dtype == dtype
    tolerance = 0.0 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=tolerance)


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    tensors = tiny_lrm()
    del tensors["transformer.norm.bias"]
    tensors["transformer.layers.3.norm1.weight"] = torch.ones(5)
    tensors["more"] = torch.ones(1)
    with pytest.raises(ModelKeysWrong, match="1 missing") as caught:
        load_lrm(entry(tmp_path, tensors))
    assert "transformer.norm.bias" in caught.value.message
    assert "more" in caught.value.message
    assert "transformer.layers.3.norm1.weight" in caught.value.message


def test_what_is_no_lrm_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelKeysWrong, match="527 missing"):
        load_lrm(entry(tmp_path, {"weight": torch.ones(2, 2)}))
    with pytest.raises(ModelFileMissing):
        load_lrm(EntryFiles("lrm", {}))


def test_half_precision_is_refused_on_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(ParamsInvalid, match="half precision"):
        load_lrm(entry(tmp_path, tiny_lrm()), "cpu", torch.float16)
