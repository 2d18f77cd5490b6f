"""One small job for every kind of input, in the words of the command line and of the protocol."""

from __future__ import annotations

from pathlib import Path

import attrs
import trimesh
from PIL import Image

from kiss3d_backend.commands.job_request import JobFiles
from kiss3d_protocol.params import GenerateParams

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "demo-picture.png"
BUST = ROOT / "tests" / "engine" / "data" / "bundle_bust.webp"


@attrs.frozen
class RecipeJob:
    """``arguments``: of ``kiss3d generate``. ``stages``: those before the bundle is split."""

    arguments: tuple[object, ...]
    files: JobFiles
    params: GenerateParams
    stages: list[str]


def recipe_jobs(folder: Path, faces: int, texture_size: int) -> dict[str, RecipeJob]:
    """Of the preset fast: a picture, words, a mesh, a bundle and four views; files are written to ``folder``.

    Seeds differ: the tiny FLUX draws much the same for one, and no job is to find the other's checkpoints.
    """
    egg = folder / "egg.glb"
    trimesh.creation.icosphere(3, 1.5).export(egg)
    views = tuple(folder / f"{number}.png" for number in range(4))
    with Image.open(BUST) as bundle:
        for number, path in enumerate(views):
            bundle.crop((512 * number, 0, 512 * (number + 1), 512)).save(path)
    params = GenerateParams("fast", seed=3, faces=faces, texture_size=texture_size)
    common = ("--preset", "fast", "--faces", faces, "--texture-size", texture_size)
    chair = attrs.evolve(params, prompt="a red chair", write_prompt=True, seed=5)
    egg_again = attrs.evolve(params, prompt="an egg", seed=7)
    imagined = ["read", "background", "multiview", "reference_shape", "reference", "caption", "bundle"]
    return {
        "picture": RecipeJob((PICTURE, "--seed", 3, *common), JobFiles(PICTURE), params, imagined),
        "words": RecipeJob(
            ("--prompt", chair.prompt, "--write-prompt", "--seed", 5, *common), JobFiles(), chair, ["prompt", "bundle"]
        ),
        "mesh": RecipeJob(
            ("--mesh", egg, "--prompt", egg_again.prompt, "--seed", 7, *common),
            JobFiles(mesh=egg),
            egg_again,
            ["render", "bundle"],
        ),
        "bundle": RecipeJob(("--bundle", BUST, "--seed", 3, *common), JobFiles(views=(BUST,)), params, ["read_bundle"]),
        "views": RecipeJob(
            (*(word for path in views for word in ("--view", path)), "--seed", 9, *common),
            JobFiles(views=views),
            attrs.evolve(params, seed=9),
            ["read_views", "reference_shape", "bundle_views"],
        ),
    }
