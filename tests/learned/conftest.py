from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

# Tiny networks: a second thread has nothing to do but wait for the first.
torch.set_num_threads(1)
