"""The benchmark of a whole job at full size, without running one: its models' sizes, its files, its sums."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tests.benchmarks.whole.cards import CARDS, FRACTION, SLOWER_PROCESSOR, ideal_seconds, project
from tests.benchmarks.whole.counting import Counted, Counting
from tests.benchmarks.whole.job import Jobs
from tests.benchmarks.whole.rates import Rates
from tests.benchmarks.whole.table import missed, report_lines
from tests.benchmarks.whole.weights import RandomValues, lora_layout, make_models, write_tensors
from tests.fakes.tiny import flux, zero123
from tests.fakes.tiny.florence import Size, florence_config
from tests.fakes.tiny.models import SIZE as TINY_FLUX
from tests.fakes.tiny.zero123 import clip_text_settings, clip_vision_settings, vae_settings
from transformers import Florence2ForConditionalGeneration

from kiss3d_backend.devices.components import CLIP_PARAMETERS, LORA_PARAMETERS, T5_PARAMETERS, components
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.worker.worker import JobControl

CPU = torch.device("cpu")


def count(shapes: Any) -> int:
    return sum(math.prod(shape) for shape in shapes)


@pytest.mark.parametrize("guidance", [True, False])
def test_flux_is_written_at_its_published_size(guidance: bool) -> None:
    shape = FluxShape(guided=guidance)
    layout = flux.file_layout(flux.Size.published(), guidance)
    by_part = {"model.": 0, "text_encoders.clip_l.transformer.text_model": 0, "text_encoders.t5xxl.tr": 0, "vae": 0}
    for name, (dimensions, _) in layout.items():
        for part in by_part:
            by_part[part] += math.prod(dimensions) if name.startswith(part) else 0
    vae = components(shape, 0)["flux autoencoder"].wide
    assert list(by_part.values()) == [shape.parameters, CLIP_PARAMETERS, T5_PARAMETERS, vae]
    lora = count(dimensions for dimensions, _ in lora_layout(flux.Size.published()).values())
    assert lora == pytest.approx(LORA_PARAMETERS, rel=0.2)


def test_the_other_networks_have_their_published_sizes() -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel  # pyright: ignore[reportPrivateImportUsage]
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    sizes, planned = zero123.Sizes.published(), components(FluxShape(), 0)

    def parameters(*modules: torch.nn.Module) -> int:
        return sum(parameter.numel() for module in modules for parameter in module.parameters())

    with torch.device("meta"):
        encoders = (
            CLIPTextModel(CLIPTextConfig(**clip_text_settings(sizes.text))),
            CLIPVisionModelWithProjection(CLIPVisionConfig(**clip_vision_settings(sizes.vision))),
        )
        assert parameters(*encoders) == planned["zero123plus encoders"].wide
        assert parameters(AutoencoderKL(**vae_settings(sizes))) == planned["zero123plus autoencoder"].wide
        assert parameters(UNet2DConditionModel(**sizes.unet)) == planned["multiview_unet"].wide
        florence = Florence2ForConditionalGeneration(florence_config(Size.published(), 300, 299))
    assert parameters(florence) == pytest.approx(planned["florence2"].wide, rel=0.01)


def test_the_store_has_a_preset_of_random_models(tmp_path: Path) -> None:
    assert make_models(tmp_path, "fast", CPU, tiny=True)
    store = ModelStore(tmp_path / "data")
    assert store.preset("fast").ready and not store.preset("balanced").ready
    files = [file for entry in store.preset("fast").entries for file in entry.files if file.status != "absent"]
    assert {(file.status, file.trust) for file in files} == {("local", "trusted on first use")}, "hashed when made"
    lora = load_file(store.files("kiss3dgen_lora").path("rgb_normal.safetensors"))
    fitting = flux.kohya_lora(TINY_FLUX)
    assert {name: value.shape for name, value in lora.items()} == {name: fitting[name].shape for name in fitting}
    assert make_models(tmp_path, "fast", CPU, tiny=True) == {}, "what is there is not written again"
    # The worker, its recipes and its account are put together; the job itself would take a minute here.
    control = JobControl()
    control.cancel.set()
    told = Jobs(tmp_path / "data", "fast", None, tiny=True, count=True).run(0, control=control)
    assert told["error"] == "Cancelled" and told["stages"] == [] and told["streamed"] == 0


def test_tensors_are_written_one_by_one(tmp_path: Path) -> None:
    layout = {"a": ((3, 5), torch.bfloat16), "b": ((), torch.float32), "c": ((4, 4), torch.float8_e4m3fn)}
    write_tensors(tmp_path / "one.safetensors", layout, RandomValues(CPU))
    again = RandomValues(CPU)
    with safe_open(tmp_path / "one.safetensors", "pt") as file:
        for name, (shape, dtype) in layout.items():
            found = file.get_tensor(name)
            assert found.dtype == dtype and torch.equal(found.float(), again(name, shape).to(dtype).float())


def test_products_attention_and_bytes_are_counted() -> None:
    one, other = torch.zeros(8, 16), torch.zeros(16, 4)
    states = torch.zeros(1, 2, 8, 16)
    with torch.inference_mode(), Counting() as counting:
        one @ other
        before = counting.total
        torch.nn.functional.scaled_dot_product_attention(states, states, states)
        attention = counting.total - before
        before = counting.total
        one.T.view(-1)[:4] if one.T.is_contiguous() else one.view(-1)[:4]
        views = counting.total - before
    assert before.other == 2 * 8 * 16 * 4 and before.moved >= 4 * (8 * 16 + 16 * 4 + 8 * 4)
    assert attention.attention == 2 * 2 * 8 * 8 * 16 * 2 and attention.other == 0
    assert views == Counted()


RATES = Rates(float8=1000e12, half=500e12, memory=4e12, copy=50e9)


def stage(name: str, seconds: float, loads: float = 0.0) -> dict[str, Any]:
    return {
        "stage": name, "seconds": seconds, "loads": {"x": loads} if loads else {}, "planned_by_reserved": 1.0,
    }  # fmt: skip


def test_a_stage_of_products_alone_follows_the_card_and_the_rest_the_processor() -> None:
    counted = {"bundle": Counted(float8=500 * 10**12, attention=100 * 10**12)}
    here = ideal_seconds(counted["bundle"], RATES)
    assert here == pytest.approx(0.5 + 0.2)
    stages = [stage("bundle", here / FRACTION), stage("texture", 2.0, loads=0.5)]
    old, middle, new = (project(card, "fast", stages, counted, RATES, 0) for card in CARDS)
    # By hand: 500e12 / 330.3e12 + 100e12 / 165.2e12, at .6 of it; and 2 s of the processor, which is slower.
    assert new["stages"]["bundle"] == pytest.approx((500 / 330.3 + 100 / 165.2) / 0.6, abs=0.01)
    assert new["stages"]["texture"] == SLOWER_PROCESSOR * 2.0
    # Without float8 products everything multiplies at the other rate.
    assert old["stages"]["bundle"] >= 600 / 25.5 / 0.6
    assert "streamed" in old["plan"] and "streamed" in middle["plan"] and "resident" in new["plan"]
    assert old["seconds"] > middle["seconds"] > new["seconds"]


GOOD: dict[str, Any] = {
    "machine": {"tiny": False, "preset": "fast", "device": "x", "torch": "y", "rates": {"half": 1e12, "copy": None}},
    "cap 11.5": {
        "cap_gib": 11.5,
        "jobs": [
            {
                "error": None, "seconds": 19.0, "first_preview": 24.0, "first_preview_of_the_drawing": 30.0,
                "most_reserved": 11 * 2**30, "plan": "streamed", "with_the_account": 19.9,
                "stages": [{
                    **stage("bundle", 1.0), "planned_vram": 2**30, "reserved_vram": 2**30, "allocated_vram": 2**29,
                }],
            }
        ] * 3,
    },
    "projections": {
        "assumptions": ["one."],
        "from": {"cap 11.5": [{"card": "RTX 3060 12 GB", "seconds": 89.0, "plan": "p", "stages": {"bundle": 3.0}}]},
    },
}  # fmt: skip


def changed(**values: Any) -> dict[str, Any]:
    parts = copy.deepcopy(GOOD)
    parts["cap 11.5"]["jobs"][-1] |= values
    return parts


def test_a_missed_target_is_named_and_a_met_one_is_not() -> None:
    assert missed(GOOD) == []
    assert "warm job took 21.0 s" in missed(changed(seconds=21.0))[0]
    assert "11.60 GiB reserved" in missed(changed(most_reserved=int(11.6 * 2**30)))[0]
    assert "planned 0.85" in missed(changed(stages=[{**stage("bundle", 1.0), "planned_by_reserved": 0.85}]))[0]
    assert "memory.out" in missed(changed(error="memory.out of it"))[0]
    late = copy.deepcopy(GOOD)
    late["cap 11.5"]["jobs"][0]["first_preview"] = 26.0
    late["projections"]["from"]["cap 11.5"][0]["seconds"] = 91.0
    assert len(missed(late)) == 2
    text = "\n".join(report_lines(GOOD))
    assert "cap 11.5, job 3, warm: 19.0 s" in text and "RTX 3060 12 GB 89.0 s" in text
