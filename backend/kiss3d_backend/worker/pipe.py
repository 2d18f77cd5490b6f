"""Messages between the broker and its worker process: length-prefixed msgpack maps over the process's own pipes.

Pipes need no port and no key, and tell each side at once when the other has died. Big data never goes through
them: it lies in the artifact store.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from kiss3d_protocol.errors import MessageMalformed
from kiss3d_protocol.framing import MAX_ENVELOPE, pack_map, unpack_map

_LENGTH = struct.Struct("<I")


def write_message(pipe: BinaryIO, fields: dict[str, Any]) -> None:
    """Writes one message. Raises :class:`OSError` when the other side is gone."""
    data = pack_map(fields)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def read_message(pipe: BinaryIO) -> dict[str, Any] | None:
    """Reads one message; None when the other side is gone. Raises :class:`MessageMalformed`."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_ENVELOPE:
        raise MessageMalformed(f"A message of {length} bytes came through a worker's pipe.")
    data = pipe.read(length)
    return unpack_map(data, "worker's message") if len(data) == length else None
