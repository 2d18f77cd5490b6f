"""Kills at random moments, and a disk that is really full."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.backend_process import MISBEHAVING, BackendProcess, collect
from tests.fakes.kill_soak import Soak, SoakPlan

from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import Failed, Finished, Refused
from kiss3d_protocol.session import Received


def test_nothing_is_lost_by_kills_at_random_moments(tmp_path: Path) -> None:
    """The long run of the same: ``python tests/benchmarks/soak_kill.py``."""
    plan = SoakPlan(cycles=5, seed=3, longest=1.0, recipes="tests.fakes.soak_recipes:RECIPES")
    figures = Soak(plan, tmp_path / "data").run()
    assert figures["problems"] == []
    assert figures["cycles"] == 5
    ends = figures["ends"]
    assert isinstance(ends, dict) and set(ends) <= {"finished", "failed job.interrupted"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only who may mount a file system can fill one")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_one_job_and_not_the_backend(small_disk: Path, make_submit: Any) -> None:
    filler = small_disk / "somebody-elses"
    with BackendProcess(small_disk / "data", recipes=MISBEHAVING) as backend, Client(backend.address, "a/1") as client:
        client.connected(60)
        first, blob = make_submit()
        client.submit(first, [blob])
        assert isinstance(collect(client, first.job, 60)[-1], Finished)
        assert (small_disk / "data" / "reserve").stat().st_size == 8 << 20
        # From now on nothing can be written but what the files already have room for.
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        codes: set[str] = set()
        for _ in range(200):
            submit, blob = make_submit(bundles=8, seed=7)
            client.submit(submit, [blob])
            news = client.wait(60)
            while not isinstance(news, Received):
                news = client.wait(60)
            if isinstance(news.message, Refused):
                codes.add(f"refused {news.message.code}")
            else:
                end = collect(client, submit.job, 60)[-1]
                codes.add(f"failed {end.code}" if isinstance(end, Failed) else type(end).__name__.lower())
            if any("disk_full" in code for code in codes):
                break
        assert codes <= {"finished", "failed backend.disk_full", "refused backend.disk_full"}
        assert any("disk_full" in code for code in codes)
        filler.unlink()
        again, blob = make_submit()
        client.submit(again, [blob])
        assert isinstance(collect(client, again.job, 60)[-1], Finished)
    assert backend.stop() == 0
