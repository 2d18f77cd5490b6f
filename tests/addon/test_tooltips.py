"""Everything that people can click or fill in says what it does when the mouse rests on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import blender_addon
import pytest

SOURCES = sorted(Path(blender_addon.__file__).parent.rglob("*.py"))
HOLDERS = ("PointerProperty", "CollectionProperty")
"""Those of settings and of rows are never drawn themselves; a pointer to Blender's own data is."""


def without_tooltip(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Call(func=ast.Attribute(attr=kind)) as made):
                given = {one.arg: ast.unparse(one.value) for one in made.keywords}
                holds_own = kind in HOLDERS and not given.get("type", "").startswith("bpy.types.")
                hidden = "HIDDEN" in given.get("options", "")
                if kind.endswith("Property") and not holds_own and not hidden and not given.get("description"):
                    yield name
            case ast.ClassDef(name=name) if "_OT_" in name and not ast.get_docstring(node):
                yield name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_operator_and_every_setting_has_a_tooltip(path: Path) -> None:
    assert list(without_tooltip(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        'class A:\n    seed: bpy.props.IntProperty(name="Seed")',
        "class A:\n    image: bpy.props.PointerProperty(type=bpy.types.Image)",
        "class KISS3D_OT_a(bpy.types.Operator):\n    bl_idname = 'kiss3d.a'",
    ],
)
def test_the_search_sees(source: str) -> None:
    assert len(list(without_tooltip(ast.parse(source)))) == 1
