"""Seconds, memory and faces of the draft recipe for pictures of many sizes. Prints JSON.

Run ``python tests/benchmarks/bench_draft.py [--large]``; ``--large`` adds pictures of about 100 megapixels.
Each picture runs in a process of its own, so that the peak memory is its own.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHIPPED = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo-picture.png"
PICTURES: dict[str, tuple[tuple[int, int], str, dict[str, object]]] = {
    "200x150 PNG": ((200, 150), "PNG", {}),
    "1024x1024 PNG": ((1024, 1024), "PNG", {}),
    "4000x3000 JPEG": ((4000, 3000), "JPEG", {"quality": 90}),
}
LARGE: dict[str, tuple[tuple[int, int], str, dict[str, object]]] = {
    "10000x9900 JPEG": ((10000, 9900), "JPEG", {"quality": 85}),
    "10000x9900 progressive JPEG": ((10000, 9900), "JPEG", {"quality": 85, "progressive": True}),
    "10000x9900 RGBA PNG": ((10000, 9900), "PNG", {"compress_level": 1}),
    "7000x7000 WebP": ((7000, 7000), "WEBP", {"quality": 60, "method": 0}),
}


class Watch:
    """An event sink that notes when it was told something."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.longest_silence = 0.0
        self.coarse_seconds = 0.0
        self.faces = 0
        self._started = self.last

    def _told(self) -> None:
        now = time.monotonic()
        self.longest_silence = max(self.longest_silence, now - self.last)
        self.last = now

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None:
        self._told()

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        self._told()

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None:
        self._told()

    def bundles_ready(self, stage: str, bundles: object, waiting: bool) -> None:
        self._told()

    def mesh_ready(self, mesh: object, quality: str, bundle: int = 0) -> None:
        self._told()
        if quality == "coarse":
            self.coarse_seconds = time.monotonic() - self._started
        self.faces = len(mesh.triangles)  # pyright: ignore[reportAttributeAccessIssue]

    def warning(self, code: str, message: str, remedy: str) -> None:
        self._told()


def encoded(name: str) -> bytes:
    size, file_format, options = (PICTURES | LARGE)[name]
    image = Image.open(SHIPPED).convert("RGBA" if "RGBA" in name else "RGB")
    page = Image.new(image.mode, (max(image.width, image.height * size[0] // size[1]), image.height), "white")
    page.paste(image, ((page.width - image.width) // 2, 0))
    file = io.BytesIO()
    page.resize(size, Image.Resampling.BILINEAR).save(file, file_format, **options)
    return file.getvalue()


def peak_memory_mib() -> float | None:
    """None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def run_one(data: bytes) -> dict[str, object]:
    started = time.monotonic()
    from kiss3d_backend.pipeline.recipe import JobInputs
    from kiss3d_backend.pipeline.runner import run_recipe
    from kiss3d_backend.recipes import RECIPES, warm_up

    imported = time.monotonic()
    warm_up()
    warm = time.monotonic()
    watch = Watch()
    report = run_recipe(RECIPES["draft"], JobInputs(data), watch, threading.Event())
    return {
        "import_seconds": round(imported - started, 3),
        "warm_up_seconds": round(warm - imported, 3),
        "seconds": round(report.seconds, 3),
        "coarse_seconds": round(watch.coarse_seconds, 3),
        "longest_silence_seconds": round(watch.longest_silence, 3),
        "stages": {stage.name: round(stage.seconds, 3) for stage in report.stages},
        "faces": watch.faces,
        "peak_mib": peak_memory_mib(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also pictures of about 100 megapixels")
    parser.add_argument("--from-stdin", action="store_true", help="run one picture, read from standard input")
    options = parser.parse_args()
    if options.from_stdin:
        print(json.dumps(run_one(sys.stdin.buffer.read())))
        return
    results = {}
    for name in PICTURES | (LARGE if options.large else {}):
        done = subprocess.run(
            [sys.executable, __file__, "--from-stdin"], input=encoded(name), capture_output=True, check=True
        )
        results[name] = json.loads(done.stdout)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
