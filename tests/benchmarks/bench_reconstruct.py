"""``kiss3d reconstruct`` end to end, on shapes that no setting was tuned on. Prints a table, then JSON.

Run ``python tests/benchmarks/bench_reconstruct.py [--only NAME ...] [--from coarse bundle] [--preset NAME]
[--write-baseline]``, or with ``--bundle FILE.png ...`` on bundles of which nothing else is known. Each run is a process
of its own. All is measured on the GLB that it wrote, read again: Chamfer distance (mean of both mean distances from
100 000 points of one surface to the other, over that of the start) and normal consistency (mean of both mean cosines
there), IoU of the silhouettes as ``kiss3d render`` draws them, whether it is closed once vertices at one place are
merged and manifold (no vertex where the surface only touches itself), PSNR of the four views inside both
silhouettes, seconds and peak memory of the process. A shape that fails, or takes longer than ``--limit``, is a row with
its error; what is measured so far is in ``FOLDER/figures.json`` after each shape. ``reconstruct-baseline.json`` has the
figures to compare with.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.surface_distance import compared  # noqa: E402
from tests.mesh.held_out import HELD_OUT, held_out  # noqa: E402
from tests.mesh.painted import psnr  # noqa: E402
from tests.mesh.solids import smoothed_and_noised  # noqa: E402

from kiss3d_backend.mesh.bundle.check import iou  # noqa: E402
from kiss3d_backend.mesh.bundle.layout import join_bundle, split_bundle  # noqa: E402
from kiss3d_backend.mesh.bundle.masks import foreground  # noqa: E402
from kiss3d_backend.mesh.bundle.render import render_bundle  # noqa: E402
from kiss3d_backend.mesh.cleanup.manifold import split_apart  # noqa: E402
from kiss3d_backend.mesh.cleanup.soup import Soup  # noqa: E402
from kiss3d_backend.mesh.cleanup.weld import weld  # noqa: E402
from kiss3d_backend.mesh.edges import is_closed  # noqa: E402
from kiss3d_backend.mesh.glb import write_glb  # noqa: E402
from kiss3d_backend.mesh.png import encode_png  # noqa: E402
from kiss3d_backend.mesh.read import read_mesh_file, read_model  # noqa: E402
from kiss3d_backend.mesh.types import Mesh  # noqa: E402

BASELINE = Path(__file__).with_name("reconstruct-baseline.json")
COLUMNS = ("ratio", "normals", "iou", "psnr", "seconds", "peak_mib", "closed", "manifold")


def prepared(name: str, folder: Path) -> tuple[Path, Path, Path]:
    """Files of the truth, its bundle and its coarse version; made once a folder."""
    truth, bundle, coarse = (
        folder / f"{name.replace(' ', '-')}-{part}" for part in ("truth.glb", "bundle.png", "coarse.glb")
    )
    if not coarse.exists():
        mesh = held_out(name)
        folder.mkdir(parents=True, exist_ok=True)
        truth.write_bytes(write_glb(mesh, None, None))
        bundle.write_bytes(encode_png(join_bundle(render_bundle([mesh]))))
        it = HELD_OUT[name]
        unit = (mesh.positions - np.float32(it.shift)) / np.float32(it.scale)
        start = smoothed_and_noised(Mesh(unit, mesh.triangles))
        moved = (start.positions * it.scale + it.shift).astype(np.float32)
        coarse.write_bytes(write_glb(Mesh(moved, start.triangles), None, None))
    return truth, bundle, coarse


def reconstructed(bundle: Path, output: Path, options: list[str], limit: float) -> tuple[float, int | None]:
    """Seconds and the peak memory of ``kiss3d reconstruct``. Raises RuntimeError when it fails or takes too long."""
    command = [sys.executable, "-m", "kiss3d_backend", "reconstruct", str(bundle), "-o", str(output), "--json"]
    output.unlink(missing_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen([*command, "--keep-frame", *options], stdout=told, stderr=subprocess.STDOUT)
        timer = threading.Timer(limit, process.kill)
        timer.start()
        try:
            if hasattr(os, "wait4"):
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                peak = round(usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
            else:
                process.wait()
                peak = None
        finally:
            timer.cancel()
        seconds = time.monotonic() - began
        if process.returncode:
            told.seek(0)
            last = told.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"stopped after {limit:g} s" if seconds >= limit else " ".join(last) or "no message")
    return seconds, peak


def measured(bundle: Path, output: Path) -> dict[str, object]:
    """What the bundle alone tells about the result."""
    wanted = split_bundle(np.asarray(Image.open(bundle).convert("RGB")))
    model = read_model(output)
    drawn = render_bundle(model.parts)
    masks, asked = foreground(drawn.normals).mask, foreground(wanted.normals).mask
    agree = [iou(mask, other) for mask, other in zip(masks, asked, strict=True)]
    quality = [
        psnr(seen, truth, mask & other)
        for seen, truth, mask, other in zip(drawn.colours, wanted.colours, masks, asked, strict=True)
    ]
    whole = read_mesh_file(output)
    soup = weld(Soup(whole.positions, whole.triangles))
    return {
        "iou_views": [round(each, 4) for each in agree],
        "iou": round(min(agree), 4),
        "psnr_views": [round(each, 2) for each in quality],
        "psnr": round(min(quality), 2),
        "closed": is_closed(soup.triangles, len(soup.positions)),
        "manifold": is_manifold(soup),
        "faces": len(soup.triangles),
    }


def is_manifold(soup: Soup) -> bool:
    """Taking apart what only touches changes nothing."""
    return len(split_apart(soup).positions) == len(soup.positions)


def run(
    bundle: Path, output: Path, coarse: Path | None, truth: Path | None, options: list[str], limit: float
) -> dict[str, object]:
    given = [] if coarse is None else ["--init", str(coarse)]
    try:
        seconds, peak = reconstructed(bundle, output, [*options, *given], limit)
    except RuntimeError as error:
        return {"error": str(error)}
    row = {**measured(bundle, output), "seconds": round(seconds, 1), "peak_mib": peak}
    if truth is not None:
        exact, result = read_mesh_file(truth), read_mesh_file(output)
        row["chamfer"], row["normals"] = (round(each, 5) for each in compared(result, exact))
        if coarse is not None:
            before, row["normals_before"] = (round(each, 5) for each in compared(read_mesh_file(coarse), exact))
            row["chamfer_before"], row["ratio"] = before, round(row["chamfer"] / before, 3)
    return row


def summary(rows: dict[str, dict[str, object]]) -> dict[str, object]:
    def values(key: str) -> list[float]:
        return [row[key] for row in rows.values() if row.get(key) is not None]  # pyright: ignore[reportReturnType]

    medians = {key: round(statistics.median(values(key)), 4) for key in ("ratio", "normals", "seconds") if values(key)}
    return {
        "median": medians,
        "worst_ratio": max(values("ratio"), default=None),
        "least_iou": min(values("iou"), default=None),
        "least_psnr": min(values("psnr"), default=None),
        "not_closed": [name for name, row in rows.items() if not row.get("closed")],
        "not_manifold": [name for name, row in rows.items() if not row.get("manifold")],
        "errors": [name for name, row in rows.items() if "error" in row],
        "peak_mib": max(values("peak_mib"), default=None),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(HELD_OUT), default=list(HELD_OUT))
    parser.add_argument("--from", nargs="+", choices=("coarse", "bundle"), default=["coarse", "bundle"], dest="starts")
    parser.add_argument("--bundle", nargs="*", type=Path, default=[])
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--faces", type=int, help="of the result; the preset's own when left out")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that a shape may take")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "held-out", help="for the files; kept")
    parser.add_argument("--write-baseline", action="store_true")
    options = parser.parse_args()
    given = ["--preset", options.preset]
    if options.faces:
        given += ["--faces", str(options.faces)]
    everything: dict[str, object] = {}
    options.folder.mkdir(parents=True, exist_ok=True)
    figures = options.folder / "figures.json"
    for start in ["bundle"] if options.bundle else options.starts:
        print(
            f"\nfrom the {start}\n{'shape':14}"
            + "".join(f"{column:>10}" for column in COLUMNS)
            + "  IoU and PSNR of the views"
        )
        rows: dict[str, dict[str, object]] = {}
        for name in options.bundle or options.only:
            truth, bundle, coarse = (None, name, None) if options.bundle else prepared(name, options.folder)
            title = getattr(name, "stem", name)
            output = options.folder / f"{title}-from-{start}.glb".replace(" ", "-")
            row = run(bundle, output, coarse if start == "coarse" else None, truth, given, options.limit)
            rows[title] = row
            cells = "".join(f"{row.get(column, '')!s:>10}" for column in COLUMNS)
            told = row.get("error") or f"{row['iou_views']} {row['psnr_views']}"
            print(f"{title:14}{cells}  {told}", flush=True)
            everything[start] = {"shapes": rows, **summary(rows)}
            figures.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({start: summary(part["shapes"]) for start, part in everything.items()}, indent=2))  # pyright: ignore
    if options.write_baseline:
        BASELINE.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
