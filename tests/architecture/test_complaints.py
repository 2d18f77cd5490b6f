"""No test prints one of the user's warnings; and that is seen when one does."""

from __future__ import annotations

import pytest
from tests.conftest import without_complaints
from tests.fakes.complaints import COMPLAINTS, complaints

WORDS = {
    "a float16 pipeline on the processor": "Pipelines loaded with `dtype=torch.float16` cannot run with `cpu` device.",
    "weights from a pickle": "Defaulting to unsafe serialization. Pass `allow_pickle=False` to raise an error instead.",
    "TRANSFORMERS_CACHE": "Using `TRANSFORMERS_CACHE` is deprecated, use `HF_HOME` instead.",
    "pkg_resources": "UserWarning: pkg_resources is deprecated as an API.",
    "meshgrid without indexing": "UserWarning: torch.meshgrid: in an upcoming release, it will be required to pass",
    "cross without dim": "Using torch.cross without specifying the dim arg is deprecated.",
    "expandable_segments": "[W] Warning: expandable_segments not supported on this platform (function operator())",
    "Triton": "A matching Triton is not available, some optimizations will not be enabled",
    "pytorch3d for the processor": "RuntimeError: Not compiled with GPU support",
    "a deprecated call": "stage bundle: FutureWarning: `FluxPosEmbed` will go",
}


@pytest.mark.parametrize("about", COMPLAINTS)
def test_each_is_known_by_its_words(about: str) -> None:
    (found,) = complaints(f"INFO worker: ready\n{WORDS[about]}\nINFO worker: finished")
    assert found == f"{about}: {WORDS[about]}"


def test_what_is_none_is_none() -> None:
    assert complaints("job 1: finished in 3.20 s\nThe rasteriser is numba on cpu: triton is not needed") == []


@pytest.mark.parametrize("section", ["Captured stdout call", "Captured stderr call", "Captured log call"])
def test_a_test_that_prints_one_fails(section: str) -> None:
    def report(text: str) -> pytest.TestReport:
        where = ("tests/a.py", 0, "test_a")
        return pytest.TestReport("a", where, {}, "passed", None, "call", [(section, text)])

    assert without_complaints(report("all is well")).passed
    failed = without_complaints(report(f"hello\n{WORDS['Triton']}\n"))
    assert failed.failed and "Triton" in str(failed.longrepr)
