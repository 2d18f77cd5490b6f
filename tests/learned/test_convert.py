"""Pickled checkpoints to safetensors, without running what is in them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tests.fakes.tiny.pickled import write_lightning, write_state_dict

from kiss3d_backend.networks.convert import KINDS, convert
from kiss3d_backend.networks.convert.__main__ import main
from kiss3d_protocol.errors import (
    ModelDiskFull,
    ModelDownloadFailed,
    ModelFileCorrupt,
    ModelFileMissing,
    ModelKeysWrong,
)

LRM, UNET = KINDS["lrm"], KINDS["multiview_unet"]


def _quiet(step: str, done: int, total: int) -> None: ...


def _tiny(kind: Any) -> dict[str, torch.Tensor]:
    """A tensor for each published name, of as many dimensions and at most two elements in each."""
    random = torch.Generator().manual_seed(5)
    return {
        name: torch.randn([min(side, 2) for side in shape], generator=random) for name, shape in kind.shapes().items()
    }


@pytest.fixture(scope="module")
def lrm() -> dict[str, torch.Tensor]:
    return _tiny(LRM)


@pytest.fixture(scope="module")
def unet() -> dict[str, torch.Tensor]:
    return {name: tensor.half() for name, tensor in _tiny(UNET).items()}


@pytest.mark.parametrize(("kind", "tensors", "parameters"), [(LRM, 527, 378.7e6), (UNET, 686, 865.9e6)])
def test_lists_have_the_published_counts(kind: Any, tensors: int, parameters: float) -> None:
    shapes = kind.shapes()
    assert len(shapes) == tensors
    assert round(sum(math.prod(shape) for shape in shapes.values()), -5) == parameters


@pytest.mark.parametrize("zipped", [True, False])
def test_a_lightning_checkpoint_becomes_its_model(tmp_path: Path, lrm: dict[str, torch.Tensor], zipped: bool) -> None:
    source, target = tmp_path / "final_ckpt.ckpt", tmp_path / "out" / "final_ckpt.safetensors"
    write_lightning(source, lrm, "lrm_generator.", zipped=zipped)
    assert "omegaconf" not in sys.modules
    result = convert(LRM, source, target, _quiet)
    assert "omegaconf" not in sys.modules
    converted = load_file(target)
    assert converted.keys() == lrm.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in lrm.items())
    assert (result.tensors, result.size) == (527, target.stat().st_size)
    assert result.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert result.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    with safe_open(target, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["source_sha256"] == result.source_sha256
    assert (metadata["source"], metadata["kiss3d_kind"]) == ("final_ckpt.ckpt", "lrm")
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_plain_state_dict_keeps_its_dtype(
    tmp_path: Path, unet: dict[str, torch.Tensor], wrapped: bool, zipped: bool
) -> None:
    write_state_dict(tmp_path / "flexgen.ckpt", unet, wrapped=wrapped, zipped=zipped)
    convert(UNET, tmp_path / "flexgen.ckpt", tmp_path / "unet.safetensors", _quiet)
    converted = load_file(tmp_path / "unet.safetensors")
    assert converted.keys() == unet.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in unet.items())


def test_views_and_shared_tensors_are_written_apart(tmp_path: Path, unet: dict[str, torch.Tensor]) -> None:
    names = list(unet)
    both = torch.randn(320)
    parts = {names[1]: both, names[6]: both, names[7]: torch.randn(9)[3:5], names[0]: torch.randn(4, 3, 2, 2).mT}
    write_state_dict(tmp_path / "flexgen.ckpt", {**unet, **parts})
    convert(UNET, tmp_path / "flexgen.ckpt", tmp_path / "unet.safetensors", _quiet)
    converted = load_file(tmp_path / "unet.safetensors")
    for name, tensor in parts.items():
        assert torch.equal(converted[name], tensor)


class Runs:
    """Unpickling this calls ``function(*arguments)``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _hostile(marker: Path) -> dict[str, Runs]:
    touch = f"open({str(marker)!r}, 'w')"
    return {
        "os.system": Runs(os.system, f"echo > '{marker}'"),
        "eval": Runs(eval, touch),
        "exec": Runs(exec, touch),
        "import": Runs(__import__, "antigravity_of_a_pickle"),
        "open": Runs(open, str(marker), "w"),
        "popen": Runs(subprocess.Popen, ["touch", str(marker)]),
        "getattr": Runs(getattr, os, "system"),
        "torch.load": Runs(torch.load, str(marker)),
        "storage": Runs(torch.storage._load_from_bytes, b"cos\nsystem\n"),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["beside", "settings", "instead", "key"])
