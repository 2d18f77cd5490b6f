"""Files that hold secret keys: only their owner may read them, or they are not used.

They lie in the user's configuration directory, which Blender and the command line both find without being told:
``backend.key`` is shared by the backends that this user runs and this user's own clients of them.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from kiss3d_protocol.errors import KeyFileUnsafe, KeyFileUnusable
from kiss3d_protocol.security import ConnectionKeys, KeyPair, key_pair_of, new_key_pair

CONFIG_DIR_VARIABLE = "KISS3D_CONFIG_DIR"
MOST_BYTES = 1 << 16


@frozen
class BackendKeys:
    """The pair of this user's backends, and the pair by which they know this user, who owns them."""

    backend: KeyPair
    owner: KeyPair

    @property
    def of_owner(self) -> ConnectionKeys:
        """What this user's clients connect with."""
        return ConnectionKeys(self.backend.public, self.owner)


def config_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """``$KISS3D_CONFIG_DIR``, or the platform's folder for a user's settings on this machine."""
    chosen = environment.get(CONFIG_DIR_VARIABLE)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        # Not the roaming one: keys stay on the machine that made them.
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "kiss3d"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "kiss3d"
    chosen = environment.get("XDG_CONFIG_HOME", "")
    # The specification of these folders says that a relative path is to be ignored.
    return (Path(chosen) if chosen.startswith("/") else Path.home() / ".config") / "kiss3d"


def backend_key_file() -> Path:
    """Where the keys of this user's backends lie."""
    return config_dir() / "backend.key"


def backend_keys(path: Path | None = None) -> BackendKeys:
    """The keys of this user's backends; made when there are none. Several processes may ask at once.

    Raises :class:`KeyFileUnsafe` and :class:`KeyFileUnusable`.
    """
    path = path or backend_key_file()
    if not path.exists():
        write_secret(path, _text_of(_new_backend_keys()), replace=False)
    document = read_secret(path)
    try:
        return BackendKeys(key_pair_of(document["backend"]), key_pair_of(document["owner"]))
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileUnusable(f"The key file {path} does not hold the keys of a backend.") from error


def rotate_backend_keys(path: Path | None = None) -> BackendKeys:
    """Makes new keys in place of the present ones, all at once. Backends that run keep theirs until they end."""
    path = path or backend_key_file()
    keys = _new_backend_keys()
    write_secret(path, _text_of(keys), replace=True)
    return keys


def read_secret(path: Path) -> dict[str, Any]:
    """The JSON object in a secret file.

    Raises :class:`KeyFileUnsafe` when others than the owner may read or change it, or when it belongs to somebody
    else. Windows has no such modes: there the folder's own access list, the user's profile, is what protects it.
    Raises :class:`KeyFileUnusable` for what cannot be read.
    """
    try:
        with path.open("rb") as file:
            # Of the open file, so that nobody can put another one in its place in between.
            _check_private(path, os.fstat(file.fileno()))
            document = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise KeyFileUnusable(f"The key file {path} cannot be read ({reason}).") from error
    if not isinstance(document, dict):
        raise KeyFileUnusable(f"The key file {path} cannot be read (it is not a JSON object).")
    return cast("dict[str, Any]", document)


def write_secret(path: Path, text: str, *, replace: bool) -> None:
    """Writes a file that only its owner can read; a reader never sees half of one.

    Without ``replace``, a file that another process has made meanwhile stays. Raises :class:`KeyFileUnusable`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")  # mode 0600
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                part.replace(path)
            else:
                _link(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise KeyFileUnusable(f"The key file {path} cannot be written ({error.strerror}).") from error


def _link(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links.
        part.replace(path)


def _check_private(path: Path, status: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    if status.st_uid != os.geteuid():
        raise KeyFileUnsafe(f"The key file {path} belongs to another user.")
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise KeyFileUnsafe(f"The key file {path} can be read or changed by other users of this machine.")


def _new_backend_keys() -> BackendKeys:
    return BackendKeys(new_key_pair(), new_key_pair())


def _text_of(keys: BackendKeys) -> str:
    # The public halves follow from the secret ones.
    return json.dumps({"backend": keys.backend.secret, "owner": keys.owner.secret}, indent=1) + "\n"
