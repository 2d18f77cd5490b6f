"""Memory of its own that loading a full-size FLUX transformer takes. Prints JSON; fails at 1.2 times the file.

Run ``python tests/benchmarks/bench_flux_load.py [--evaluate] [--double 19] [--single 38] [--folder DIR]``. A file of
random float8 weights in the published layout (11.9 GB at full size) is written in chunks into a temporary folder,
loaded in a process of its own, and deleted. Where the disk lacks room it says so and does nothing. ``--evaluate`` runs
the transformer once on 64 image and 16 text tokens, so that every weight is read. Anonymous resident memory (RssAnon,
Linux only) is what a process cannot give back without swap; pages of a mapped file are not in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import attrs
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

CHUNK = 64 * 1024 * 1024
SPARE = 2 * 1024**3
LIMIT = 1.2


def write_file(path: Path, double: int, single: int) -> None:
    """Finite random weights: a byte with all of exponent and fraction set would be NaN."""
    from tests.fakes.tiny.flux import Size, transformer_shapes

    size = attrs.evolve(Size.published(), double=double, single=single)
    header: dict[str, object] = {}
    end = 0
    for name, shape in transformer_shapes(size).items():
        begin, end = end, end + int(np.prod(shape))
        header[name] = {"dtype": "F8_E4M3", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = np.random.Generator(np.random.SFC64(1))
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for begin in range(0, end, CHUNK):
            # Exponents up to 2^-5, so that sums over thousands of inputs stay in range.
            values = np.frombuffer(generator.bytes(min(CHUNK, end - begin)), dtype=np.uint8) & 0b1001_1111
            file.write(values.tobytes())


def resident() -> dict[str, int]:
    """Bytes of RssAnon and RssFile of this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    pairs = (line.split() for line in lines)
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in pairs if words and words[0].startswith("Rss")}


class Peak:
    """The largest of what :func:`resident` says, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.bytes = resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self._look()

    def _look(self) -> None:
        now = resident()
        self.bytes = {name: max(value, now[name]) for name, value in self.bytes.items()}

    def end(self) -> dict[str, int]:
        self._stop.set()
        self._thread.join()
        self._look()
        return self.bytes


def load_and_measure(path: Path, evaluate: bool) -> dict[str, object]:
    import torch

    from kiss3d_backend.models.files import EntryFiles
    from kiss3d_backend.networks.flux.single_file import open_flux
    from kiss3d_backend.networks.flux.transformer import load_transformer

    before = resident()
    peak = Peak()
    started = time.perf_counter()
    files = EntryFiles("flux_transformer", {path.name: path})
    model = load_transformer(open_flux(files).transformer, torch.device("cpu"), torch.bfloat16)
    seconds = {"load": round(time.perf_counter() - started, 2)}
    if evaluate:
        started = time.perf_counter()
        with torch.inference_mode():
            result = model(
                hidden_states=torch.randn(1, 64, model.config["in_channels"], dtype=torch.bfloat16),
                encoder_hidden_states=torch.randn(1, 16, model.config["joint_attention_dim"], dtype=torch.bfloat16),
                pooled_projections=torch.randn(1, model.config["pooled_projection_dim"], dtype=torch.bfloat16),
                timestep=torch.tensor([0.5], dtype=torch.bfloat16),
                guidance=torch.tensor([3.5]),
                img_ids=torch.zeros(64, 3, dtype=torch.bfloat16),
                txt_ids=torch.zeros(16, 3, dtype=torch.bfloat16),
            ).sample
        assert result.shape == (1, 64, 64)
        seconds["evaluation"] = round(time.perf_counter() - started, 2)
    highest, size = peak.end(), path.stat().st_size
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "file_bytes": size,
        "anonymous_before_bytes": before["RssAnon"],
        "anonymous_peak_bytes": highest["RssAnon"],
        "mapped_peak_bytes": highest["RssFile"],
        "anonymous_peak_of_file": round(highest["RssAnon"] / size, 4),
        "anonymous_growth_of_file": round((highest["RssAnon"] - before["RssAnon"]) / size, 4),
        "seconds": seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--double", type=int, default=19)
    parser.add_argument("--single", type=int, default=38)
    parser.add_argument("--evaluate", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        print(json.dumps(load_and_measure(options.load, options.evaluate), indent=2))
        return 0
    if not Path("/proc/self/status").exists():
        print("SKIPPED: this system does not tell anonymous memory apart.")
        return 0
    from tests.fakes.tiny.flux import Size, transformer_shapes

    size = attrs.evolve(Size.published(), double=options.double, single=options.single)
    needed = sum(int(np.prod(shape)) for shape in transformer_shapes(size).values())
    free = shutil.disk_usage(options.folder).free
    if free < needed + SPARE:
        print(f"SKIPPED: {options.folder} has {free / 1e9:.1f} GB free, and {(needed + SPARE) / 1e9:.1f} are needed.")
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="kiss3d-flux-") as folder:
        path = Path(folder) / "flux1-dev-fp8-e4m3fn.safetensors"
        write_file(path, options.double, options.single)
        command = [sys.executable, __file__, "--load", str(path), *(["--evaluate"] if options.evaluate else [])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    print(done.stdout, end="")
    ratio = json.loads(done.stdout)["anonymous_peak_of_file"]
    if ratio >= LIMIT:
        print(f"FAILED: {ratio} times the file, and {LIMIT} is the limit.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