@pytest.mark.parametrize("name", sorted(_hostile(Path("x"))))
def test_no_pickle_runs_its_code(
    tmp_path: Path, unet: dict[str, torch.Tensor], name: str, place: str, zipped: bool
) -> None:
    marker = tmp_path / "it-ran"
    hostile = _hostile(marker)[name]
    if name == "getattr":  # a module cannot be pickled; the call is what counts
        hostile = Runs(getattr, "x", "upper")
    checkpoint: Any = {
        "beside": {"state_dict": unet, "callbacks": hostile},
        "settings": {"state_dict": unet, "hyper_parameters": {"model": [{"deep": (1, hostile)}]}},
        "instead": hostile,
        "key": {"state_dict": {**unet, "conv_in.bias": hostile}},
    }[place]
    torch.save(checkpoint, tmp_path / "bad.ckpt", _use_new_zipfile_serialization=zipped)
    target = tmp_path / "unet.safetensors"
    try:
        convert(UNET, tmp_path / "bad.ckpt", target, _quiet)
        converted = True
    except (ModelFileCorrupt, ModelKeysWrong) as error:
        converted = False
        assert "weights_only" not in str(error), "torch's advice to switch the check off is not passed on"
    assert not marker.exists()
    assert target.exists() == converted
    if place in ("instead", "key"):
        assert not converted
    elif name != "os.system":  # torch refuses the modules os, posix, nt and sys whatever they are used for
        assert converted and load_file(target).keys() == unet.keys()


def test_the_hostile_pickles_would_run(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    marker = tmp_path / "it-ran"
    torch.save({"callbacks": _hostile(marker)["os.system"]}, tmp_path / "bad.ckpt")
    assert not marker.exists()
    torch.load(tmp_path / "bad.ckpt", weights_only=False)
    assert marker.exists()


def _wrong(change: Callable[[dict[str, torch.Tensor]], None], unet: dict[str, torch.Tensor], folder: Path) -> str:
    state = dict(unet)
    change(state)
    write_state_dict(folder / "wrong.ckpt", state)
    with pytest.raises(ModelKeysWrong) as caught:
        convert(UNET, folder / "wrong.ckpt", folder / "target.safetensors", _quiet)
    assert not (folder / "target.safetensors").exists()
    return caught.value.message


def test_missing_surplus_and_misshapen_tensors_are_listed(tmp_path: Path, unet: dict[str, torch.Tensor]) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        del state["conv_in.bias"]
        state["conv_in.biases"] = torch.zeros(2)
        state["conv_in.weight"] = torch.zeros(2, 2)

    message = _wrong(change, unet, tmp_path)
    assert "1 missing (conv_in.bias)" in message
    assert "1 surplus (conv_in.biases)" in message
    assert "1 misshapen (conv_in.weight 2x2 instead of 320x4x3x3)" in message


def test_tensors_without_the_prefix_are_another_file(tmp_path: Path, lrm: dict[str, torch.Tensor]) -> None:
    write_lightning(tmp_path / "other.ckpt", lrm, "model.")
    with pytest.raises(ModelKeysWrong, match=r"no tensors under 'lrm_generator\.'"):
        convert(LRM, tmp_path / "other.ckpt", tmp_path / "target.safetensors", _quiet)


def test_at_the_published_width_every_shape_counts() -> None:
    shapes = LRM.shapes()
    LRM.check(shapes, "x")
    name = next(name for name, shape in shapes.items() if shape == (768,))
    with pytest.raises(ModelKeysWrong, match="769 instead of 768"):
        LRM.check({**shapes, name: (769,)}, "x")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_says_so(tmp_path: Path, unet: dict[str, torch.Tensor], zipped: bool) -> None:
    write_state_dict(tmp_path / "whole.ckpt", unet, zipped=zipped)
    whole = (tmp_path / "whole.ckpt").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:40], b"", b"PK\x03\x04" + bytes(99), b"<html>404</html>"):
        (tmp_path / "bad.ckpt").write_bytes(content)
        with pytest.raises(ModelFileCorrupt, match=r"bad\.ckpt"):
            convert(UNET, tmp_path / "bad.ckpt", tmp_path / "target.safetensors", _quiet)
    with pytest.raises(ModelFileMissing):
        convert(UNET, tmp_path / "none.ckpt", tmp_path / "target.safetensors", _quiet)
    assert not list(tmp_path.glob("*target*"))


