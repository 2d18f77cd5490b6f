"""The full-size LRM with random weights beside its definition in float64. Prints JSON; exits with 1 over the limit.

Run ``python tests/benchmarks/check_lrm.py [--seed 0] [--resolution 20] [--layers N]``: relative errors of the image
tokens, planes, field, deformations, weights, colours and the FlexiCubes mesh, in float32, of four pictures of
512 x 512 (378.7 M parameters; eight minutes of a processor). ``--layers``: of both transformers, at full width, for a
quick look. The grid is coarse because the definition goes cell by cell.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.learned.lrm_compared import compared, random_lrm

from kiss3d_backend.networks.lrm.shape import LrmShape

LIMIT = 1e-4
SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resolution", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    began, used = time.monotonic(), time.process_time()
    shape = LrmShape() if chosen.layers is None else LrmShape(image_layers=chosen.layers, layers=chosen.layers)
    model = random_lrm(shape, chosen.seed)
    errors = compared(model, SIDE, chosen.resolution, chosen.seed)
    within = max(errors.values()) < LIMIT
    told = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "relative_errors": errors,
        "limit": LIMIT,
        "within": within,
        "seconds": round(time.monotonic() - began, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "resident_mb": psutil.Process().memory_info().rss // 2**20,
    }
    print(json.dumps(told, indent=1))
    sys.exit(not within)


if __name__ == "__main__":
    main()
