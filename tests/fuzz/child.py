"""One target until its time is over, in a process that may die of it: ``TARGET SECONDS SEED FOLDER``.

The folder always holds the case that runs and how the cases before have ended, whatever becomes of the process. Ends
with 1 after a find.
"""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

CASE, ENDS = "case", "ends"
NOTED_EVERY = 100
INSTRUMENTED = ["kiss3d_protocol", "kiss3d_backend.intake", "kiss3d_backend.mesh.read", "PIL", "trimesh"]


class Watched:
    """Runs cases and notes what becomes of them in ``folder``."""

    def __init__(self, name: str, folder: Path) -> None:
        from tests.fuzz.limits import run_case
        from tests.fuzz.targets import TARGETS

        self.target = TARGETS[name]
        self._run_case = run_case
        self._ends: collections.Counter[str] = collections.Counter()
        self._folder = folder
        self._case = (folder / CASE).open("wb", buffering=0)
        self._note()

    def run(self, data: bytes) -> None:
        self._case.seek(0)
        self._case.write(data)
        self._case.truncate()
        try:
            self._ends[self._run_case(self.target, data)] += 1
        except BaseException:
            traceback.print_exc()
            self._ends["found"] += 1
            self._note()
            # Neither atheris nor anybody else is to have an opinion on it.
            os._exit(1)
        if self._ends.total() % NOTED_EVERY == 0:
            self._note()

    def _note(self) -> None:
        (self._folder / ENDS).write_text(json.dumps(self._ends), encoding="utf-8")


def by_mutations(watched: Watched, seconds: float, seed: int) -> None:
    """The seeds as they are, then changed ones."""
    from tests.fuzz.mutate import mutated

    seeds = watched.target.seeds()
    for each in seeds:
        watched.run(each)
    source = random.Random(seed)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        watched.run(mutated(source.choice(seeds), seeds, source))


def by_coverage(watched: Watched, seconds: float, seed: int, folder: Path) -> None:
    """With libFuzzer, which keeps what reaches new code and goes on from there."""
    import atheris  # pyright: ignore[reportMissingImports]
    from tests.fuzz.mutate import MOST_BYTES

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, each in enumerate(watched.target.seeds()):
        (corpus / str(number)).write_bytes(each)
    command = ["fuzz", f"-max_total_time={int(seconds)}", f"-seed={seed + 1}", f"-max_len={MOST_BYTES}"]
    atheris.Setup([*command, "-rss_limit_mb=0", "-timeout=60", "-verbosity=0", str(corpus)], watched.run)
    atheris.Fuzz()


def main() -> None:
    name, seconds, seed, folder = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    instrumented: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
    guided = importlib.util.find_spec("atheris") is not None
    if guided:
        import atheris  # pyright: ignore[reportMissingImports]

        def instrumented() -> contextlib.AbstractContextManager[object]:
            return atheris.instrument_imports(include=INSTRUMENTED)

    with instrumented():
        watched = Watched(name, folder)
    if guided:
        by_coverage(watched, seconds, seed, folder)
    else:
        by_mutations(watched, seconds, seed)


if __name__ == "__main__":
    main()
