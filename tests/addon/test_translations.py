"""Everything that the add-on shows has its Brazilian Portuguese, and nothing is translated that is not shown.

What is shown is found in the syntax trees, so that nothing can be forgotten.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import blender_addon
import pytest
from tests.architecture.source_tree import ROOT

from kiss3d_protocol import errors
from kiss3d_protocol.params import PRESETS

ADDON = Path(blender_addon.__file__).parent
PROTOCOL = ROOT / "protocol" / "kiss3d_protocol"
SOURCES = sorted(ADDON.rglob("*.py"))
HEARD_HERE = (
    *("address", "diagnose", "framing", "inputs", "key_files", "pairing_string", "redeem", "servers"),
    *("batch/manifest", "batch/rows", "transport/zeromq"),
)
"""Modules of the protocol whose errors are raised on this side, and say what only they know."""

SAID = re.compile(r"[A-Za-z]{2}")


def load(name: str) -> ModuleType:
    """A module of plain words, without the package around it, which needs bpy."""
    spec = importlib.util.spec_from_file_location(name, ADDON / "translations" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WORDS: dict[str, str] = load("pt_br").WORDS
ERRORS = load("pt_br_errors")
MESSAGES: dict[str, str] = ERRORS.MESSAGES | load("pt_br_commands").MESSAGES


def constants(node: ast.AST | None) -> Iterator[str]:
    """The texts in an expression that may become its value; not those in calls, comparisons and subscripts."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from constants(body)
            yield from constants(other)
        case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.List(elts=values) | ast.Dict(values=values):
            for value in values:
                yield from constants(value)


def shown_by(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name):
                yield from _of_class(node)
                if "_OT_" in name:
                    yield ast.get_docstring(node) or f"{name} has no tooltip"
            case ast.Assign(targets=[ast.Name(id="text")], value=value):
                yield from constants(value)
            case ast.Call(func=ast.Name(id="tr"), args=[first, *_]):
                yield from constants(first)
            case ast.Call(func=ast.Name(id="Source"), args=[title, description, *_]):
                yield from constants(title)
                yield from constants(description)
            case ast.Call(func=ast.Attribute(attr="poll_message_set"), args=[first, *_]):
                yield from constants(first)
            case ast.Call(func=ast.Attribute(attr="report"), args=[_, first]):
                yield from constants(first)
            case ast.Call(func=ast.Attribute(attr=called), keywords=keywords) if called.endswith("Property"):
                yield from _of_property({one.arg: one.value for one in keywords})
            case ast.Call(func=ast.Attribute(), keywords=keywords):
                given = {one.arg: one.value for one in keywords}
                if "translate" not in given:
                    yield from constants(given.get("text"))
                    yield from constants(given.get("heading"))


def _of_property(given: dict[str | None, ast.expr]) -> Iterator[str]:
    yield from constants(given.get("name"))
    yield from constants(given.get("description"))
    match given.get("items"):
        case ast.Tuple(elts=items) | ast.List(elts=items):
            for item in items:
                match item:
                    case ast.Tuple(elts=[_, title, description, *_]):
                        yield from constants(title)
                        yield from constants(description)


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    for line in node.body:
        match line:
            case ast.Assign(targets=[ast.Name(id="bl_label" | "bl_description")], value=value):
                yield from constants(value)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def shown() -> set[str]:
    """All that the add-on shows in words of its own, and what comes from the protocol's lists and the stages."""
    found = {text for path in SOURCES for text in shown_by(parsed(path))}
    found |= {text for preset in PRESETS for text in (preset.title, preset.description)}
    return {text for text in found if SAID.search(text)} | set(stage_titles())


def stage_titles() -> dict[str, str]:
    """English to Portuguese, as reports have it."""
    texts = tomllib.loads((ROOT / "backend/kiss3d_backend/reports/texts.toml").read_text(encoding="utf-8"))
    return {stage["en"]: stage["pt_BR"] for stage in texts["stage"].values()}


RAISERS = {name for name, one in vars(errors).items() if isinstance(one, type)} | {"_cancelled"}
"""What takes the words of an error: its class, and what makes one of them."""


def templates(path: Path) -> Iterator[str]:
    """Messages and remedies of the errors that are raised in a source, with ``{}`` for what is filled in."""
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in RAISERS:
                for argument in args:
                    yield from _templates_of(argument)
            case ast.Assign(targets=[ast.Name(id="remedy" | "HOW_TO_CHOOSE" | "HOW_TO_SAVE")], value=value):
                yield from _templates_of(value)
            case ast.FunctionDef(name=name) if name == "hindrance" or name.startswith("_no_"):
                for line in ast.walk(node):
                    if isinstance(line, ast.Return):
                        yield from _templates_of(line.value)


def _templates_of(node: ast.AST | None) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in values)  # pyright: ignore
        case ast.IfExp(body=body, orelse=other):
            yield from _templates_of(body)
            yield from _templates_of(other)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _templates_of(value)


def raised() -> set[str]:
    paths = [*SOURCES, *(PROTOCOL / f"{name}.py" for name in HEARD_HERE)]
    return {text for path in paths for text in templates(path) if SAID.search(text)}


def test_every_word_that_is_shown_has_its_portuguese() -> None:
    assert sorted(shown() - set(WORDS)) == []


def test_no_word_is_translated_that_nobody_shows() -> None:
    assert sorted(set(WORDS) - shown()) == []


def test_every_error_that_is_raised_on_this_side_has_its_portuguese() -> None:
    assert sorted(raised() - set(MESSAGES) - set(ERRORS.REMEDIES)) == []


def test_no_error_is_translated_that_nobody_raises() -> None:
    assert sorted(set(MESSAGES) - raised()) == []


def test_every_code_and_every_remedy_has_its_portuguese() -> None:
    assert set(ERRORS.MEANINGS) == set(errors.ERRORS)
    remedies = {cls.default_remedy for cls in errors.ERRORS.values() if cls.default_remedy}
    assert remedies ^ set(ERRORS.REMEDIES) == set()


def test_stages_are_called_as_in_reports() -> None:
    assert {english: WORDS[english] for english in stage_titles()} == stage_titles()


@pytest.mark.parametrize("table", [WORDS, MESSAGES, ERRORS.REMEDIES, ERRORS.MEANINGS])
def test_translations_fill_in_the_same_places_and_end_alike(table: dict[str, str]) -> None:
    for english, portuguese in table.items():
        assert portuguese.strip(), english
        assert sorted(re.findall(r"\{\w*\}", english)) == sorted(re.findall(r"\{\w*\}", portuguese)), english
        if table is not ERRORS.MEANINGS:
            assert english.endswith(".") == portuguese.endswith("."), english


@pytest.mark.parametrize(
    "source",
    [
        'layout.label(text="Forgotten words")',
        'row.operator("a.b", text="Forgotten words" if local else "")',
        'text = "Forgotten words" if local else ""',
        'tr("Forgotten words", name=1)',
        'cls.poll_message_set("Forgotten words")',
        'self.report({"WARNING"}, "Forgotten words")',
        'bpy.props.IntProperty(name="Forgotten words")',
        'bpy.props.EnumProperty(items=(("ID", "Forgotten words", ""),))',
        'class KISS3D_OT_a:\n    """Forgotten words"""',
        'class KISS3D_PT_a:\n    bl_label = "Forgotten words"',
    ],
)
def test_the_search_sees(source: str) -> None:
    assert "Forgotten words" in set(shown_by(ast.parse(source)))
