"""Settings for all tests."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.fakes.complaints import complaints

from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE
from kiss3d_protocol.parts import CACHE_DIR_VARIABLE

# Tests never see the keys and downloads of the person who runs them. The processes that they start inherit this.
_config_dir = tempfile.TemporaryDirectory(prefix="kiss3d-test-config-")
os.environ[CONFIG_DIR_VARIABLE] = _config_dir.name
_cache_dir = tempfile.TemporaryDirectory(prefix="kiss3d-test-cache-")
os.environ[CACHE_DIR_VARIABLE] = _cache_dir.name
# Read when torch and Numba are loaded. Threads that wait would spin, and take the processor from the tests beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration directory of the test's own, empty at first."""
    path = tmp_path / "config"
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(path))
    return path


# A slow or a shared machine is no failure, and the same tree gives the same answer every time.
settings.register_profile("kiss3d", deadline=None, derandomize=True)
settings.load_profile("kiss3d")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test in which something prints or logs one of the warnings of :mod:`tests.fakes.complaints` fails."""
    report = yield
    return without_complaints(report)


def without_complaints(report: pytest.TestReport) -> pytest.TestReport:
    """The report; failed when the output that it captured has such a warning."""
    # A report has the sections of the phases before too, which have been judged.
    found = complaints("\n".join(text for name, text in report.sections if name.endswith(report.when)))
    if report.passed and found:
        report.outcome = "failed"
        report.longrepr = "it printed warnings that no run may print:\n" + "\n".join(found)
    return report
