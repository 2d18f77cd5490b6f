"""Messages to frames and back (SPEC.md, section 2), with every limit checked before content is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import msgpack  # pyright: ignore[reportMissingTypeStubs]
from attrs import has
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn
from cattrs.strategies import configure_tagged_union

from kiss3d_protocol.errors import Kiss3DError, MessageMalformed, MessageTooLarge, ProtocolVersionMismatch
from kiss3d_protocol.messages import TAGS, ClientMessage, Fetchable, JobEvent, ServerMessage, blob_refs
from kiss3d_protocol.payloads import MAX_BLOB_TO_CLIENT as MAX_BLOB_TO_CLIENT
from kiss3d_protocol.payloads import MAX_BLOB_TO_SERVER as MAX_BLOB_TO_SERVER
from kiss3d_protocol.payloads import MAX_BLOBS, Blob, check_blobs
from kiss3d_protocol.validation import is_job_id
from kiss3d_protocol.version import PROTOCOL_MAJOR

MAGIC_PREFIX = b"K3D"
MAGIC = MAGIC_PREFIX + str(PROTOCOL_MAJOR).encode("ascii")

MAX_FRAMES = 2 + MAX_BLOBS
MAX_ENVELOPE = 1 << 20
MAX_STRING = 1 << 16
MAX_ENTRIES = 4096
MAX_INTEGER = 2**63 - 1

M = TypeVar("M")


def _strict(kind: type[M]) -> Callable[[Any, Any], M]:
    def structure(value: Any, _: Any) -> M:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
        return value

    return structure


def _strict_float(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"expected a finite number, got {value!r:.40}")
    return float(value)


def _strict_int(value: Any, _: Any) -> int:
    # msgpack also knows integers up to 2**64, which databases and most languages do not.
    if type(value) is not int or not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        raise TypeError(f"expected an integer of 64 bits, got {value!r:.40}")
    return value


def make_converter() -> Converter:
    """A converter of protocol classes; values are taken as they are, never coerced."""
    converter = Converter(detailed_validation=False)

    def strict_class(cls: type[Any]) -> Callable[[Any, Any], Any]:
        fields = make_dict_structure_fn(cls, converter)

        def structure(value: Any, _: Any) -> Any:
            # A string or a list would pass for a map without any of the keys that have defaults.
            if type(value) is not dict:
                raise TypeError(f"expected a map, got {type(value).__name__}")
            return fields(cast("dict[str, Any]", value), cls)

        return structure

    def strict_tuple(cls: Any) -> Callable[[Any, Any], tuple[Any, ...]]:
        (item, _ellipsis) = get_args(cls)

        def structure(value: Any, _: Any) -> tuple[Any, ...]:
            # A string would pass for an array of letters.
            if not isinstance(value, list | tuple):
                raise TypeError(f"expected an array, got {type(value).__name__}")
            return tuple(converter.structure(each, item) for each in cast("list[Any]", value))

        return structure

    converter.register_structure_hook_factory(has, strict_class)
    converter.register_structure_hook_factory(lambda cls: get_origin(cls) is tuple, strict_tuple)
    for kind in (bool, str):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook(int, _strict_int)
    converter.register_structure_hook(float, _strict_float)
    for union in (ClientMessage, ServerMessage, JobEvent):
        configure_tagged_union(
            Union[*union.__args__],
            converter,
            tag_generator=TAGS.__getitem__,
            tag_name="type",
        )
    return converter


CONVERTER = make_converter()
"""The converter of the messages of this protocol."""


def encode(message: ClientMessage | ServerMessage, blobs: Sequence[Blob] = ()) -> list[Blob]:
    """The frames of a message: magic, envelope, blobs.

    Raises :class:`MessageTooLarge` when the envelope or a blob exceeds its limit, and :class:`MessageMalformed` for
    text that is not Unicode (a file name with undecodable bytes, say).
    """
    _check_sizes(blobs, MAX_BLOB_TO_SERVER if isinstance(message, ClientMessage) else MAX_BLOB_TO_CLIENT)
    fields = CONVERTER.unstructure(message)
    envelope = pack_map({"type": TAGS[type(message)], **fields})
    if len(envelope) > MAX_ENVELOPE:
        raise MessageTooLarge(f"A message of {len(envelope):,} bytes is over the limit of {MAX_ENVELOPE:,}.")
    return [MAGIC, envelope, *blobs]


def decode_client(frames: Sequence[Blob]) -> tuple[ClientMessage, list[Blob]]:
    """What a client sent, as the backend reads it. Raises a :class:`ProtocolError`."""
    return _decode(frames, cast("type[ClientMessage]", Union[*ClientMessage.__args__]), MAX_BLOB_TO_SERVER)


def decode_server(frames: Sequence[Blob]) -> tuple[ServerMessage, list[Blob]]:
    """What a backend sent, as a client reads it. In the place of blobs that are to be fetched stand empty ones.

    Raises a :class:`ProtocolError`.
    """
    return _decode(frames, cast("type[ServerMessage]", Union[*ServerMessage.__args__]), MAX_BLOB_TO_CLIENT)


def pack_map(fields: dict[str, Any]) -> bytes:
    """One msgpack map of plain values. Raises :class:`MessageMalformed` for text that is not Unicode."""
    try:
        return cast(bytes, msgpack.packb(fields))  # pyright: ignore[reportUnknownMemberType]
    except UnicodeEncodeError as error:
        raise MessageMalformed(
            "A text of the message is not Unicode.", "Rename the file so that its name has ordinary letters."
        ) from error


def unpack_map(data: Blob, what: str = "message") -> dict[str, Any]:
    """One msgpack map within the limits of an envelope. Raises :class:`MessageMalformed`."""
    try:
        value = cast(
            object,
            msgpack.unpackb(  # pyright: ignore[reportUnknownMemberType]
                data,
                raw=False,
                strict_map_key=True,
                max_str_len=MAX_STRING,
                max_bin_len=0,
                max_ext_len=0,
                max_array_len=MAX_ENTRIES,
                max_map_len=MAX_ENTRIES,
                object_pairs_hook=_map,
            ),
        )
    except Exception as error:
        # msgpack raises a dozen classes for bad bytes (ValueError, StackError, UnicodeDecodeError, ...).
        raise MessageMalformed(f"A {what} could not be read ({type(error).__name__}).") from error
    if not isinstance(value, dict):
        raise MessageMalformed(f"A {what} is not a map.")
    return cast("dict[str, Any]", value)


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        # Of two values each reader would take another one.
        raise ValueError("a key stands twice in a map")
    return fields


def _decode(frames: Sequence[Blob], union: type[M], most_bytes: int) -> tuple[M, list[Blob]]:
    if frames:
        check_magic(bytes(frames[0][:8]))
    if len(frames) < 2 or len(frames) > MAX_FRAMES:
        raise MessageMalformed(f"A message has {len(frames)} frames instead of 2 to {MAX_FRAMES}.")
    envelope, blobs = frames[1], list(frames[2:])
    size = memoryview(envelope).nbytes
    if size > MAX_ENVELOPE:
        raise MessageTooLarge(f"An envelope of {size:,} bytes is over the limit of {MAX_ENVELOPE:,}.")
    _check_sizes(blobs, most_bytes)
    message = structure(unpack_map(envelope), union)
    check_blobs(blob_refs(message), blobs, may_be_absent=isinstance(message, Fetchable))
    return message, blobs


def _check_sizes(blobs: Sequence[Blob], most_bytes: int) -> None:
    largest = max((memoryview(blob).nbytes for blob in blobs), default=0)
    if largest > most_bytes:
        raise MessageTooLarge(f"A blob of {largest:,} bytes is over the limit of {most_bytes:,}.")


def structure(fields: dict[str, Any], kind: type[M], converter: Converter = CONVERTER) -> M:
    """An object of ``kind`` from plain values. Raises :class:`MessageMalformed`."""
    try:
        return converter.structure(fields, kind)
    except Kiss3DError:
        raise
    except Exception as error:
        # cattrs and the validators raise TypeError, ValueError, KeyError and their own classes.
        tag = fields.get("type")
        named = f"message {tag!r:.40}" if isinstance(tag, str) else "message without a type"
        detail = error.args[0] if error.args else type(error).__name__
        raise MessageMalformed(f"A {named} is not as the protocol says: {detail!s:.300}.") from error


def check_magic(frame: bytes) -> None:
    """Raises :class:`ProtocolVersionMismatch` for another major version, else :class:`MessageMalformed`."""
    if frame == MAGIC:
        return
    major = frame[len(MAGIC_PREFIX) :]
    if frame.startswith(MAGIC_PREFIX) and len(major) == 1 and major.isdigit():
        raise version_mismatch(major.decode("ascii"))
    raise MessageMalformed("What came is not a Kiss3D message.")


def version_mismatch(theirs: str) -> ProtocolVersionMismatch:
    """The error for a peer that speaks version ``theirs``."""
    return ProtocolVersionMismatch(
        f"The other side speaks version {theirs:.32} of the protocol, this side version {PROTOCOL_MAJOR}."
    )


def peek(frames: Sequence[Blob]) -> tuple[str, str | None]:
    """The type and the job of a message that could not be read, as far as they can be told.

    So a refusal names what it refuses, and a client does not send it again. The type is empty and the job None
    where they cannot be told.
    """
    try:
        fields = unpack_map(frames[1]) if len(frames) > 1 and len(frames[1]) <= MAX_ENVELOPE else {}
    except MessageMalformed:
        return "", None
    about, job = fields.get("type"), fields.get("job")
    return (
        about if isinstance(about, str) and about in TAGS.values() else "",
        job if isinstance(job, str) and is_job_id(job) else None,
    )
