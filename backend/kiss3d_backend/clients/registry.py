"""The allow list and the pairings of a data directory, in SQLite: backends and the command line share it.

Nothing secret is in it: of clients and of pairings only the public keys are kept.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from kiss3d_backend.clients.identity import OWNER, OWNER_ID, ClientIdentity
from kiss3d_backend.database import made_by_a_newer_version, transaction
from kiss3d_protocol.errors import ClientNameTaken, ClientUnknown, DataDirectoryUnusable, PairingRefused, ParamsInvalid
from kiss3d_protocol.security import key_to_bytes
from kiss3d_protocol.servers import MAX_NAME, is_name

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    public_key TEXT UNIQUE,
    admin INTEGER NOT NULL,
    paired REAL NOT NULL,
    seen REAL,
    revoked REAL
) STRICT;
CREATE TABLE pairings (
    public_key TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    admin INTEGER NOT NULL,
    renew INTEGER NOT NULL,
    expires REAL NOT NULL
) STRICT;
"""


@frozen
class Pairing:
    """A pairing that waits for its client. ``renew``: the client of this name is there and gets a new key."""

    public_key: str
    name: str
    admin: bool
    renew: bool
    expires: float


@frozen
class ClientRecord:
    """One client of the allow list. Times in seconds since 1970; ``revoked`` is None while it may connect."""

    id: str
    name: str
    admin: bool
    paired: float
    seen: float | None
    revoked: float | None


