"""What a backend offers, what it lists, and what the doctor says, as the files of a small catalogue come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes.machines import machine

from kiss3d_backend.commands.findings import exit_code
from kiss3d_backend.commands.model_findings import model_findings
from kiss3d_backend.commands.preset_findings import preset_findings
from kiss3d_backend.models import offers
from kiss3d_backend.models.catalogue_reader import shipped_catalogue
from kiss3d_backend.models.offers import check_offer, preset_offers
from kiss3d_backend.models.overview import model_infos, names_to_pull
from kiss3d_backend.pipeline.memory import WarmRecipes
from kiss3d_backend.recipes import RECIPES, WorkerRecipes
from kiss3d_protocol.amounts import amount_text
from kiss3d_protocol.errors import (
    CatalogueInvalid,
    Kiss3DError,
    ModelFileMissing,
    ParamsInvalid,
    PresetUnknown,
    RecipeUnavailable,
)
from kiss3d_protocol.models import ModelInfo
from kiss3d_protocol.params import PRESETS, GenerateParams

TOML = """
[mine]
repository = "small/mine"
purpose = "a test"
licence = "Strict [2]"
gated = true
presets = ["draft"]
[mine.files."a.bin"]
size = 1500
[mine.files."b.bin"]
size = 500
sha256 = "{sha}"
[own]
repository = "small/own"
purpose = "another test"
local = "own files"
[own.files."c.bin"]
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    data = tmp_path / "data"
    data.mkdir()
    (data / "models.toml").write_text(TOML.format(sha="a" * 64), encoding="utf-8")
    return data


def put(tmp_path: Path, name: str, size: int) -> None:
    path = tmp_path / "cache" / "models--small--mine" / "snapshots" / "main" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def model(data: Path, name: str) -> ModelInfo:
    return next(info for info in model_infos(data) if info.name == name)


def test_the_recipes_that_are_said_to_be_built_are_those_that_are(tmp_path: Path) -> None:
    recipes = WorkerRecipes(tmp_path)
    assert frozenset(recipes) == offers.BUILT_RECIPES
    assert set(RECIPES) <= offers.BUILT_RECIPES
    assert "text_to_3d/draft" not in recipes and recipes.get("text_to_3d/draft") is None
    assert isinstance(recipes, WarmRecipes) and recipes.loaded() == (), "nothing was called for"


def test_a_preset_is_offered_once_its_models_are_there(data: Path, tmp_path: Path) -> None:
    for name, done in (("a.bin", 1500), ("b.bin", 500)):
        offer = preset_offers(data)[0]
        assert (offer.name, offer.offered, offer.missing_models) == ("draft", False, ("mine",))
        assert offer.bytes_to_get == (2000 if name == "a.bin" else 500)
        assert amount_text(offer.bytes_to_get) in offer.reason
        with pytest.raises(ModelFileMissing) as caught:
            check_offer(GenerateParams("draft"), data)
        assert "kiss3d models pull draft" in caught.value.remedy
        put(tmp_path, name, done)
    offer = preset_offers(data)[0]
    assert (offer.offered, offer.reason, offer.missing_models, offer.bytes_to_get) == (True, "", (), 0)
    check_offer(GenerateParams("draft"), data)


def test_presets_whose_models_are_not_here_say_so_and_what_they_will_cost(tmp_path: Path, data: Path) -> None:
    by_name = {offer.name: offer for offer in preset_offers(data)}
    assert list(by_name) == [preset.name for preset in PRESETS]
    for name in ("fast", "balanced", "quality"):
        assert not by_name[name].offered and "have to be downloaded" in by_name[name].reason
        assert by_name[name].bytes_to_get > 10**10


def test_without_torch_the_presets_that_need_it_say_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert all("kiss3d[gpu]" in offer.reason for offer in preset_offers(data) if offer.name != "draft")


def test_views_need_no_models(tmp_path: Path) -> None:
    check_offer(GenerateParams("quality", recipe="views_to_3d"), tmp_path)
    with pytest.raises(PresetUnknown):
        check_offer(GenerateParams("draught", recipe="views_to_3d"), tmp_path)


