"""Work on threads: results in order, and an end to all of it when one part fails or the job is cancelled."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np
import pytest

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_protocol.errors import JobCancelled


def until_stopped(ended: list[str], check: Check) -> None:
    try:
        while True:
            check()
            time.sleep(0.001)
    finally:
        ended.append(threading.current_thread().name)


def test_results_come_in_the_order_of_the_tasks() -> None:
    def late(seconds: float, _: Check) -> float:
        time.sleep(seconds)
        return seconds

    seconds = [0.03, 0.0, 0.02, 0.01, 0.0]
    assert at_once(lambda: None, [partial(late, each) for each in seconds]) == seconds
    assert at_once(lambda: None, []) == []


def test_errors_of_numpy_are_what_the_caller_makes_of_them() -> None:
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        at_once(lambda: None, [lambda _: np.ones(1) / np.zeros(1)])


def test_two_tasks_run_at_once_even_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiss3d_backend.mesh.at_once.usable_cores", lambda: 1)
    together = threading.Barrier(2, timeout=10)
    at_once(lambda: None, [lambda _: together.wait(), lambda _: together.wait()])


def test_a_failure_ends_the_others_and_comes_out() -> None:
    ended: list[str] = []

    def fail(_: Check) -> None:
        raise ZeroDivisionError("this one")

    with pytest.raises(ZeroDivisionError, match="this one"):
        at_once(lambda: None, [partial(until_stopped, ended), fail])
    assert len(ended) == 1


def test_a_cancel_ends_all_and_comes_out() -> None:
    ended: list[str] = []
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()

    def check() -> None:
        if cancelled.is_set():
            raise JobCancelled("The job was cancelled.")

    with pytest.raises(JobCancelled):
        at_once(check, [partial(until_stopped, ended), partial(until_stopped, ended)])
    assert len(ended) == 2


def test_tasks_that_never_look_are_not_started_after_a_cancel() -> None:
    started: list[int] = []

    def check() -> None:
        if started:
            raise JobCancelled("The job was cancelled.")

    def slow(number: int, _: Check) -> None:
        started.append(number)
        time.sleep(0.1)

    with pytest.raises(JobCancelled):
        at_once(check, [partial(slow, number) for number in range(1000)])
    assert len(started) < 500
