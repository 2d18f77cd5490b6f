"""Panels are drawn in the window rig alone, which has one Blender; here each Blender is asked whether it could.

What the sources call and name is compared with what this Blender has; scripted.py runs these.
"""

import ast
from pathlib import Path

import bpy

ICONS = {icon.identifier for icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items}
LAYOUTS = ("layout", "column", "row", "box", "body", "header", "split", "grid", "cell", "end", "time", "size")
"""What layouts are called in the sources."""

FUNCTIONS = bpy.types.UILayout.bl_rna.functions


def calls():
    """Every call of a method in the add-on's sources, with its file."""
    import bl_ext.user_default.kiss3d as extension

    for path in Path(extension.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield path.name, node.func.attr, node


def check_layouts_have_what_panels_ask_for():
    wrong = []
    seen = set()
    for name, called, node in calls():
        if called not in FUNCTIONS or ast.unparse(node.func.value) not in LAYOUTS:
            continue
        seen.add(called)
        known = set(FUNCTIONS[called].parameters.keys())
        wrong += [f"{name}: {called}({one.arg}=)" for one in node.keywords if one.arg not in known]
    assert not wrong, wrong
    expected = {"label", "operator", "prop", "progress", "panel", "grid_flow", "template_icon", "template_list"}
    assert expected <= seen, expected - seen


def check_icons_are_there():
    asked = set()
    for _, _, node in calls():
        for keyword in node.keywords:
            if keyword.arg == "icon":
                asked |= {one.value for one in ast.walk(keyword.value) if isinstance(one, ast.Constant) and one.value}
    from bl_ext.user_default.kiss3d.sources import SOURCES
    from bl_ext.user_default.kiss3d.ui import connection_panel, jobs_panel

    asked |= {source.icon for source in SOURCES.values()}
    asked |= set(jobs_panel.ICONS.values()) | set(connection_panel.ICONS.values())
    assert len(asked) > 20 and asked <= ICONS, asked - ICONS
