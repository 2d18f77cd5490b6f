"""Runs the checks of one file inside Blender, each by itself, and reports how each one ended."""

import sys
import time
import traceback

import kiss3d_inside as inside

OK = "ok"


def run_checks(namespace, *arguments):
    """Calls every ``check_*`` function of ``namespace``; the report maps its name to "ok" or to its traceback."""
    for name, check in list(namespace.items()):
        if name.startswith("check_"):
            began = time.monotonic()
            try:
                check(*arguments)
                outcome = OK
            except Exception:
                outcome = traceback.format_exc()
            print(f"{name}: {outcome} ({time.monotonic() - began:.2f} s)", file=sys.stderr, flush=True)
            inside.report(**{name: outcome})


def until(condition, seconds=20.0, what=""):
    """Waits for a condition; fails with ``what`` it should have been."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"did not happen within {seconds} s: {what or condition}")
