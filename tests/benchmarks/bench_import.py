"""How long a mesh takes from bytes on the wire to an object in Blender: ``python -m tests.benchmarks.bench_import``.

A sphere of 200k vertices and 400k triangles with UVs, a 2048 texture and a normal map of that size (both as hard to
compress as photographs) is sent to the extension, installed from its zip, in a real Blender. Then another job streams
meshes of 60k faces with vertex colours, as a refinement does. Prints one JSON object; seconds, the median of the runs:

- ``wire``: from the backend's send to the add-on's hands: loopback, reading, checking every limit and sha256;
- ``decode``: bytes to arrays, with all indices checked and UVs spread to face corners, beside the main thread;
- ``build``: arrays to the object in the scene: mesh, packed texture, material; the old mesh of the object is removed;
- ``total``: the sum, for each run;
- ``first_look``: what Blender itself takes later, when it first shows the pictures (not in ``total``);
- ``update``: one of the streamed meshes, from its arrival in the tick to its standing in the scene (decode and
  build, of which only the build holds the main thread).

``cpu_seconds`` and ``update_cpu`` are seconds of processor time of the thread that does it, which hardly grow when the
machine is busy otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tests.blender.rigs.bpy_env import BpyRun, ensure_bpy_env
from tests.blender.rigs.extension import build_extension
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Pause, Script, ScriptedBackend, ScriptedJob, Step

from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE

AROUND, DOWN, TEXTURE = 632, 317, 2048
UPDATE_AROUND, UPDATE_DOWN, UPDATES = 174, 173, 20

INSIDE = """
import sys, time
import bpy
import kiss3d_inside as inside

inside.install(sys.argv[1])
from bl_ext.user_default.kiss3d import api, connection, job_monitor
from bl_ext.user_default.kiss3d.importer import place

spent = {}
updates = []

def timed(module, name, key):
    inner = getattr(module, name)
    def outer(*arguments, **more):
        began, cpu = time.perf_counter(), time.thread_time()
        result = inner(*arguments, **more)
        spent[key] = time.perf_counter() - began
        spent[key + "_cpu"] = time.thread_time() - cpu
        if key == "build":
            updates.append([spent["decode"] + spent["build"], spent["decode_cpu"] + spent["build_cpu"]])
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
    nodes = made.data.materials[0].node_tree.nodes
    images = [node.image for node in nodes if node.type == "TEX_IMAGE"]
    assert len(images) == 2
    began = time.perf_counter()
    for image in images:
        assert tuple(image.size) == (2048, 2048)
        image.pixels[0]
    runs.append({**spent, "first_look": time.perf_counter() - began})
    counts = len(made.data.vertices), len(made.data.polygons)
    bpy.data.objects.remove(made)
    bpy.ops.outliner.orphans_purge(do_recursive=True)
updates.clear()
made = api.generate(prompt="stream", backend=sys.argv[3])
inside.report(runs=runs, vertices=counts[0], triangles=counts[1], updates=updates[1:-1],
              update_triangles=len(made.data.polygons), meshes=len(bpy.data.meshes))
inside.disable()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blender", default="4.5.15", help="version of the bpy wheel")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()

    mesh = sphere(AROUND, DOWN, texture_size=TEXTURE, noise=True)
    mesh = replace(mesh, normal_map=mesh.texture)
    streamed = replace(sphere(UPDATE_AROUND, UPDATE_DOWN, colours=True), texture=b"")

    def stream(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("refine", 0, 1)
        for _ in range(UPDATES + 2):
            yield job.mesh("refined", streamed)
            # One at a time: of several that wait, only the newest is let in.
            yield Pause(0.3)
        yield job.finished()

    def only_final(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        yield job.mesh("final", mesh)
        yield job.finished()

    with tempfile.TemporaryDirectory() as folder:
        # Blender runs with a home of its own: the keys have to lie where both look.
        os.environ[CONFIG_DIR_VARIABLE] = str(Path(folder, "config"))
        run = _run(Path(folder), options, {"stream": stream}, only_final)

    runs = [{**one, "total": one["wire"] + one["decode"] + one["build"]} for one in run.report["runs"]]
    keys = ("wire", "decode", "build", "total", "first_look")
    cpu = {key: statistics.median(one[f"{key}_cpu"] for one in run.report["runs"]) for key in ("decode", "build")}
    result = {
        "benchmark": "import",
        "blender": options.blender,
        "vertices": run.report["vertices"],
        "triangles": run.report["triangles"],
        "texture_bytes": len(mesh.texture),
        "normal_map_bytes": len(mesh.normal_map),
        "runs": len(runs),
        "seconds": {key: round(statistics.median(one[key] for one in runs), 4) for key in keys},
        "slowest": {key: round(max(one[key] for one in runs), 4) for key in keys},
        "cpu_seconds": {key: round(value, 4) for key, value in cpu.items()},
        "target_total": 0.5,
        "update_triangles": run.report["update_triangles"],
        "updates": len(run.report["updates"]),
        "meshes_left": run.report["meshes"],
        "update": _summary([update for update, _ in run.report["updates"]]),
        "update_cpu": _summary([cpu for _, cpu in run.report["updates"]]),
        "target_update": 0.06,
    }
    print(json.dumps(result, indent=2))


def _run(scratch: Path, options: argparse.Namespace, scripts: Mapping[str, Script], default: Script) -> BpyRun:
    with ScriptedBackend(scripts, default=default) as backend:
        extension = build_extension("py311", scratch)
        picture = scratch / "picture.png"
        picture.write_bytes(sphere(8, 6).texture)
        blender = ensure_bpy_env(options.blender, scratch)
        return blender.run(INSIDE, extension, picture, backend.address, str(options.runs), timeout=180).check()


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 4), "slowest": round(max(seconds), 4)}


if __name__ == "__main__":
    main()
