"""SPEC.md is the authority: its tables and the code say the same."""

from __future__ import annotations

import itertools
import json
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
import pytest

import kiss3d_protocol
from kiss3d_protocol import framing, messages, models, params, payloads
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.errors import ERRORS, MessageMalformed, ParamsInvalid, RecipeUnknown
from kiss3d_protocol.framing import CONVERTER, structure
from kiss3d_protocol.inputs import check_inputs
from kiss3d_protocol.messages import TAGS, ClientMessage, Event, ServerMessage
from kiss3d_protocol.params import MAX_SEED, PRESETS, GenerateParams
from kiss3d_protocol.version import DEFAULT_ADDRESS, PROTOCOL_VERSION

SPEC = (Path(kiss3d_protocol.__file__).parent / "SPEC.md").read_text(encoding="utf-8")

PARTS: dict[str, type] = {
    "params": GenerateParams,
    "device": messages.Device,
    "preset": messages.PresetOffer,
    "summary": messages.JobSummary,
    "bundle": messages.BundleOffer,
    "model": models.ModelInfo,
    "report": messages.JobReport,
    "stage": messages.StageTime,
    "note": messages.WarningNote,
    "connection": messages.Connection,
    "worker": messages.WorkerStatus,
    "image": payloads.ImageRef,
    "array": payloads.ArrayRef,
    "file": payloads.FileRef,
    "piece": payloads.PieceRef,
    "mesh": payloads.MeshRef,
}
CLASSES: dict[str, type] = {tag: cls for cls, tag in TAGS.items()} | PARTS
EVENTS = {TAGS[cls] for cls in TAGS if issubclass(cls, Event)}

_FIELD = re.compile(r"`(\w+)` (.*?)(?: \(default (.*)\))?")
JOB = "0b8f7c1e-5a55-4d5e-9b1e-0123456789ab"


def _section(number: int) -> str:
    return SPEC.split(f"\n## {number}. ")[1].split("\n## ")[0]


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in rows if row[0] not in ("type", "map", "what", "frame", "recipe", "---")]


def _fields(cell: str) -> dict[str, tuple[str, Any]]:
    """Each field's type as the spec words it, and its default (``attrs.NOTHING`` when it has none)."""
    found: dict[str, tuple[str, Any]] = {}
    for text in re.split(r", (?=`\w+` )", cell) if cell else []:
        match = _FIELD.fullmatch(text)
        assert match is not None, f"not a field: {text}"
        default = attrs.NOTHING if match[3] is None else json.loads(match[3].replace("nil", "null"))
        found[match[1]] = (match[2], default)
    return found


def _tables() -> dict[str, dict[str, tuple[str, Any]]]:
    tables: dict[str, dict[str, tuple[str, Any]]] = {}
    for number in (5, 6, 7):
        for name, fields, *_ in _rows(_section(number)):
            name = name.strip("`")
            assert name not in tables
            tables[name] = _fields(fields)
    sentence = re.search(r"Events have the fields (.*?), in seconds since 1970, and:", SPEC)
    assert sentence is not None
    for name in EVENTS:
        tables[name] = {**_fields(sentence[1]), **tables[name]}
    return tables


TABLES = _tables()


def _type_of(hint: Any) -> str:
    """A Python type in the spec's words, ranges and formats aside."""
    if get_origin(hint) is Literal:
        return "/".join(f"`{value}`" for value in get_args(hint))
    if isinstance(hint, types.UnionType) or get_origin(hint) is typing.Union:
        first, none = get_args(hint)
        assert none is type(None)
        return f"{_type_of(first)} or nil"
    if get_origin(hint) is tuple:
        return f"array of {_type_of(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "map of str to str"
    names = {cls: name for name, cls in PARTS.items()}
    return names.get(hint) or hint.__name__


def test_the_version_and_the_address_are_those_of_the_page() -> None:
    assert SPEC.startswith(f"# The Kiss3D protocol, version {PROTOCOL_VERSION}\n")
    assert f"The default address is `{DEFAULT_ADDRESS}`." in SPEC
    assert parse_address(DEFAULT_ADDRESS).is_loopback
    assert f"four bytes `{framing.MAGIC.decode()}`" in SPEC


def test_every_type_of_the_tables_is_in_the_code_and_the_other_way_round() -> None:
    assert TABLES.keys() == CLASSES.keys()
    clients = {row[0].strip("`") for row in _rows(_section(5))} - PARTS.keys()
    servers = {row[0].strip("`") for row in _rows(_section(6))} - PARTS.keys()
    assert clients == {TAGS[cls] for cls in get_args(ClientMessage)}
    assert servers == {TAGS[cls] for cls in get_args(ServerMessage)}


@pytest.mark.parametrize("name", TABLES)
def test_fields_and_defaults_agree(name: str) -> None:
    code = {}
    for each in attrs.fields(CLASSES[name]):
        code[each.name] = list(each.default) if isinstance(each.default, tuple) else each.default
    assert {field: default for field, (_, default) in TABLES[name].items()} == code


