"""image_to_3d at full size with random weights, cold and warm, under caps of the card's memory: JSON and a table.

Run ``python tests/benchmarks/bench_whole.py --data DIR [--preset fast] [--caps 11.5 7.5 none]``. It writes the models
(27 GB for the fast preset, 46 for balanced) below DIR unless they are there, measures the machine's rates, counts what
each stage computes, and runs jobs for each cap, in a process of its own: the first is cold, the others are warm. FLUX's
blocks are compiled when evaluations have taken long enough in all, which a few jobs on a fast card never reach.
Results are written to ``--out`` after every part, and ``--minutes`` ends it in time; run again with the same ``--out``,
it goes on. ``--make-only`` writes the models alone.

A cap is what torch may reserve, in GiB; the planner's budget is that and CUDA's context. Weights are in the system's
memory when a job is cold, as after a download; ``--from-disk`` takes them out before. With ``--tiny`` the networks are
the tests' tiny ones: a dry run, also without a GPU, whose figures say nothing.

What is not as in a user's job stands in whole/weights.py and whole/job.py; how other cards are projected in
whole/cards.py. Exit code 1 when a job failed or a target of the fast preset was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "backend"), str(ROOT / "protocol")]

from tests.benchmarks.whole.cards import ASSUMPTIONS, CARDS, project  # noqa: E402
from tests.benchmarks.whole.counting import Counted  # noqa: E402
from tests.benchmarks.whole.rates import Rates  # noqa: E402
from tests.benchmarks.whole.table import missed, report_lines, with_fractions  # noqa: E402

GIB = 2**30
WHOLE = ROOT / "tests" / "benchmarks" / "whole"


class Results:
    """What is known so far, on the disk after each part."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def keep(self, name: str, value: Any) -> None:
        self.parts[name] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.parts, indent=1), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="fast", choices=("fast", "balanced"))
    parser.add_argument("--caps", nargs="+", default=["11.5", "7.5", "none"], help="GiB, or none")
    parser.add_argument("--jobs", type=int, default=3, help="of each cap; the first is cold")
    parser.add_argument("--minutes", type=float, default=9.0, help="no part begins that would end later")
    parser.add_argument("--out", type=Path, default=Path("build/whole.json"))
    parser.add_argument("--make-only", action="store_true")
    parser.add_argument("--from-disk", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    run(options, Results(options.out))
    results = Results(options.out).parts
    print("\n".join(report_lines(results)))
    return 1 if results.get("missed") else 0


def run(options: argparse.Namespace, results: Results) -> None:
    deadline = time.monotonic() + options.minutes * 60
    _about_machine(options, results)
    if options.make_only:
        return
    parts = [(f"cap {cap}", cap, options.jobs, False) for cap in options.caps]
    # What matters most comes first; the counts are wanted for what is said of it.
    parts.insert(1, ("counted", None, 1, True))
    longest = 0.0
    for name, cap, jobs, count in parts:
        done = results.parts.get(name, {})
        if len(done.get("jobs", ())) >= jobs and not any(job["error"] for job in done["jobs"]):
            continue
        if time.monotonic() + longest > deadline:
            say(f"no time is left for: {name}")
            break
        began = time.monotonic()
        seconds = deadline - began
        results.keep(name, _jobs(options, None if cap in (None, "none") else float(cap), jobs, count, seconds))
        # Under counting everything takes longer: no measure for the others.
        longest = longest if count else max(longest, time.monotonic() - began)
        _conclude(options, results)


def _about_machine(options: argparse.Namespace, results: Results) -> None:
    """Models and rates, in a process of their own: it takes memory of the card that jobs should find free."""
    say("models and rates")
    out = options.out.with_suffix(".machine.json")
    command = [
        sys.executable, str(WHOLE / "machine.py"), "--data", str(options.data), "--preset", options.preset,
        "--out", str(out), *(["--tiny"] if options.tiny else []),
    ]  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, env=_environment(), check=True)
    about = json.loads(out.read_text(encoding="utf-8"))
    before = results.parts.get("machine", {}).get("made_seconds", {})
    about["made_seconds"] = before | about["made_seconds"]
    results.keep("machine", about | {"preset": options.preset, "tiny": options.tiny})


def _jobs(options: argparse.Namespace, cap: float | None, jobs: int, count: bool, seconds: float) -> dict[str, Any]:
    say(f"{jobs} jobs, " + ("counted" if count else "uncapped" if cap is None else f"at most {cap} GiB"))
    if options.from_disk:
        _forget_files(options.data)
    out = options.out.with_suffix(".jobs.json")
    out.unlink(missing_ok=True)
    command = [
        sys.executable, str(WHOLE / "job.py"), "--data", str(options.data / "data"), "--preset", options.preset,
        "--jobs", str(jobs), "--out", str(out), "--began", str(time.time()),
        *([] if cap is None else ["--cap", str(int(cap * GIB))]),
        *(["--tiny"] if options.tiny else []), *(["--count"] if count else []),
    ]  # fmt: skip
    log = options.out.with_suffix(".log")
    with log.open("a", encoding="utf-8") as file:
        try:
            ended = subprocess.run(command, env=_environment(), stderr=file, timeout=max(seconds, 1)).returncode
        except subprocess.TimeoutExpired:
            ended = -1
    done = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else []
    for job in done:
        say(f"  {job['seconds']} s {job['error'] or ''}")
    if ended:
        say(f"  ended early ({ended}); see {log}")
    return {"cap_gib": cap, "from_disk": options.from_disk, "jobs": done, "ended": ended}


def _conclude(options: argparse.Namespace, results: Results) -> None:
    """What follows from the parts that are there."""
    parts = results.parts
    if not parts.get("counted", {}).get("jobs"):
        return
    counted = {name: Counted(**each) for name, each in parts["counted"]["jobs"][0]["counted"].items()}
    rates = Rates(**parts["machine"]["rates"])
    projections: dict[str, Any] = {}
    for name, part in parts.items():
        if not name.startswith("cap ") or len(part["jobs"]) < 2 or part["jobs"][-1]["error"]:
            continue
        warm = part["jobs"][-1]
        with_fractions(warm["stages"], counted, rates, warm["streamed"])
        projections[name] = [
            project(card, options.preset, warm["stages"], counted, rates, warm["streamed"]) for card in CARDS
        ]
    results.keep("projections", {"assumptions": ASSUMPTIONS, "from": projections})
    results.keep("missed", missed(parts))


def _environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "backend"), str(ROOT / "protocol"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _forget_files(folder: Path) -> None:
    """Out of the system's memory, so that they come from the disk."""
    for path in (folder / "models").rglob("*.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
