"""How long a full-size checkpoint takes to convert, and how much memory.

    python -m tests.benchmarks.bench_convert [--kind lrm] [--folder FOLDER]

Writes a random checkpoint of the published size (the LRM's with its optimizer state: 4.5 GB), converts it in a child
process as the model store does, and prints the seconds and the child's peak resident anonymous memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from tests.fakes.tiny.pickled import write_lightning, write_state_dict

from kiss3d_backend.networks.convert import KINDS


def write(kind: str, path: Path) -> None:
    tensors = {name: torch.randn(shape) for name, shape in KINDS[kind].shapes().items()}
    if kind == "lrm":
        write_lightning(path, tensors, KINDS[kind].prefix)
    else:
        write_state_dict(path, tensors)


def convert(kind: str, source: Path, target: Path) -> tuple[float, int, int]:
    """Seconds, peak resident anonymous bytes, peak resident bytes with what is mapped."""
    command = [sys.executable, "-m", "kiss3d_backend.networks.convert", kind, source, target]
    started, anonymous, resident = time.monotonic(), 0, 0
    with psutil.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as child:
        while child.poll() is None:
            try:
                memory = child.memory_info()
            except psutil.NoSuchProcess:
                break
            anonymous = max(anonymous, memory.rss - memory.shared)
            resident = max(resident, memory.rss)
            time.sleep(0.005)
        last = json.loads(child.stdout.read().splitlines()[-1])
    assert last["event"] == "done", last
    return time.monotonic() - started, anonymous, resident


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_convert")
    parser.add_argument("--kind", choices=sorted(KINDS), default="lrm")
    parser.add_argument("--folder", type=Path, default=None, help="with room for the checkpoint and its conversion")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        source, target = Path(folder, "source.ckpt"), Path(folder, "target.safetensors")
        write(given.kind, source)
        seconds, anonymous, resident = convert(given.kind, source, target)
        print(f"{given.kind}: {source.stat().st_size / 1e9:.2f} GB -> {target.stat().st_size / 1e9:.2f} GB")
        print(f"{seconds:.1f} s, {anonymous / 1e6:.0f} MB anonymous, {resident / 1e6:.0f} MB with mapped pages")


if __name__ == "__main__":
    main()
