"""Weights from files into modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import T5Config, T5EncoderModel

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import (
    Tensors,
    assign,
    check_keys,
    open_entry,
    open_tensors,
    parameters_on_meta,
    refuse_unassigned,
)
from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing, ModelKeysWrong


class Tied(torch.nn.Module):
    """An embedding that is also the output, a batch norm (integer buffer), and a buffer that no file holds."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.shared = torch.nn.Embedding(7, width, padding_idx=1)
        self.norm = torch.nn.BatchNorm1d(width)
        self.head = torch.nn.Linear(width, 7, bias=False)
        self.head.weight = self.shared.weight
        self.register_buffer("positions", torch.arange(5), persistent=False)


def test_modules_made_on_meta_keep_their_buffers_and_their_ties() -> None:
    with parameters_on_meta():
        module = Tied()
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.head.weight is module.shared.weight
    assert module.positions.tolist() == [0, 1, 2, 3, 4]
    assert not torch.nn.Linear(2, 2).weight.is_meta, "the hook is gone"


class Draws(TorchDispatchMode):
    """Counts the tensors that are filled with normally distributed numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func._schema.name == "aten::normal_"
        return func(*args, **(kwargs or {}))


def test_no_initial_weights_are_drawn_for_a_module_on_meta() -> None:
    with Draws() as draws:
        config = T5Config(vocab_size=8, d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=2, is_encoder_decoder=False)
        with parameters_on_meta():
            T5EncoderModel(config)
        assert draws.count == 3, "torch's own, of the three tables as they are made"
        T5EncoderModel(config)
        assert draws.count > 2 * 3 + 5


def test_assigned_weights_are_those_of_the_file(tmp_path: Path) -> None:
    original = Tied().eval()
    state = {name: value.clone() for name, value in original.state_dict().items() if name != "head.weight"}
    save_file(state, tmp_path / "m.safetensors")
    with parameters_on_meta():
        module = Tied()
    tensors = open_tensors(tmp_path / "m.safetensors")
    assign(module, tensors, source=tensors.source, dtype=torch.bfloat16)
    assert module.head.weight is module.shared.weight
    assert module.head.weight.dtype == module.norm.running_mean.dtype == torch.bfloat16
    assert module.norm.num_batches_tracked.dtype == torch.int64
    torch.testing.assert_close(module.head.weight, original.head.weight.to(torch.bfloat16).detach())


def test_dtype_by_name_keeps_what_it_says_nothing_of(tmp_path: Path) -> None:
    state = {"weight": torch.randn(3, 2).to(torch.float8_e4m3fn), "bias": torch.randn(3, dtype=torch.float16)}
    save_file(state, tmp_path / "m.safetensors")
    tensors = open_tensors(tmp_path / "m.safetensors")
    assert tensors.stored_dtypes == {"weight": "F8_E4M3", "bias": "F16"}
    with parameters_on_meta():
        module = torch.nn.Linear(2, 3)
    assign(module, tensors, source="m", dtype=lambda name: torch.bfloat16 if name == "bias" else None)
    assert (module.weight.dtype, module.bias.dtype) == (torch.float8_e4m3fn, torch.bfloat16)


def test_wrong_keys_are_listed_before_anything_is_moved() -> None:
    with parameters_on_meta():
        module = Tied()
    given = {"shared.weight": torch.zeros(7, 5), "norm.weight": torch.zeros(4), "extra": torch.zeros(1)}
    with pytest.raises(ModelKeysWrong) as caught:
        assign(module, given, source="tied.safetensors")
    message = caught.value.message
    assert "4 missing (norm.bias, norm.num_batches_tracked, norm.running_mean, norm.running_var)" in message
    assert "1 surplus (extra)" in message
    assert "1 misshapen (shared.weight 7x5 instead of 7x4)" in message
    assert "head.weight" not in message
    assert module.norm.weight.is_meta


def test_long_lists_are_cut_and_counted() -> None:
    with pytest.raises(ModelKeysWrong, match=r"9 missing \(k0, k1, k2, k3, k4 and 4 more\)"):
        check_keys({f"k{number}": (1,) for number in range(9)}, {}, "x")
    check_keys({"k": ()}, {"k": ()}, "x")


def test_unassigned_tensors_are_refused() -> None:
    with torch.device("meta"):
        module = torch.nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="weight"):
        refuse_unassigned(module)


def test_assigning_copies_nothing(tmp_path: Path) -> None:
    """Resident anonymous memory stays flat: the parameters are the mapped file."""
    side = 4096
    save_file({"weight": torch.ones(side, side)}, tmp_path / "large.safetensors")
    with parameters_on_meta():
        module = torch.nn.Linear(side, side, bias=False)
    before = _anonymous_bytes()
    tensors = open_tensors(tmp_path / "large.safetensors")
    assign(module, tensors, source="large")
    assert module.weight.sum() == side * side
    assert _anonymous_bytes() - before < side * side * 4 / 4


def _anonymous_bytes() -> int:
    memory = psutil.Process().memory_info()
    if not hasattr(memory, "shared"):
        pytest.skip("this platform does not tell mapped from anonymous memory")
    return memory.rss - memory.shared


def test_selecting_and_renaming(tmp_path: Path) -> None:
    save_file({"vae.a": torch.ones(1), "vae.b": torch.ones(2), "t5.a": torch.ones(3)}, tmp_path / "all.safetensors")
    tensors = open_tensors(tmp_path / "all.safetensors")
    assert tensors.under("vae.").shapes == {"a": (1,), "b": (2,)}
    assert tensors.where(lambda name: name.endswith(".a")).shapes == {"vae.a": (1,), "t5.a": (3,)}
    renamed = tensors.under("t5.").renamed(str.upper)
    assert list(renamed) == ["A"] and renamed["A"].shape == (3,)
    with pytest.raises(ModelKeysWrong, match="twice"):
        tensors.renamed(lambda name: name.split(".")[1])


def _sharded(folder: Path) -> EntryFiles:
    save_file({"a": torch.ones(1)}, folder / "m-1.safetensors")
    save_file({"b": torch.ones(2)}, folder / "m-2.safetensors")
    index = {"metadata": {}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    (folder / "index").write_text(json.dumps(index), encoding="utf-8")
    return EntryFiles(
        "sharded",
        {
            "te/m.safetensors.index.json": folder / "index",
            "te/m-1.safetensors": folder / "m-1.safetensors",
            "te/m-2.safetensors": folder / "m-2.safetensors",
        },
    )


def test_shards_are_one(tmp_path: Path) -> None:
    tensors = open_entry(_sharded(tmp_path), "te/m.safetensors")
    assert tensors.shapes == {"a": (1,), "b": (2,)}


def test_shards_must_hold_what_the_index_says(tmp_path: Path) -> None:
    files = _sharded(tmp_path)
    save_file({"c": torch.ones(2)}, tmp_path / "m-2.safetensors")
    with pytest.raises(ModelKeysWrong, match="disagree on 2"):
        open_entry(files, "te/m.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "m-2.safetensors")
    with pytest.raises(ModelKeysWrong, match="Several files"):
        open_entry(files, "te/m.safetensors")
    (tmp_path / "index").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelFileCorrupt, match="index"):
        open_entry(files, "te/m.safetensors")
    missing = EntryFiles("sharded", {k: v for k, v in _sharded(tmp_path).paths.items() if "m-2" not in k})
    with pytest.raises(ModelFileMissing, match=r"m-2\.safetensors"):
        open_entry(missing, "te/m.safetensors")


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"not a safetensors file"])
def test_what_is_no_safetensors_file_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ModelFileCorrupt, match=r"m\.safetensors"):
        open_tensors(tmp_path / "m.safetensors")


def test_a_truncated_file_says_so(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1000)}, tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ModelFileCorrupt):
        open_tensors(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileMissing):
        open_tensors(tmp_path / "none.safetensors")


def test_the_mapping_is_lazy(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors")
    tensors = open_tensors(tmp_path / "m.safetensors")
    assert isinstance(tensors, Tensors) and len(tensors) == 1 and "a" in tensors and "b" not in tensors
    with pytest.raises(KeyError):
        tensors["b"]
