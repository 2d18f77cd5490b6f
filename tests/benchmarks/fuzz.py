"""Fuzzes everything that reads what came from outside: frames, messages, pictures, meshes, texts.

``python -m tests.benchmarks.fuzz --minutes 10`` prints one JSON object: for each target how many cases ran, how they
ended, and what was found. Guided by coverage where atheris is installed (``pip install atheris``, Linux); else by
mutations alone. A case may take 10 s of processor time and a bounded amount of memory (:mod:`tests.fuzz.limits`).

What was found is written to ``tests/fuzz/corpus/TARGET/``, where ``tests/fuzz/test_corpus.py`` replays it for ever, and
the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.child import CASE, ENDS

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = REPOSITORY / "tests" / "fuzz" / "corpus"
MOST_FINDS = 5
"""Of one target, then its time is over: there is something to mend."""


def fuzz(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """Runs one target in processes of its own: one that dies is a find, and the next goes on."""
    ends: collections.Counter[str] = collections.Counter()
    found: list[dict[str, str]] = []
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 1 and len(found) < MOST_FINDS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-W", "error", "-m", "tests.fuzz.child", name, str(left)]
            command += [str(seed + len(found)), folder]
            environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, env=environment, check=False)
            ends.update(json.loads(Path(folder, ENDS).read_text(encoding="utf-8")))
            if done.returncode:
                words = done.stderr.decode("utf-8", "replace").strip().splitlines()
                case = _keep(name, Path(folder, CASE).read_bytes())
                found.append({"case": case, "exit_code": str(done.returncode), "words": " / ".join(words[-3:])})
    return {"cases": sum(ends.values()), "ends": dict(ends.most_common()), "found": found}


def _keep(name: str, case: bytes) -> str:
    path = CORPUS / name / hashlib.sha256(case).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case)
    return str(path.relative_to(REPOSITORY))


def main() -> None:
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    options = parser.parse_args()
    seconds = 60 * options.minutes / len(options.targets)
    told = {name: fuzz(name, seconds, options.seed) for name in options.targets}
    guided = importlib.util.find_spec("atheris") is not None
    print(json.dumps({"minutes": options.minutes, "seed": options.seed, "coverage_guided": guided, "targets": told}))
    sys.exit(any(each["found"] for each in told.values()))


if __name__ == "__main__":
    main()
