"""How long a mesh takes from bytes on the wire to an object in Blender: ``python -m tests.benchmarks.bench_import``.

A sphere of 200k vertices and 400k triangles with UVs and a 2048 texture (as hard to compress as a photograph) is sent
to the extension, installed from its zip, in a real Blender. Prints one JSON object; seconds, the median of the runs:

- ``wire``: from the backend's send to the add-on's hands: loopback, reading, checking every limit and sha256;
- ``decode``: bytes to arrays, with all indices checked and UVs spread to face corners;
- ``build``: arrays to the object in the scene: mesh, packed texture, material; the old mesh of the object is removed;
- ``total``: the sum, for each run;
- ``first_look``: what Blender itself takes later, when it first shows the texture (not in ``total``).

``updates`` are those of a mesh of 60k triangles with vertex colours, as it is refined: bytes to arrays, and into the
object that stands in the scene.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.blender.rigs.bpy_env import ensure_bpy_env
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Pause, ScriptedBackend, ScriptedJob, Step

from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE

AROUND, DOWN, TEXTURE = 632, 317, 2048
REFINED = 174, 174
UPDATES = 20
ROOT = Path(__file__).parents[2]

INSIDE = """
import sys, time
import bpy
import kiss3d_inside as inside

inside.install(sys.argv[1])
from bl_ext.user_default.kiss3d import api, connection, job_monitor
from bl_ext.user_default.kiss3d.importer import place

spent = {}

def timed(module, name, key):
    inner = getattr(module, name)
    def outer(*arguments):
        began = time.perf_counter()
        result = inner(*arguments)
        spent[key] = time.perf_counter() - began
        return result
    setattr(module, name, outer)

timed(job_monitor, "read_mesh", "decode")
timed(place, "place", "build")

take = connection.Connection.poll
def poll(self):
    news = take(self)
    message = getattr(news, "message", None)
    if getattr(message, "quality", None):
        spent["wire"] = time.time() - message.time
    return news
connection.Connection.poll = poll

runs = []
for _ in range(int(sys.argv[4])):
    spent.clear()
    made = api.generate(sys.argv[2], backend=sys.argv[3])
    image = made.data.materials[0].node_tree.nodes.active.image
    began = time.perf_counter()
    assert tuple(image.size) == (2048, 2048)
    image.pixels[0]
    runs.append({**spent, "first_look": time.perf_counter() - began})
    counts = len(made.data.vertices), len(made.data.polygons)
    bpy.data.objects.remove(made)
    bpy.ops.outliner.orphans_purge(do_recursive=True)

updates = []
put = place.place
def noted(target, arrays, recipe):
    result = put(target, arrays, recipe)
    if recipe["quality"] == "refined":
        updates.append({"triangles": arrays.triangle_count, "seconds": spent["decode"] + spent["build"]})
    return result
place.place = noted
api.generate(sys.argv[2].replace("picture", "refined"), backend=sys.argv[3])
inside.report(runs=runs, vertices=counts[0], triangles=counts[1], updates=updates)
inside.disable()
"""


def _run(scratch: Path, address: str, options: argparse.Namespace) -> dict[str, Any]:
    """What the script inside a Blender tells."""
    builder = [sys.executable, str(ROOT / "packaging" / "build_extension.py"), "--variant", "py311"]
    subprocess.run([*builder, "--output", str(scratch)], check=True, stdout=subprocess.DEVNULL)
    (extension,) = scratch.glob("*.zip")
    picture = scratch / "picture.png"
    for path in (picture, picture.with_name("refined.png")):
        path.write_bytes(sphere(8, 6).texture)
    blender = ensure_bpy_env(options.blender, scratch)
    return blender.run(INSIDE, extension, picture, address, str(options.runs), timeout=180).check().report


def _of_updates(updates: list[dict[str, float]]) -> dict[str, float]:
    """The first one makes the object; it is none of the updates."""
    seconds = [one["seconds"] for one in updates[1:]]
    return {
        "count": len(seconds),
        "triangles": updates[0]["triangles"],
        "median": round(statistics.median(seconds), 4),
        "slowest": round(max(seconds), 4),
        "target": 0.06,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blender", default="4.5.15", help="version of the bpy wheel")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()

    mesh = sphere(AROUND, DOWN, texture_size=TEXTURE, noise=True)

    def only_final(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        yield job.mesh("final", mesh)
        yield job.finished()

    def refined(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("refine", 0, 1)
        for _ in range(UPDATES):
            yield job.mesh("refined", replace(sphere(*REFINED, colours=True), texture=b""))
            yield Pause(0.3)  # longer than an update takes, so that none is overtaken by the next
        yield job.mesh("final", sphere(8, 6))
        yield job.finished()

    with tempfile.TemporaryDirectory() as folder:
        # Where Blender looks for the keys of the scripted backend too.
        os.environ[CONFIG_DIR_VARIABLE] = str(Path(folder) / "config")
        with ScriptedBackend({"refined": refined}, default=only_final) as backend:
            report = _run(Path(folder), backend.address, options)

    runs = [{**one, "total": one["wire"] + one["decode"] + one["build"]} for one in report["runs"]]
    keys = ("wire", "decode", "build", "total", "first_look")
    result = {
        "benchmark": "import",
        "blender": options.blender,
        "vertices": report["vertices"],
        "triangles": report["triangles"],
        "texture_bytes": len(mesh.texture),
        "runs": len(runs),
        "seconds": {key: round(statistics.median(one[key] for one in runs), 4) for key in keys},
        "slowest": {key: round(max(one[key] for one in runs), 4) for key in keys},
        "target_total": 0.5,
        "updates": _of_updates(report["updates"]),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
