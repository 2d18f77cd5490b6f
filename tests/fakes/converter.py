"""Stands in for the converter of pickles: the same command line and the same lines of JSON, without torch.

The first bytes of the source say what to do: ``die``, ``refuse``, ``sleep``; anything else is copied in upper case.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path


def main() -> int:
    kind, source, target, flag, sha256 = sys.argv[1:]
    content = Path(source).read_bytes()
    assert (flag, sha256) == ("--source-sha256", hashlib.sha256(content).hexdigest())
    print(json.dumps({"event": "progress", "step": "write", "done": 1, "total": 2}), flush=True)
    if content.startswith(b"die"):
        print("something broke", file=sys.stderr)
        return 3
    if content.startswith(b"refuse"):
        print(json.dumps({"event": "error", "code": "model.keys", "message": f"Not a {kind}.", "remedy": "Look."}))
        return 92
    if content.startswith(b"sleep"):
        time.sleep(60)
    Path(target).write_bytes(content.upper())
    print(json.dumps({"event": "done", "sha256": hashlib.sha256(content.upper()).hexdigest()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
