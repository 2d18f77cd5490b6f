"""How long a mesh takes from bytes on the wire to an object in Blender: ``python -m tests.benchmarks.bench_import``.

A sphere of 200k vertices and 400k triangles with UVs and a 2048 texture (as hard to compress as a photograph) is sent
to the extension, installed from its zip, in a real Blender. Prints one JSON object; seconds, the median of the runs:

- ``wire``: from the backend's send to the add-on's hands: loopback, reading, checking every limit and sha256;
- ``decode``: bytes to arrays, with all indices checked and UVs spread to face corners;
- ``build``: arrays to the object in the scene: mesh, packed texture, material; the old mesh of the object is removed;
- ``total``: the sum, for each run;
- ``first_look``: what Blender itself takes later, when it first shows the texture (not in ``total``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.blender.rigs.bpy_env import ensure_bpy_env
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import ScriptedBackend, ScriptedJob, Step

AROUND, DOWN, TEXTURE = 632, 317, 2048
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
inside.report(runs=runs, vertices=counts[0], triangles=counts[1])
inside.disable()
"""


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

    with tempfile.TemporaryDirectory() as folder, ScriptedBackend(default=only_final) as backend:
        scratch = Path(folder)
        builder = [sys.executable, str(ROOT / "packaging" / "build_extension.py"), "--variant", "py311"]
        subprocess.run([*builder, "--output", folder], check=True, stdout=subprocess.DEVNULL)
        (extension,) = scratch.glob("*.zip")
        picture = scratch / "picture.png"
        picture.write_bytes(sphere(8, 6).texture)
        blender = ensure_bpy_env(options.blender, scratch)
        run = blender.run(INSIDE, extension, picture, backend.address, str(options.runs), timeout=180).check()

    runs = [{**one, "total": one["wire"] + one["decode"] + one["build"]} for one in run.report["runs"]]
    keys = ("wire", "decode", "build", "total", "first_look")
    result = {
        "benchmark": "import",
        "blender": options.blender,
        "vertices": run.report["vertices"],
        "triangles": run.report["triangles"],
        "texture_bytes": len(mesh.texture),
        "runs": len(runs),
        "seconds": {key: round(statistics.median(one[key] for one in runs), 4) for key in keys},
        "slowest": {key: round(max(one[key] for one in runs), 4) for key in keys},
        "target_total": 0.6,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
