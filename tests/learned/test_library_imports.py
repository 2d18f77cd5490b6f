"""What a job imports: the libraries of its own networks, which take seconds each."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from kiss3d_backend.networks.library import Library
from kiss3d_backend.recipes.views_to_3d import ViewsTo3D
import kiss3d_backend.networks.lrm.load, kiss3d_backend.stages.reconstruct_coarse
print(*sorted({"transformers", "diffusers", "onnxruntime"} & set(sys.modules)))
"""


def test_a_job_from_views_needs_torch_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, encoding="utf-8", timeout=120, check=True
    )
    assert done.stdout.split() == []
