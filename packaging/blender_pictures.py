"""Make the pictures of docs/blender.md and docs/install.md of what tests/blender/test_window.py took.

python -m pytest tests/blender/test_window.py && python packaging/blender_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SCREENSHOTS = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"
WITH_SIDEBAR = (400, 80, 1050, 720)
"""The part of a screenshot with the object and the panel, in pixels."""

PICTURES = {
    "blender-set-up": ("no-backend-yet", "set-up-runs"),
    "blender-backend": ("download", "portuguese"),
    "blender-running": ("running", "choose-a-bundle"),
    "blender-finished": ("finished", "error-with-remedy"),
}
"""Which screenshots stand side by side."""


def main() -> None:
    for name, parts in PICTURES.items():
        cut = [_cut(part) for part in parts]
        picture = Image.new("RGB", (sum(part.width for part in cut), cut[0].height))
        left = 0
        for part in cut:
            picture.paste(part, (left, 0))
            left += part.width
        picture.save(IMAGES / f"{name}.png", optimize=True)


def _cut(name: str) -> Image.Image:
    (path,) = SCREENSHOTS.rglob(f"*-{name}.png")
    with Image.open(path) as image:
        return image.convert("RGB").crop(WITH_SIDEBAR)


if __name__ == "__main__":
    main()
