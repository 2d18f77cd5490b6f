"""Which inputs each recipe takes (SPEC.md, section 4): checked by clients before they send, and by the backend."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from kiss3d_protocol.errors import ParamsInvalid, RecipeUnknown
from kiss3d_protocol.messages import MAX_VIEWS, Submit
from kiss3d_protocol.params import RECIPES

Use = Literal["needed", "allowed", "refused"]


@frozen
class _Inputs:
    picture: Use
    prompt: Use
    mesh: Use
    views: Use


_TAKES = {
    "image_to_3d": _Inputs(picture="needed", prompt="allowed", mesh="refused", views="refused"),
    "text_to_3d": _Inputs(picture="refused", prompt="needed", mesh="refused", views="refused"),
    "mesh_to_3d": _Inputs(picture="refused", prompt="allowed", mesh="needed", views="refused"),
    "views_to_3d": _Inputs(picture="refused", prompt="refused", mesh="allowed", views="needed"),
}

_NOUNS = {"picture": "a picture", "prompt": "a prompt", "mesh": "a mesh", "views": "views"}


def recipe_for(*, picture: bool, mesh: bool, views: bool) -> str:
    """What is made of what was given; what does not suit it is found by :func:`check_inputs`."""
    if views:
        return "views_to_3d"
    if mesh:
        return "mesh_to_3d"
    return "image_to_3d" if picture else "text_to_3d"


def check_inputs(submit: Submit) -> None:
    """Raises :class:`RecipeUnknown`, or :class:`ParamsInvalid` for inputs that do not suit the recipe."""
    recipe = submit.params.recipe
    takes = _TAKES.get(recipe)
    if takes is None:
        names = ", ".join(known.name for known in RECIPES)
        raise RecipeUnknown(f"There is no recipe '{recipe:.64}'.", f"Choose one of: {names}.")
    given = {
        "picture": submit.picture is not None,
        "prompt": bool(submit.params.prompt.strip()),
        "mesh": submit.mesh is not None,
        "views": bool(submit.views),
    }
    for name, noun in _NOUNS.items():
        use: Use = getattr(takes, name)
        if use == "needed" and not given[name]:
            raise ParamsInvalid(f"The recipe '{recipe}' needs {noun}.", f"Add {noun}, or choose another recipe.")
        if use == "refused" and given[name]:
            remedy = f"Leave the {name} out, or choose another recipe."
            raise ParamsInvalid(f"The recipe '{recipe}' takes no {name}.", remedy)
    if submit.params.write_prompt and takes.prompt == "refused":
        raise ParamsInvalid(
            f"The recipe '{recipe}' draws nothing from words: there is no prompt to write.",
            "Switch the prompt writer off, or choose another recipe.",
        )
    if takes.views == "needed":
        _check_views(submit)


def _check_views(submit: Submit) -> None:
    if len(submit.views) not in (1, MAX_VIEWS):
        raise ParamsInvalid(
            f"The recipe 'views_to_3d' takes one bundle picture or {MAX_VIEWS} views, not {len(submit.views)}.",
            f"Give it one bundle picture, or {MAX_VIEWS} views: front, and then going round by 90 degrees.",
        )
    if submit.params.bundles > 1 or submit.params.choose:
        raise ParamsInvalid(
            "The recipe 'views_to_3d' makes no bundles: there is nothing to choose from.",
            "Ask for one bundle, without a choice.",
        )
