"""A pull in a process of its own: ``python -m tests.fakes.puller DATA_DIR NAME... [--quick]``.

Prints a line of JSON for each progress, and one for the report or the error; ends with the error's exit code.
``--quick``: gives up after two tries, and after a second of silence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from attrs import asdict

from kiss3d_backend.models.download.settings import DownloadSettings
from kiss3d_backend.models.pull import pull
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.errors import Kiss3DError


def main() -> int:
    data_dir, *names = [word for word in sys.argv[1:] if not word.startswith("--")]
    quick = DownloadSettings(attempts=2, backoff=0.05, stall=1.0)
    settings = quick if "--quick" in sys.argv else None
    try:
        store = ModelStore(Path(data_dir))
        report = pull(names, store, lambda told: print(json.dumps(asdict(told)), flush=True), settings=settings)
    except Kiss3DError as error:
        print(json.dumps({"code": error.code, "message": error.message, "remedy": error.remedy}))
        return error.exit_code
    print(json.dumps(asdict(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
