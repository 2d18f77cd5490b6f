"""The shipped catalogue, and a user's file over it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.fakes.hub import catalogue_over

from kiss3d_backend.models.catalogue import Catalogue
from kiss3d_backend.models.catalogue_reader import parse_catalogue, read_catalogue, shipped_catalogue
from kiss3d_protocol.errors import CatalogueInvalid

SHARED = {"zero123plus", "multiview_unet", "lrm", "florence2", "birefnet", "kiss3dgen_lora"}
TOKENIZERS = {"clip_tokenizer", "t5_tokenizer"}


def names(preset: str) -> set[str]:
    return {entry.name for entry in shipped_catalogue().of_preset(preset)}


def test_what_each_preset_needs() -> None:
    assert names("draft") == set()
    assert names("fast") == SHARED | TOKENIZERS | {"flux_schnell_fp8"}
    assert names("balanced") == SHARED | TOKENIZERS | {"flux_dev_fp8", "flux_turbo_lora"}
    assert names("quality") == SHARED | TOKENIZERS | {"flux_dev_fp8", "controlnet_union", "redux"}


def test_flux_is_one_fp8_file_and_never_a_folder() -> None:
    for preset in ("fast", "balanced", "quality"):
        flux = [entry for entry in shipped_catalogue().of_preset(preset) if entry.name.startswith("flux_")]
        base = [entry for entry in flux if entry.name != "flux_turbo_lora"]
        assert [len(entry.files) for entry in base] == [1]
        assert base[0].files[0].name.endswith("-fp8.safetensors")
        assert base[0].files[0].sha256 and base[0].files[0].size


def test_only_redux_is_gated() -> None:
    assert [entry.name for entry in shipped_catalogue().entries.values() if entry.gated] == ["redux"]


def test_pickles_are_all_converted() -> None:
    for entry in shipped_catalogue().entries.values():
        for file in entry.files:
            assert (file.convert is not None) == file.path.endswith((".ckpt", ".pt", ".pth", ".bin"))
            assert not file.convert or file.loaded_name.endswith(".safetensors")


def test_hash_of_the_lrm_as_its_page_shows_it() -> None:
    sha256 = shipped_catalogue().entry("lrm").files[0].sha256
    assert sha256 == "b33b7f8489acd54962af696ea58b9b9d1d1d376906b28b18a2a996023de47c57"


def test_a_users_file_points_an_entry_to_a_file_of_their_own(tmp_path: Path) -> None:
    toml = '[flux_dev_fp8.files."flux1-dev-fp8.safetensors"]\nlocal = "weights/mine.safetensors"\n'
    (tmp_path / "models.toml").write_text(toml, encoding="utf-8")
    entry = read_catalogue(tmp_path).entry("flux_dev_fp8")
    assert entry.files[0].local == tmp_path / "weights" / "mine.safetensors"
    assert entry.files[0].sha256 is None, "the published hash is not that of the user's file"
    assert entry.licence == shipped_catalogue().entry("flux_dev_fp8").licence


def test_a_users_file_points_an_entry_to_another_repository(tmp_path: Path) -> None:
    toml = """
        [flux_schnell_fp8]
        repository = "Kijai/flux-fp8"
        [flux_schnell_fp8.files."flux1-schnell-fp8.safetensors"]
        path = "flux1-schnell-fp8-e4m3fn.safetensors"
    """
    (tmp_path / "models.toml").write_text(toml, encoding="utf-8")
    entry = read_catalogue(tmp_path).entry("flux_schnell_fp8")
    file = entry.files[0]
    assert (entry.repository, file.path) == ("Kijai/flux-fp8", "flux1-schnell-fp8-e4m3fn.safetensors")
    assert file.name == "flux1-schnell-fp8.safetensors", "loaders ask by the name that they know"
    assert (file.size, file.sha256, entry.licence) == (None, None, "not stated")
    assert entry.presets == ("fast",)


def test_a_folder_for_a_whole_entry() -> None:
    below = shipped_catalogue()
    entry = parse_catalogue('[zero123plus]\nlocal = "/models/z"\n', Path("/d/models.toml"), below).entry("zero123plus")
    assert {file.local for file in entry.files} == {Path("/models/z") / file.path for file in entry.files}


def test_other_entries_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[birefnet]\nrevision = "v2"\n', encoding="utf-8")
    changed = read_catalogue(tmp_path)
    assert changed.entry("birefnet").files[0].sha256 is None
    kept = {name: entry for name, entry in changed.entries.items() if name != "birefnet"}
    assert kept == {name: entry for name, entry in shipped_catalogue().entries.items() if name != "birefnet"}


FILE = '[birefnet.files."onnx/model_fp16.onnx"]\n'


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[birefnet", "valid TOML"),
        ("birefnet = 3", "birefnet.*must be a table"),
        ('[birefnet]\nrepo = "a/b"', "birefnet.*key repo: there is no such key"),
        ('[birefnet]\nrepository = "../../etc"', "key repository"),
        ("[birefnet]\nrepository = 3", "key repository"),
        ('[birefnet]\nrevision = "../x"', "key revision"),
        ('[birefnet]\npresets = ["turbo"]', "key presets.*turbo"),
        ('[birefnet]\ngated = "yes"', "key gated"),
        (FILE + 'sha256 = "abc"', r'birefnet.*key files\."onnx/model_fp16.onnx"\.sha256'),
        (FILE + "size = -1", r"\.size"),
        (FILE + 'path = "../../secret"', r"\.path.*not a path inside"),
        (FILE + 'path = "/etc/passwd"', r"\.path.*not a path inside"),
        ('[birefnet.files."a\\\\b"]\nsize = 1', "not a path inside"),
        ('[mine]\nrepository = "a/b"\npurpose = "x"', "mine.*key files"),
        ('[mine]\nrepository = "a/b"\npurpose = "x"\nfiles = {}', "at least one file"),
        ('["bad name"]\nrepository = "a/b"', "small letters"),
    ],
)
def test_mistakes_are_told_with_file_entry_and_key(tmp_path: Path, toml: str, words: str) -> None:
    (tmp_path / "models.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(CatalogueInvalid, match=words) as caught:
        read_catalogue(tmp_path)
    assert str(tmp_path / "models.toml") in caught.value.message


def test_an_entry_of_the_users_own() -> None:
    toml = '[writer]\nrepository = "a/b"\npurpose = "writes prompts"\n[writer.files."w.safetensors"]\nsize = 5\n'
    entry = parse_catalogue(toml, Path("models.toml"), Catalogue({})).entry("writer")
    assert (entry.revision, entry.expected_size, entry.presets) == ("main", 5, ())


def test_a_hub_of_tiny_models_keeps_everything_but_sizes_and_hashes(tmp_path: Path) -> None:
    path = tmp_path / "LTT" / "PRM" / "main" / "final_ckpt.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"tiny")
    shipped = shipped_catalogue()
    over = parse_catalogue(catalogue_over(tmp_path, shipped), tmp_path / "models.toml", shipped)
    tiny, full = over.entry("lrm"), shipped.entry("lrm")
    assert (tiny.files[0].size, tiny.files[0].sha256) == (4, hashlib.sha256(b"tiny").hexdigest())
    assert (tiny.files[0].convert, tiny.presets, tiny.repository) == ("lrm", full.presets, full.repository)
    assert over.entry("birefnet") == shipped.entry("birefnet")
    (tmp_path / "sudo-ai" / "zero123plus-v1.2" / "main").mkdir(parents=True)
    with pytest.raises(KeyError, match=r"model_index\.json"):
        catalogue_over(tmp_path, shipped)
