"""``python -m kiss3d_backend.networks.convert KIND SOURCE TARGET [--source-sha256 HEX]``

Prints one JSON object a line on stdout: ``{"event": "progress", "step", "done", "total"}`` (bytes; steps ``source``,
``write``, ``check``), and last ``{"event": "done", "tensors", "size", "sha256", "source_sha256"}`` or
``{"event": "error", "code", "message", "remedy"}``, then with the error's own exit code.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from attrs import asdict

from kiss3d_backend.networks.convert.convert import convert
from kiss3d_backend.networks.convert.published import KINDS
from kiss3d_protocol.errors import Kiss3DError

_SECONDS_BETWEEN = 0.2


def _say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


class _Progress:
    """Lets through the first and the last of each step, and in between a few a second."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done in (0, total) or now - self._last >= _SECONDS_BETWEEN:
            self._last = now
            _say("progress", step=step, done=done, total=total)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m kiss3d_backend.networks.convert")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--source-sha256", help="of SOURCE, when it is known already")
    given = parser.parse_args(arguments)
    try:
        result = convert(KINDS[given.kind], given.source, given.target, _Progress(), source_sha256=given.source_sha256)
    except Kiss3DError as error:
        _say("error", code=error.code, message=error.message, remedy=error.remedy)
        return error.exit_code
    _say("done", **asdict(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
