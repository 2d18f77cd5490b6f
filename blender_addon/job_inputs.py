"""What goes into a job, and the message that it makes (no bpy)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.inputs import check_inputs, recipe_for
from kiss3d_protocol.messages import MAX_VIEWS, Submit
from kiss3d_protocol.params import FACES_RANGE, MAX_BUNDLES, MAX_PROMPT, MAX_SEED, TEXTURE_SIZES, GenerateParams
from kiss3d_protocol.payloads import Blob, BlobWriter, ImageRef, sha256_of

from .capture.arrays import CapturedMesh, write_mesh
from .capture.picture import Picture

NO_PICTURE = "0" * 64
LONGEST_NAME = 60
"""Characters of a prompt that an object is called after; Blender's names are short."""


@frozen(eq=False)
class JobInputs:
    """What was given, apart from the prompt. ``name`` is for people; ``views``: one bundle picture, or four views."""

    name: str
    picture: Picture | None = None
    mesh: CapturedMesh | None = None
    views: tuple[Picture, ...] = ()

    @classmethod
    def named_after_first(
        cls, prompt: str, picture: Picture | None, mesh: CapturedMesh | None, views: Sequence[Picture]
    ) -> JobInputs:
        """Called after the picture, else the first view, else the mesh, else the prompt."""
        first = next((one for one in (picture, *views, mesh) if one is not None), None)
        return cls(name_of_prompt(prompt) if first is None else first.name, picture, mesh, tuple(views))

    @property
    def recipe(self) -> str:
        """What is to be made of them."""
        return recipe_for(picture=self.picture is not None, mesh=self.mesh is not None, views=bool(self.views))

    @property
    def pictures(self) -> dict[str, Picture]:
        """The pictures by their slots: "picture", or "view_1" and so on."""
        views = {f"view_{number}": view for number, view in enumerate(self.views, 1)}
        return views if self.picture is None else {"picture": self.picture, **views}

    @property
    def picture_sha256(self) -> str:
        """The sha256 of the picture, or of the first view; zeros where there is neither (SPEC.md, section 6)."""
        first = next(iter(self.pictures.values()), None)
        return NO_PICTURE if first is None else sha256_of(first.data)


def name_of_prompt(prompt: str) -> str:
    """What an object is called that is made of words."""
    return " ".join(prompt.split())[:LONGEST_NAME]


def make_params(
    preset: str,
    seed: int,
    prompt: str = "",
    faces: int | None = None,
    texture_size: int | None = None,
    bundle_seed: int | None = None,
    write_prompt: bool = False,
    redraw: bool = True,
) -> GenerateParams:
    """The settings of a job with one bundle. Raises :class:`ParamsInvalid` for what is out of range."""
    for name, value in (("seed", seed), ("bundle seed", 0 if bundle_seed is None else bundle_seed)):
        if not 0 <= value <= MAX_SEED:
            raise ParamsInvalid(f"The {name} {value} is not between 0 and {MAX_SEED}.")
    if len(prompt) > MAX_PROMPT:
        raise ParamsInvalid(f"The prompt has {len(prompt):,} characters; at most {MAX_PROMPT:,} are allowed.")
    if faces is not None and not FACES_RANGE[0] <= faces <= FACES_RANGE[1]:
        raise ParamsInvalid(f"{faces} faces are not between {FACES_RANGE[0]:,} and {FACES_RANGE[1]:,}.")
    if texture_size is not None and texture_size not in TEXTURE_SIZES:
        sizes = ", ".join(str(size) for size in TEXTURE_SIZES)
        raise ParamsInvalid(f"The texture size {texture_size} is none of {sizes}.")
    return GenerateParams(
        preset,
        seed,
        prompt=prompt,
        faces=faces,
        texture_size=texture_size,
        bundle_seed=bundle_seed,
        write_prompt=write_prompt,
        redraw=redraw,
    )


def among_bundles(params: GenerateParams, bundles: int) -> GenerateParams:
    """The settings of a job that draws so many bundles, and waits for a choice where there are several.

    Raises :class:`ParamsInvalid`.
    """
    check_bundles(params, bundles)
    return evolve(params, bundles=bundles, choose=bundles > 1)


def each_bundle(params: GenerateParams, bundles: int) -> tuple[GenerateParams, ...]:
    """The settings of jobs that each draw one of the bundles that a job of so many bundles would draw.

    Raises :class:`ParamsInvalid`.
    """
    check_bundles(params, bundles)
    if bundles == 1:
        return (params,)
    first = params.seed if params.bundle_seed is None else params.bundle_seed
    return tuple(evolve(params, bundle_seed=(first + number) % (MAX_SEED + 1)) for number in range(bundles))


def check_bundles(params: GenerateParams, bundles: int) -> None:
    """Raises :class:`ParamsInvalid` when there cannot be so many bundles to choose from."""
    if not 1 <= bundles <= MAX_BUNDLES:
        raise ParamsInvalid(f"{bundles} bundles are not between 1 and {MAX_BUNDLES}.")
    if bundles > 1 and params.preset == "draft":
        raise ParamsInvalid(
            "The preset 'draft' draws no bundles: there is nothing to choose from.",
            "Choose another preset, or ask for one bundle.",
        )


def check_pick(pick: int, bundles: int) -> None:
    """Raises :class:`ParamsInvalid` when there is no bundle with the number ``pick``, which counts from 1."""
    if not 1 <= pick <= bundles:
        raise ParamsInvalid(f"There is no bundle '{pick}' to pick.", f"Say a number from 1 to {bundles}.")


def make_submit(job: str, name: str, inputs: JobInputs, params: GenerateParams) -> tuple[Submit, list[Blob]]:
    """The message and its blobs. The recipe is the one that suits the inputs, whatever ``params`` say.

    Raises :class:`ParamsInvalid` for inputs that do not go together, or a :class:`MeshError`.
    """
    writer = BlobWriter()
    submit = Submit(
        job,
        name,
        evolve(params, recipe=inputs.recipe),
        None if inputs.picture is None else _image(inputs.picture, writer),
        _views(inputs.views, writer),
        None if inputs.mesh is None else write_mesh(inputs.mesh, writer),
    )
    check_inputs(submit)
    return submit, writer.blobs


def _views(views: Sequence[Picture], writer: BlobWriter) -> tuple[ImageRef, ...]:
    if len(views) > MAX_VIEWS:
        raise ParamsInvalid(
            f"{len(views)} views were given; a job takes at most {MAX_VIEWS}.",
            f"Give it one bundle picture, or {MAX_VIEWS} views: front, and then going round by 90 degrees.",
        )
    return tuple(_image(view, writer) for view in views)


def _image(picture: Picture, writer: BlobWriter) -> ImageRef:
    return writer.image(picture.data, picture.media_type, picture.width, picture.height)