@pytest.mark.parametrize("name", TABLES)
def test_types_agree(name: str) -> None:
    hints = typing.get_type_hints(CLASSES[name])
    for field, (wording, _) in TABLES[name].items():
        plain = re.sub(r",? (≥ \d+|> \d+ … \d+|-?\d+ … \d+)", "", wording)
        plain = re.sub(r"\b(uuid|sha256|key)\b", "str", plain)
        if field in ("media_type", "dtype"):
            values = payloads.IMAGE_TYPES if field == "media_type" else payloads.ITEM_SIZES
            assert plain == "/".join(f"`{value}`" for value in values)
            plain = "str"
        assert plain == _type_of(hints[field]), f"{name}.{field}"


def _example(name: str) -> dict[str, Any]:
    return {field: _value(field, wording) for field, (wording, _) in TABLES[name].items()}


def _value(field: str, wording: str) -> Any:
    """A value that the spec allows."""
    if field == "shape":
        return [1, 1]
    if field == "media_type":
        return "image/png"
    if wording.startswith("`"):
        return wording.split("/")[0].strip("`")
    if wording.startswith("array of"):
        return []
    if wording.startswith("map of"):
        return {}
    if " or nil" in wording:
        return None
    kind = wording.split(" ")[0]
    if kind in PARTS:
        return _mesh() if kind == "mesh" else _example(kind)
    return {"str": "x", "int": 1, "float": 1.0, "bool": True, "uuid": JOB, "sha256": "0" * 64, "key": "0" * 40}[kind]


def _mesh() -> dict[str, Any]:
    def array(blob: int, dtype: str) -> dict[str, Any]:
        return {"blob": blob, "dtype": dtype, "shape": [1, 3], "sha256": "0" * 64}

    return {"positions": array(0, "<f4"), "triangles": array(1, "<u4")}


def _outside(wording: str) -> list[Any]:
    """Values just beyond the range that the spec gives, or of the wrong format."""
    bad: list[Any] = []
    if match := re.search(r"≥ (\d+)", wording):
        bad.append(int(match[1]) - 1)
    if match := re.search(r"> (\d+)", wording):
        bad.append(int(match[1]))
    if match := re.search(r"(?:(\d+) )?… (\d+)", wording):
        bad += [int(match[2]) + 1] + ([int(match[1]) - 1] if match[1] else [])
    if wording.startswith("uuid"):
        bad += ["", JOB.upper(), JOB[:-1], JOB + "\n", f"{{{JOB}}}"]
    if wording.startswith("sha256"):
        bad += ["", "0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n"]
    if wording.startswith("`"):
        bad += ["", "other"]
    return bad


RANGES = [
    (name, field) for name, fields in TABLES.items() for field, (wording, _) in fields.items() if _outside(wording)
]


def test_ranges_are_found() -> None:
    assert len(RANGES) > 50


@pytest.mark.parametrize(("name", "field"), RANGES, ids=lambda value: value)
def test_ranges_agree(name: str, field: str) -> None:
    good = _mesh() if name == "mesh" else _example(name)
    CONVERTER.structure(good, CLASSES[name])
    wording = TABLES[name][field][0]
    for bad in _outside(wording):
        with pytest.raises(MessageMalformed):
            structure({**good, field: bad}, CLASSES[name])
    if match := re.search(r"(> )?(\d+) … (\d+)", wording):
        for edge in (int(match[2]) + bool(match[1]), int(match[3])):
            CONVERTER.structure({**good, field: edge}, CLASSES[name])


def test_limits_agree() -> None:
    limits = {row[0]: row[1] for row in _rows(_section(2))}
    assert limits["frames in a message"] == f"{framing.MAX_FRAMES} ({payloads.MAX_BLOBS} blobs)"
    assert framing.MAX_FRAMES == payloads.MAX_BLOBS + 2
    assert limits["envelope"].startswith(
        f"{framing.MAX_ENVELOPE >> 20} MiB; strings of {framing.MAX_STRING >> 10} KiB; "
        f"arrays and maps of {framing.MAX_ENTRIES} entries"
    )
    assert limits["a blob sent to the backend"] == f"{framing.MAX_BLOB_TO_SERVER >> 20} MiB"
    assert limits["a blob sent to a client"] == f"{framing.MAX_BLOB_TO_CLIENT >> 20} MiB"
    assert limits["vertices, UVs of a mesh"] == f"{payloads.MAX_VERTICES:,}"
    assert limits["triangles of a mesh"] == f"{payloads.MAX_TRIANGLES:,}"
    assert limits["pixels of a picture"] == f"{payloads.MAX_PIXELS:,}"
    assert limits["other names, titles and codes"] == f"{messages.MAX_NAME} characters"
    assert limits["`message`, `remedy`, `reason`, `text`"] == f"{messages.MAX_TEXT:,} characters"


@pytest.mark.parametrize("name", TABLES)
def test_texts_are_limited_as_the_page_says(name: str) -> None:
    good = _mesh() if name == "mesh" else _example(name)
    for field, (wording, _) in TABLES[name].items():
        if wording != "str":
            continue
        most = messages.MAX_TEXT if field in ("message", "remedy", "reason", "text") else messages.MAX_NAME
        most = {"protocol": 32, "prompt": params.MAX_PROMPT}.get(field, most)
        most = 64 if (name, field) in (("params", "preset"), ("params", "recipe")) else most
        CONVERTER.structure({**good, field: "ä" * most}, CLASSES[name])
        with pytest.raises(ValueError, match=field):
            CONVERTER.structure({**good, field: "ä" * (most + 1)}, CLASSES[name])


