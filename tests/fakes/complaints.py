"""The warnings that users of other programs for this pipeline see in every run, and that nothing of ours may cause.

They come by three ways: as Python's warnings (errors in the tests, but a stage's are caught and logged), from the
loggers of diffusers and transformers, which no filter of warnings sees, and from C++, which prints. So texts are
searched.
"""

from __future__ import annotations

import re

COMPLAINTS = {
    "a float16 pipeline on the processor": r"cannot run with `?cpu`? device",
    "weights from a pickle": r"unsafe serialization|with `weights_only=False`|default value of `?weights_only`?",
    "TRANSFORMERS_CACHE": r"TRANSFORMERS_CACHE`? is deprecated",
    "pkg_resources": r"pkg_resources is deprecated",
    "meshgrid without indexing": r"torch\.meshgrid: in an upcoming release",
    "cross without dim": r"torch\.cross without specifying the dim",
    "expandable_segments": r"expandable_segments not supported",
    "Triton": r"(?i:\btriton (is )?not (available|found|installed)\b|\bno module named 'triton)",
    "pytorch3d for the processor": r"Not compiled with GPU support",
    "a deprecated call": r"\b(?:Pending)?DeprecationWarning\b|\bFutureWarning\b|is deprecated and will be removed",
}
"""What it is about, and what its text has in it."""


def complaints(text: str) -> list[str]:
    """The lines that are such a warning, each after what it is about."""
    return [
        f"{about}: {line.strip()}"
        for line in text.splitlines()
        for about, pattern in COMPLAINTS.items()
        if re.search(pattern, line)
    ]
