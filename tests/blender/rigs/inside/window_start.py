"""The first script of a Blender with a window: install the zip, run the test's script, answer the test's questions."""
# pyright: reportMissingImports=false

import json
import sys
from pathlib import Path

SHARED = Path("/kiss3d")
sys.path.insert(0, str(SHARED / "inside"))

import bpy  # noqa: E402
import kiss3d_inside as inside  # noqa: E402

setup = json.loads((SHARED / "setup.json").read_text(encoding="utf-8"))
bpy.context.preferences.view.show_splash = False
inside.watch_drawing()
if "zip" in setup:
    inside.install(setup["zip"], setup["extension_id"])
source = (SHARED / "script.py").read_text(encoding="utf-8")
exec(compile(source, "script.py", "exec"), {"bpy": bpy, "inside": inside})
inside.answer_questions(SHARED / "questions")
