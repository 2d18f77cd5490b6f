"""What a user can set for a job, with ranges: the panel, the command line and the backend share these."""

from __future__ import annotations

from attrs import field, frozen, validators

MAX_SEED = 2**32 - 1


@frozen
class PresetInfo:
    """A preset as people see it. ``title`` and ``description`` are short texts."""

    name: str
    title: str
    description: str


PRESETS: tuple[PresetInfo, ...] = (
    PresetInfo("draft", "Draft", "Inflates the silhouette in seconds; needs no GPU and no model files"),
    PresetInfo("fast", "Fast", "FLUX.1-schnell in fp8, 4 steps"),
    PresetInfo("balanced", "Balanced", "FLUX.1-dev in fp8, 8 steps"),
    PresetInfo("quality", "Quality", "FLUX.1-dev in fp8 with ControlNet and Redux, 20 steps"),
)
"""Every preset of this version, lightest first. Whether a backend can run one is said in its welcome."""

DEFAULT_PRESET = "draft"


@frozen
class RecipeInfo:
    """A recipe as people see it: what comes in. ``title`` and ``description`` are short texts."""

    name: str
    title: str
    description: str


RECIPES: tuple[RecipeInfo, ...] = (
    RecipeInfo("image_to_3d", "Picture", "A picture of one object"),
    RecipeInfo("text_to_3d", "Text", "A description in words"),
    RecipeInfo("mesh_to_3d", "Mesh", "A mesh, to be enhanced or restyled"),
    RecipeInfo("views_to_3d", "Views", "A finished bundle picture, or four views"),
)
"""Every recipe of this version. Whether a backend has one is said when a job is submitted."""

DEFAULT_RECIPE = "image_to_3d"
MAX_BUNDLES = 8
MAX_PROMPT = 4096
FACES_RANGE = (100, 1_000_000)
TEXTURE_SIZES = (1024, 2048, 4096)


@frozen
class GenerateParams:
    """Settings of one job.

    ``preset``: a name of :data:`PRESETS`, ``recipe`` one of :data:`RECIPES` (the backend refuses others by name).
    ``seed``: 0 to :data:`MAX_SEED`; the same seed, input and settings give the same mesh on one device.
    ``prompt``: what the object is, in words; empty when the backend is to describe the picture itself. ``faces``:
    triangles of the result, and ``texture_size``: pixels on a side; None leaves them to the preset. ``bundles``: how
    many bundles are made, with seeds that follow ``bundle_seed``, or ``seed`` where that is None: another one draws
    other bundles of the same imagined views; ``choose``: wait until somebody chooses among them.
    ``write_prompt``: let a chat model on the backend's machine rewrite the prompt, or the caption where there is none.
    ``redraw``: draw a bundle that does not look right once more, with another seed.
    """

    preset: str = field(default=DEFAULT_PRESET, validator=validators.max_len(64))
    seed: int = field(default=0, validator=[validators.ge(0), validators.le(MAX_SEED)])
    recipe: str = field(default=DEFAULT_RECIPE, validator=validators.max_len(64))
    prompt: str = field(default="", validator=validators.max_len(MAX_PROMPT))
    faces: int | None = field(
        default=None,
        validator=validators.optional([validators.ge(FACES_RANGE[0]), validators.le(FACES_RANGE[1])]),
    )
    texture_size: int | None = field(default=None, validator=validators.optional(validators.in_(TEXTURE_SIZES)))
    bundles: int = field(default=1, validator=[validators.ge(1), validators.le(MAX_BUNDLES)])
    choose: bool = False
    bundle_seed: int | None = field(
        default=None, validator=validators.optional([validators.ge(0), validators.le(MAX_SEED)])
    )
    write_prompt: bool = False
    redraw: bool = True
