"""Kills broker and worker (kill -9) at random moments under clients' draft jobs, and counts what was lost.

``python tests/benchmarks/soak_kill.py --cycles 200 --seed 1`` prints one JSON object; its exit status is 1 when
something was lost, doubled or damaged. Every accepted job must end finished exactly once, or failed with a reason;
every blob must have its sha256; no number of an event may be skipped or doubled for any client.

``attempts``: how many jobs took how many. ``--fake``: instead of drafts, jobs of half a second whose worker is ready
sooner, so that more of them are hit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes.kill_soak import Soak, SoakPlan

FAKE_RECIPES = "tests.fakes.soak_recipes:RECIPES"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--longest", type=float, default=1.5, help="seconds from the first work to the kill")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no further cycle after these")
    parser.add_argument("--fake", action="store_true")
    options = parser.parse_args()
    plan = SoakPlan(
        options.cycles,
        options.seed,
        options.clients,
        options.longest,
        FAKE_RECIPES if options.fake else None,
        patience=600.0,
        most_seconds=60 * options.minutes,
    )
    with tempfile.TemporaryDirectory(prefix="kiss3d-soak-") as folder:
        figures = Soak(plan, Path(folder) / "data").run()
    print(json.dumps(figures, indent=1))
    sys.exit(1 if figures["problems"] else 0)


if __name__ == "__main__":
    main()