def test_presets_seeds_and_codes_of_the_page_are_those_of_the_code() -> None:
    *most, last = (f"`{preset.name}`" for preset in PRESETS)
    assert f"The presets of version {PROTOCOL_VERSION} are {', '.join(most)} and {last}." in SPEC
    assert TABLES["params"]["seed"][0] == f"int 0 … {MAX_SEED}"
    for code in re.findall(r"`((?:protocol|job|params|connect|backend|pairing)\.\w+)`", SPEC):
        assert code in ERRORS
    sizes = params.TEXTURE_SIZES
    assert f"`texture_size` is {sizes[0]}, {sizes[1]} or {sizes[2]}." in SPEC
    assert TABLES["params"]["faces"][0] == "int or nil, {} … {}".format(*params.FACES_RANGE)


def test_limits_of_version_1_1_agree() -> None:
    limits = {row[0]: row[1] for row in _rows(_section(2))}
    assert limits["`prompt` in `params`"] == f"{params.MAX_PROMPT:,} characters"
    assert limits["`views` in `submit`"] == str(messages.MAX_VIEWS)
    assert limits["`bundles` in `bundles_ready`, `indices` in `choose`"] == str(params.MAX_BUNDLES)
    assert limits["`entries` in `pull_models`"] == str(models.MAX_PULLED)
    image = payloads.ImageRef(0, "image/png", 1, 1, "0" * 64)
    with pytest.raises(ValueError, match="indices"):
        messages.Choose(JOB, (0,) * (params.MAX_BUNDLES + 1))
    with pytest.raises(ValueError, match="indices"):
        messages.Choose(JOB, (-1,))
    with pytest.raises(ValueError, match="entries"):
        models.PullModels(None, ("a",) * (models.MAX_PULLED + 1))
    with pytest.raises(ValueError, match="bundles"):
        bundles = (messages.BundleOffer(image, 1),) * (params.MAX_BUNDLES + 1)
        messages.BundlesReady(job=JOB, stage="s", bundles=bundles)


INPUTS = [row for row in _rows(_section(4)) if row[0] != "recipe"]


def test_every_recipe_is_in_the_table_of_inputs() -> None:
    assert [row[0].strip("`") for row in INPUTS] == [recipe.name for recipe in params.RECIPES]


@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=4)))
@pytest.mark.parametrize("row", INPUTS, ids=lambda row: row[0].strip("`"))
def test_inputs_are_checked_as_the_table_says(row: list[str], given: tuple[bool, ...]) -> None:
    recipe, *uses = row
    image = payloads.ImageRef(0, "image/png", 1, 1, "0" * 64)
    mesh = CONVERTER.structure(_mesh(), payloads.MeshRef)
    picture, prompt, with_mesh, views = given
    submit = messages.Submit(
        JOB,
        "x",
        GenerateParams(recipe=recipe.strip("`"), prompt="a chair" if prompt else " \n"),
        image if picture else None,
        (image,) * 4 if views else (),
        mesh if with_mesh else None,
    )
    right = all(use == "allowed" or (use == "needed") == there for use, there in zip(uses, given, strict=True))
    if right:
        check_inputs(submit)
    else:
        with pytest.raises(ParamsInvalid, match=recipe.strip("`")):
            check_inputs(submit)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_views_are_one_or_four(count: int) -> None:
    image = payloads.ImageRef(0, "image/png", 1, 1, "0" * 64)
    submit = messages.Submit(JOB, "x", GenerateParams(recipe="views_to_3d"), None, (image,) * count)
    if count in (1, 4):
        check_inputs(submit)
    else:
        with pytest.raises(ParamsInvalid, match=f"not {count}"):
            check_inputs(submit)


@pytest.mark.parametrize("asked", [{"bundles": 2}, {"choose": True}])
def test_finished_views_leave_nothing_to_choose(asked: dict[str, Any]) -> None:
    image = payloads.ImageRef(0, "image/png", 1, 1, "0" * 64)
    with pytest.raises(ParamsInvalid, match="nothing to choose"):
        check_inputs(messages.Submit(JOB, "x", GenerateParams(recipe="views_to_3d", **asked), None, (image,)))


def test_finished_views_need_no_prompt_writer() -> None:
    image = payloads.ImageRef(0, "image/png", 1, 1, "0" * 64)
    asked = GenerateParams(recipe="views_to_3d", write_prompt=True)
    with pytest.raises(ParamsInvalid, match="no prompt to write"):
        check_inputs(messages.Submit(JOB, "x", asked, None, (image,)))


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(RecipeUnknown, match="'alchemy'") as caught:
        check_inputs(messages.Submit(JOB, "x", GenerateParams(recipe="alchemy")))
    assert all(recipe.name in caught.value.remedy for recipe in params.RECIPES)
