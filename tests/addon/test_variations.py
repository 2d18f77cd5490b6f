"""What another variation is made with, and where it stands."""

from __future__ import annotations

from blender_addon.variations import from_here, next_bundle_seed, next_seed, place_beside

from kiss3d_protocol.params import MAX_SEED, GenerateParams


def test_next_seed_goes_round_and_draws_its_own_bundle() -> None:
    params = GenerateParams("fast", 3, prompt="a chair", bundle_seed=9)
    assert next_seed(params) == GenerateParams("fast", 4, prompt="a chair")
    assert next_seed(GenerateParams(seed=MAX_SEED)).seed == 0


def test_from_here_keeps_what_the_imagined_views_depend_on() -> None:
    params = GenerateParams("fast", 3, bundles=2)
    assert next_bundle_seed(params) == 5, "3 and 4 were drawn"
    assert from_here(params, 5, "a red chair") == GenerateParams(
        "fast", 3, bundles=2, bundle_seed=5, prompt="a red chair"
    )
    assert next_bundle_seed(GenerateParams(seed=3, bundle_seed=MAX_SEED)) == 0


def test_variations_stand_in_a_row_where_nothing_stands() -> None:
    here = (1.0, 2.0, 0.0)
    first = place_beside(here, 2.0, [here])
    assert first == (3.5, 2.0, 0.0)
    assert place_beside(here, 2.0, [here, first]) == (6.0, 2.0, 0.0)
    assert place_beside(here, 2.0, [(3.5, 20.0, 0.0)]) == first, "another row is not in the way"