def test_a_full_disk_and_a_folder_that_cannot_be_written(
    tmp_path: Path, unet: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state_dict(tmp_path / "flexgen.ckpt", unet)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ModelDownloadFailed):
        convert(UNET, tmp_path / "flexgen.ckpt", tmp_path / "file" / "target.safetensors", _quiet)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(ModelDiskFull, match=r"0\.0 GB are free"):
        convert(UNET, tmp_path / "flexgen.ckpt", tmp_path / "target.safetensors", _quiet)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs Linux and root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_while_writing(
    tmp_path: Path, unet: dict[str, torch.Tensor], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state_dict(tmp_path / "flexgen.ckpt", unet)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10**12}))
    with pytest.raises(ModelDiskFull, match="disk is full"):
        convert(UNET, tmp_path / "flexgen.ckpt", small_disk / "target.safetensors", _quiet)
    assert list(small_disk.iterdir()) == []


def test_an_interrupted_conversion_leaves_no_file(tmp_path: Path, unet: dict[str, torch.Tensor]) -> None:
    write_state_dict(tmp_path / "flexgen.ckpt", unet)

    def stop(step: str, done: int, total: int) -> None:
        if step == "check":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(UNET, tmp_path / "flexgen.ckpt", tmp_path / "target.safetensors", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["flexgen.ckpt"]


def test_the_command_reports_in_json(
    tmp_path: Path, unet: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "flexgen.ckpt", tmp_path / "target.safetensors"
    write_state_dict(source, unet)
    assert main(["multiview_unet", str(source), str(target)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [event["step"] for event in events if event["event"] == "progress"]
    assert list(dict.fromkeys(steps)) == ["source", "write", "check"]
    assert events[-1]["event"] == "done" and events[-1]["tensors"] == 686
    source.write_bytes(b"nothing")
    assert main(["multiview_unet", str(source), str(target)]) == ModelFileCorrupt.exit_code
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["code"]) == ("error", "model.corrupt")
    assert event["message"] and event["remedy"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path, unet: dict[str, torch.Tensor]) -> None:
    """Peak resident anonymous memory of the child process, for a small file and for one with 100 MB more."""
    if not hasattr(psutil.Process().memory_info(), "shared"):
        pytest.skip("this platform does not tell mapped from anonymous memory")
    side = 5000
    name = "mid_block.attentions.0.proj_in.weight"
    assert unet[name].ndim == 2
    peaks: list[int] = []
    for tensor in (unet[name], torch.ones(side, side)):
        write_state_dict(tmp_path / "flexgen.ckpt", {**unet, name: tensor})
        peaks.append(_peak_of_child(tmp_path / "flexgen.ckpt", tmp_path / "target.safetensors"))
    assert load_file(tmp_path / "target.safetensors")[name].shape == (side, side)
    assert peaks[1] - peaks[0] < side * side * 4 / 4


def _peak_of_child(source: Path, target: Path) -> int:
    command = [sys.executable, "-m", "kiss3d_backend.networks.convert", "multiview_unet", source, target]
    peak = 0
    with psutil.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as child:
        while child.poll() is None:
            try:
                memory = child.memory_info()
            except psutil.NoSuchProcess:
                break
            peak = max(peak, memory.rss - memory.shared)
        output = child.stdout.read()
    assert child.returncode == 0, output
    return peak
