"""Which rasterisers this machine would use: ``python -m kiss3d_backend.mesh.raster.report`` prints it as JSON.

It imports torch and tries the GPU, so whoever must not do that runs it in a process of its own (``ask``).
"""

from __future__ import annotations

import json
import subprocess
import sys

SECONDS = 180.0
"""How long the first compilation on a slow machine may take."""


def ask(timeout: float = SECONDS) -> list[dict[str, str]]:
    """The choice for each device, as {"back_end", "device", "reason"}, from a process of its own.

    Raises subprocess.SubprocessError when it fails or takes longer than ``timeout`` seconds, and ValueError when it
    answers something else.
    """
    done = subprocess.run(
        [sys.executable, "-m", "kiss3d_backend.mesh.raster.report"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=True,
    )
    # Drivers and libraries may print before.
    return json.loads(done.stdout.strip().splitlines()[-1])


def _main() -> None:
    import attrs
    import torch

    from kiss3d_backend.mesh.raster.choose import NoRasterizer, choose
    from kiss3d_backend.mesh.raster.torch_interface import Choice

    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    choices = []
    for device in devices:
        try:
            choices.append(choose(device).choice)
        except NoRasterizer as error:
            choices.append(Choice("", device, str(error)))
    print(json.dumps([attrs.asdict(choice) for choice in choices]))


if __name__ == "__main__":
    _main()
