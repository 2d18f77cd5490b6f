"""Makes the models and measures the machine's rates, in a process that leaves the card empty for the jobs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "backend"), str(ROOT / "protocol")]

import attrs  # noqa: E402
import torch  # noqa: E402
from tests.benchmarks.whole.rates import measure_rates  # noqa: E402
from tests.benchmarks.whole.weights import make_models  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    on_cuda = torch.cuda.is_available()
    device = torch.device("cuda" if on_cuda else "cpu")
    made = make_models(options.data, options.preset, device, tiny=options.tiny)
    rates, measured = measure_rates(device, tiny=options.tiny)
    about = {
        "device": torch.cuda.get_device_name(0) if on_cuda else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "made_seconds": made,
        "rates": attrs.asdict(rates),
        "measured": measured,
    }
    options.out.write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main()
