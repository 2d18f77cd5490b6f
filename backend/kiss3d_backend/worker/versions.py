"""Of what a worker consists."""

from __future__ import annotations

import sys

from kiss3d_backend import __version__
from kiss3d_protocol.version import PROTOCOL_VERSION


def versions() -> dict[str, str]:
    """Of everything that shapes a result."""
    found = {"kiss3d": __version__, "protocol": PROTOCOL_VERSION, "python": sys.version.split()[0]}
    for name, module in (("numpy", "numpy"), ("opencv", "cv2"), ("scikit-image", "skimage"), ("torch", "torch")):
        if module in sys.modules:
            found[name] = str(sys.modules[module].__version__)
    return found
