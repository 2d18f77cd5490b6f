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
    """Of the preset fast: a picture, words, a mesh, a bundle and four views; files are written to ``folder``."""
    egg = folder / "egg.glb"
    trimesh.creation.icosphere(3, 1.5).export(egg)
    views = tuple(folder / f"{number}.png" for number in range(4))
    with Image.open(BUST) as bundle:
        for number, path in enumerate(views):
            bundle.crop((512 * number, 0, 512 * (number + 1), 512)).save(path)
    params = GenerateParams("fast", seed=3, faces=faces, texture_size=texture_size)
    common = ("--preset", "fast", "--seed", 3, "--faces", faces, "--texture-size", texture_size)
    chair = attrs.evolve(params, prompt="a red chair", write_prompt=True)
    imagined = ["read", "background", "multiview", "reference_shape", "reference", "caption", "bundle"]
    return {
        "picture": RecipeJob((PICTURE, *common), JobFiles(PICTURE), params, imagined),
        "words": RecipeJob(
            ("--prompt", chair.prompt, "--write-prompt", *common), JobFiles(), chair, ["prompt", "bundle"]
        ),
        "mesh": RecipeJob(
            ("--mesh", egg, "--prompt", "an egg", *common),
            JobFiles(mesh=egg),
            attrs.evolve(params, prompt="an egg"),
            ["render", "bundle"],
        ),
        "bundle": RecipeJob(("--bundle", BUST, *common), JobFiles(views=(BUST,)), params, ["read_bundle"]),
        "views": RecipeJob(
            (*(word for path in views for word in ("--view", path)), *common),
            JobFiles(views=views),
            params,
            ["read_views", "reference_shape", "bundle_views"],
        ),
    }
