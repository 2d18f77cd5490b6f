"""The recipe on an object says enough to make it again."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from blender_addon.capture.picture import Picture
from blender_addon.importer.recipe import make_recipe, params_of
from blender_addon.importer.result_options import ResultOptions, split_tags
from blender_addon.job_inputs import JobInputs

from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.params import GenerateParams

INPUTS = JobInputs("chair", Picture(b"front", "image/png", "chair", path="/pictures/chair.png"))
ALL = GenerateParams(
    "fast",
    2**32 - 1,
    prompt="a chair",
    faces=5000,
    texture_size=2048,
    bundle_seed=2**31,
    write_prompt=True,
    redraw=False,
)


@pytest.mark.parametrize("params", [ALL, GenerateParams()])
def test_settings_come_back(params: GenerateParams) -> None:
    recipe = make_recipe("id", INPUTS, params, 2.0)
    assert params_of(recipe) == params
    assert all(value is not None for value in recipe.values()), "custom properties cannot hold None"
    small = [value for value in recipe.values() if isinstance(value, int)]
    assert all(abs(value) < 2**31 for value in small), "custom properties hold 32-bit integers"


def test_pictures_are_named_by_their_files() -> None:
    recipe = make_recipe("id", INPUTS, ALL, 0.5)
    assert (recipe["paths"], recipe["slots"], recipe["size"]) == ({"picture": "/pictures/chair.png"}, "picture", 0.5)
    views = tuple(Picture(b"v", "image/png", "v", path="/v.png" if number == 2 else "") for number in range(4))
    recipe = make_recipe("id", JobInputs("v", views=views), ALL, 0.5)
    assert (recipe["paths"], recipe["slots"]) == ({"view_3": "/v.png"}, "view_1 view_2 view_3 view_4")


@pytest.mark.parametrize("spoilt", [{"seed": "many"}, {"seed": -1}, {"faces": 3}, {"preset": 7}, {"prompt": None}])
def test_a_recipe_that_somebody_spoilt_is_refused(spoilt: dict[str, Any]) -> None:
    recipe = make_recipe("id", INPUTS, ALL, 2.0) | spoilt
    with pytest.raises(ParamsInvalid, match="recipe"):
        params_of(recipe)


def test_result_options() -> None:
    assert split_tags(" wood, chair ,,") == ("wood", "chair") and split_tags("") == ()
    assert attrs.astuple(ResultOptions(4)) == (4, False, (), "")
    with pytest.raises(ValueError, match="lods"):
        ResultOptions(5)
