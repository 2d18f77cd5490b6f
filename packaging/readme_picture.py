"""Make docs/images/demo.png, the picture of the README: the shipped picture beside the mesh that becomes of it.

python packaging/readme_picture.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
HEIGHT = 320


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder) / "sheet.png"
        command = [sys.executable, "-m", "kiss3d_backend", "generate", str(IMAGES / "demo-picture.png")]
        subprocess.run([*command, "-o", str(Path(folder) / "demo.glb"), "--render", str(sheet)], check=True)
        parts = [_scaled(IMAGES / "demo-picture.png"), _scaled(sheet)]
    picture = Image.new("RGB", (sum(part.width for part in parts), HEIGHT), "white")
    left = 0
    for part in parts:
        picture.paste(part, (left, 0))
        left += part.width
    picture.save(IMAGES / "demo.png", optimize=True)


def _scaled(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB").resize(
            (round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS
        )


if __name__ == "__main__":
    main()