class ClientRegistry:
    """One connection to the database; belongs to one thread. ``owner_key``: the owner's public key, of the key file.

    Raises :class:`DataDirectoryUnusable`.
    """

    def __init__(self, path: Path, owner_key: str, clock: Callable[[], float] = time.time) -> None:
        self._owner_key = owner_key
        self._clock = clock
        try:
            # SQLite gives its other files the mode of this one.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._make_tables()
        except (OSError, sqlite3.Error) as error:
            raise DataDirectoryUnusable(f"The list of clients {path} cannot be used ({error}).") from error
        self._version = self._data_version()

    def close(self) -> None:
        self._db.close()

    def who(self, public_key: str) -> ClientIdentity | Pairing | None:
        """Whose key this is now: a client's, a pairing's that has not expired, or nobody's."""
        if public_key == self._owner_key:
            return OWNER
        row = self._db.execute(
            "SELECT id, name, admin FROM clients WHERE public_key = ? AND revoked IS NULL", (public_key,)
        ).fetchone()
        if row is not None:
            return ClientIdentity(row["id"], row["name"], bool(row["admin"]))
        row = self._db.execute(
            "SELECT * FROM pairings WHERE public_key = ? AND expires > ?", (public_key, self._clock())
        ).fetchone()
        return None if row is None else _pairing(row)

    def has_changed(self) -> bool:
        """Whether another process, or :meth:`redeem`, has changed something since the last call."""
        before, self._version = self._version, self._data_version()
        return before != self._version

    def expects_anybody(self) -> bool:
        """Whether there is a client, or a pairing that waits, besides the owner."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM clients WHERE revoked IS NULL) "
            "OR EXISTS (SELECT 1 FROM pairings WHERE expires > ?)",
            (self._clock(),),
        ).fetchone()
        return bool(row[0])

    def begin_pairing(self, public_key: str, name: str, *, seconds: float, admin: bool, renew: bool) -> Pairing:
        """Lets the holder of a key for one use become the client ``name``. It takes the place of one that waits for
        that name.

        Raises :class:`ParamsInvalid` for what is no name, :class:`ClientNameTaken` for the name of a client (also a
        revoked one: it has jobs) without ``renew``, and :class:`ClientUnknown` with ``renew`` when there is none.
        """
        if not is_name(name) or name == OWNER_ID:
            raise ParamsInvalid(
                f"'{name:.100}' cannot be the name of a client.",
                f"Use up to {MAX_NAME} letters, digits, '-', '_' and '.', and not '{OWNER_ID}'.",
            )
        with transaction(self._db):
            known = self._db.execute("SELECT admin FROM clients WHERE name = ?", (name,)).fetchone()
            if known is not None and not renew:
                raise ClientNameTaken(f"There is a client '{name}' already.")
            if known is None and renew:
                raise ClientUnknown(f"There is no client '{name}' to renew the key of.")
            now = self._clock()
            pairing = Pairing(public_key, name, admin or bool(known and known["admin"]), renew, now + seconds)
            self._db.execute("DELETE FROM pairings WHERE name = ? OR expires <= ?", (name, now))
            self._db.execute(
                "INSERT INTO pairings VALUES (?, ?, ?, ?, ?)",
                (pairing.public_key, name, pairing.admin, renew, pairing.expires),
            )
        return pairing

    def redeem(self, pairing_key: str, own_key: str) -> ClientIdentity:
        """Puts a client's own key on the allow list, and ends its pairing. A client that is renewed keeps its id.

        Raises :class:`PairingRefused` for a pairing that was used meanwhile or has expired, and for a key that is in
        use or is none.
        """
        try:
            key_to_bytes(own_key)
        except ValueError as error:
            raise PairingRefused("What the client sent is no key.") from error
        with transaction(self._db):
            pairing = self.who(pairing_key)
            if not isinstance(pairing, Pairing):
                raise PairingRefused("This pairing was used already, or has expired.")
            used = self._db.execute("SELECT 1 FROM clients WHERE public_key = ?", (own_key,)).fetchone()
            if used is not None or own_key in (self._owner_key, pairing_key):
                raise PairingRefused("The client's key is in use already.")
            self._db.execute("DELETE FROM pairings WHERE public_key = ?", (pairing_key,))
            now = self._clock()
            if pairing.renew:
                self._db.execute(
                    "UPDATE clients SET public_key = ?, admin = ?, paired = ?, revoked = NULL WHERE name = ?",
                    (own_key, pairing.admin, now, pairing.name),
                )
            else:
                self._db.execute(
                    "INSERT INTO clients (id, name, public_key, admin, paired) VALUES (?, ?, ?, ?, ?)",
                    (str(uuid.uuid4()), pairing.name, own_key, pairing.admin, now),
                )
            # A change of one's own does not show in the version; a renewed client's old key has to go as well.
            self._version = -1
            client = self.who(own_key)
        assert isinstance(client, ClientIdentity)
        return client

    def revoke(self, name: str) -> None:
        """Takes a client's key, or a pairing that waits, off the list. Its jobs stay. Raises :class:`ClientUnknown`."""
        with transaction(self._db):
            waiting = self._db.execute("DELETE FROM pairings WHERE name = ?", (name,)).rowcount
            revoked = self._db.execute(
                "UPDATE clients SET revoked = ? WHERE name = ? AND revoked IS NULL", (self._clock(), name)
            ).rowcount
        if not waiting and not revoked:
            raise ClientUnknown(f"There is no client '{name:.100}' that could be revoked.")

    def set_admin(self, name: str, admin: bool) -> None:
        """Says whether a client may do everything with everybody's jobs. Raises :class:`ClientUnknown`."""
        with transaction(self._db):
            changed = self._db.execute(
                "UPDATE clients SET admin = ? WHERE name = ? AND revoked IS NULL", (admin, name)
            ).rowcount
        if not changed:
            raise ClientUnknown(f"There is no client '{name:.100}' that may connect.")

    def change_owner_key(self, public_key: str) -> None:
        """The owner has a new key; the old one is nobody's."""
        self._owner_key, self._version = public_key, -1

    def name_of(self, public_key: str) -> str | None:
        """The name of a client, a revoked one too, for the log."""
        row = self._db.execute("SELECT name FROM clients WHERE public_key = ?", (public_key,)).fetchone()
        return None if row is None else str(row["name"])

    def saw(self, client: ClientIdentity) -> None:
        """Notes that a client has said hello now."""
        self._db.execute("UPDATE clients SET seen = ? WHERE id = ?", (self._clock(), client.id))

    def clients(self) -> list[ClientRecord]:
        """All clients by name, revoked ones too; the owner is not among them."""
        rows = self._db.execute("SELECT id, name, admin, paired, seen, revoked FROM clients ORDER BY name")
        return [
            ClientRecord(row["id"], row["name"], bool(row["admin"]), row["paired"], row["seen"], row["revoked"])
            for row in rows
        ]

    def pairings(self) -> list[Pairing]:
        """The pairings that wait, by name."""
        rows = self._db.execute("SELECT * FROM pairings WHERE expires > ? ORDER BY name", (self._clock(),))
        return [_pairing(row) for row in rows]

    def _make_tables(self) -> None:
        with transaction(self._db):
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA_VERSION:
                raise made_by_a_newer_version()
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])


def _pairing(row: sqlite3.Row) -> Pairing:
    return Pairing(row["public_key"], row["name"], bool(row["admin"]), bool(row["renew"]), row["expires"])