def test_the_prompt_writer_needs_its_model(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "check_preset", lambda name, data_dir: None)
    asked = GenerateParams("fast", recipe="text_to_3d", prompt="a chair", write_prompt=True)
    with pytest.raises(ModelFileMissing, match="rewrites prompts") as caught:
        check_offer(asked, data)
    assert f"kiss3d models pull {offers.PROMPT_WRITER}" in caught.value.remedy
    with (data / "models.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[{offers.PROMPT_WRITER}]\nlocal = 'writer'\n")
    entry = shipped_catalogue().entries[offers.PROMPT_WRITER]
    for name in (file.path for file in entry.files):
        path = data / "writer" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    check_offer(asked, data)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"preset": "draught"}, PresetUnknown),
        ({"preset": "quality"}, ModelFileMissing),
        ({"preset": "draft", "recipe": "text_to_3d"}, RecipeUnavailable),
        ({"preset": "draft", "write_prompt": True}, ParamsInvalid),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, params: dict[str, Any], error: type[Kiss3DError]) -> None:
    with pytest.raises(error):
        check_offer(GenerateParams(**params), tmp_path)


def test_states_of_an_entry(data: Path, tmp_path: Path) -> None:
    mine = model(data, "mine")
    assert (mine.state, mine.have, mine.size, mine.sha256) == ("missing", 0, 2000, "unknown")
    assert (mine.gated, mine.licence, mine.title, mine.presets) == (True, "Strict [2]", "a test", ("draft",))
    put(tmp_path, "a.bin", 1500)
    assert (model(data, "mine").state, model(data, "mine").have) == ("partial", 1500)
    put(tmp_path, "b.bin", 500)
    # There, but never hashed; its bytes are indeed not those that the catalogue names.
    assert (model(data, "mine").state, model(data, "mine").have) == ("present", 2000)


def test_a_path_of_this_machine_is_not_told(data: Path) -> None:
    own = model(data, "own")
    assert (own.local, own.repository, own.revision, own.state) == (True, "", "", "missing")
    (data / "own files").mkdir()
    (data / "own files" / "c.bin").write_bytes(b"12")
    assert (model(data, "own").state, model(data, "own").size) == ("ready", 2)


def test_names_to_pull(data: Path) -> None:
    assert names_to_pull(data, "draft", ()) == ("mine",)
    assert names_to_pull(data, "draft", ("own", "mine")) == ("mine", "own")
    with pytest.raises(CatalogueInvalid, match="'other'"):
        names_to_pull(data, None, ("other",))


def test_a_broken_catalogue_costs_only_the_presets_that_need_it(data: Path) -> None:
    (data / "models.toml").write_text("[[", encoding="utf-8")
    by_name = {offer.name: offer for offer in preset_offers(data)}
    assert by_name["draft"].offered
    assert "models.toml" in by_name["fast"].reason and not by_name["fast"].offered
    with pytest.raises(CatalogueInvalid):
        model_infos(data)
    first, *_ = model_findings(data)
    assert (first.subject, first.verdict) == ("Model catalogue", "error") and first.remedy


def test_the_doctor_says_what_is_missing_and_what_it_costs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = {finding.subject: finding for finding in (*model_findings(data), *preset_findings(data, machine()))}
    draft = findings["Preset draft"]
    assert draft.verdict == "note" and draft.remedy == "Get them with 'kiss3d models pull draft'."
    assert "Missing models: mine; 2.0 kB to download." in draft.text
    assert "GB to download" in findings["Preset quality"].text
    assert str(data / "models.toml") in findings["Model catalogue"].text
    licence = findings["Licence of mine"]
    assert (licence.verdict, licence.code) == ("note", "model.gated")
    assert "'Strict [2]'" in licence.text and "https://huggingface.co/small/mine" in licence.text
    assert "no Hugging Face token" in licence.text and "hf auth login" in licence.remedy
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with_token = {finding.subject: finding for finding in model_findings(data)}
    assert "a Hugging Face token is set" in with_token["Licence of mine"].text
    assert with_token["Licence of mine"].verdict == "note"
    assert not any("hf_secret" in finding.text + finding.remedy for finding in with_token.values())
    put(tmp_path, "a.bin", 1500)
    begun = {finding.subject: finding for finding in (*model_findings(data), *preset_findings(data, machine()))}
    assert begun["Preset draft"].verdict == "warning", "somebody has begun to get it"
    monkeypatch.delenv("HF_TOKEN")
    alone = [finding for finding in model_findings(data) if finding.subject == "Licence of mine"]
    assert [finding.verdict for finding in alone] == ["warning"] and exit_code(alone) == 3
    put(tmp_path, "b.bin", 500)
    after = {finding.subject: finding for finding in (*model_findings(data), *preset_findings(data, machine()))}
    assert after["Preset draft"].verdict == "ok" and "Licence of mine" not in after


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (17_236_328_572, "17.2 GB"),
        (3 * 10**12, "3.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_amounts(count: int, text: str) -> None:
    assert amount_text(count) == text
