"""``kiss3d keys rotate``: new keys in place of the present ones."""

from __future__ import annotations

import json
from pathlib import Path

from kiss3d_backend.commands.keys.registry import open_registry
from kiss3d_protocol.key_files import backend_key_file, rotate_backend_keys


def run_rotate(*, data_dir: Path, as_json: bool) -> None:
    """Makes new keys, and says what follows. Jobs belong to identities, which stay."""
    rotate_backend_keys()
    with open_registry(data_dir) as registry:
        names = [client.name for client in registry.clients() if client.revoked is None]
    if as_json:
        print(json.dumps({"key_file": str(backend_key_file()), "to_renew": names}))
        return
    print(
        f"There are new keys in {backend_key_file()}. A backend that runs takes them within a second, without an end, "
        "and tells the clients that are connected to it."
    )
    for name in names:
        print(f"If '{name}' was not connected, pair it again; it keeps its jobs: kiss3d pair {name} --renew")
