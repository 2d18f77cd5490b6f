"""Whatever comes, the answer is a message or a ProtocolError, and little memory is spent on finding out."""

from __future__ import annotations

import contextlib
import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocol.samples import (
    JOB,
    PICTURE,
    chunk,
    client_samples,
    mesh_ready,
    preview,
    report_files,
    result,
    server_samples,
    submit,
    welcome,
)

from kiss3d_protocol import framing
from kiss3d_protocol.errors import MessageMalformed, MessageTooLarge, ProtocolError, ProtocolVersionMismatch
from kiss3d_protocol.framing import (
    CONVERTER,
    MAGIC,
    MAX_BLOB_TO_SERVER,
    MAX_ENVELOPE,
    decode_client,
    decode_server,
    encode,
    unpack_map,
)
from kiss3d_protocol.messages import TAGS, Attach, ListJobs, Ping, Refused


@contextlib.contextmanager
def _little_memory(most: int) -> Iterator[None]:
    """Fails when the block takes more than ``most`` bytes at any moment."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"


SAMPLES = [*client_samples(), *server_samples()]


def fields_of(message: Any) -> dict[str, Any]:
    return {"type": TAGS[type(message)], **CONVERTER.unstructure(message)}


def packed(fields: Any) -> bytes:
    data = msgpack.packb(fields)
    assert data is not None
    return data


def decode(fields: Any, blobs: Any = (), decoder: Callable[..., Any] = decode_server) -> Any:
    return decoder([MAGIC, packed(fields), *blobs])[0]


def decoder_for(message: Any) -> Callable[..., Any]:
    return decode_client if type(message) in {type(each) for each, _ in client_samples()} else decode_server


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside nested maps and arrays."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return [place for key, child in items for place in ((*path, key), *_places(child, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _replaced(copy[key], tuple(rest), new) if rest else new
    return copy


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


# ---------------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: TAGS[type(sample[0])])
def test_a_value_of_another_type_is_refused_wherever_it_stands(sample: Any) -> None:
    message, blobs = sample
    fields = fields_of(message)
    decoder = decoder_for(message)
    for path in _places(fields):
        value = _at(fields, path)
        wrong: list[Any] = [b"", b"x", [], {}, "x", 1, 1.5, True, float("nan"), float("inf"), 2**63]
        for bad in wrong:
            if _may_stand(value, bad, path):
                continue
            with pytest.raises(ProtocolError):
                decode(_replaced(fields, path, bad), blobs, decoder)


def _may_stand(value: Any, other: Any, path: tuple[Any, ...]) -> bool:
    """Whether ``other`` is of a type that may stand for ``value`` (its range is looked at elsewhere)."""
    if value is None:
        # The sample's only nil is a time.
        return type(other) in (int, float) and other == other and abs(other) != float("inf")
    if type(value) is float:
        finite = type(other) in (int, float) and other == other and abs(other) != float("inf")
        return finite and (other >= 0 or path[-1] in ("time", "created", "started", "eta_seconds"))
    if type(value) is tuple:
        return type(other) is list and path[-1] != "shape"
    if type(value) is dict:
        # A map of which every key has a default; one with free keys.
        return other == {} and path[-1] in ("params", "versions")
    if type(value) is str and type(other) is str:
        return path[-1] not in (
            "type",
            "job",
            "instance",
            "sha256",
            "picture_sha256",
            "dtype",
            "media_type",
            "kind",
            "step",
        )
    return type(value) is type(other)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: TAGS[type(sample[0])])
def test_a_missing_key_is_refused_unless_it_has_a_default(sample: Any) -> None:
    message, blobs = sample
    fields = fields_of(message)
    decoder = decoder_for(message)
    for path in _places(fields):
        *parents, key = path
        parent = _at(fields, tuple(parents))
        if not isinstance(parent, dict) or (parents and parents[-1] == "versions"):
            continue
        shorter = {name: value for name, value in parent.items() if name != key}
        without = _replaced(fields, tuple(parents), shorter) if parents else shorter
        has_default = key in {"number", "time", "remedy", "reason", "missing_models", "eta_seconds", "after", "limit"}
        has_default |= key in {"error", "recipe", "bytes_to_get", "waiting", "bundle", "local", "pulling", "entries"}
        has_default |= key in {"admin", "text", "workers"}
        has_default |= parents[:1] == ["workers"] and key in {"device", "memory", "networks", "job"}
        has_default |= parents == ["params"] or (key == "preset" and not parents)
        has_default &= (key, TAGS[type(message)]) not in {
            ("entries", "pull_finished"),
            ("recipe", "finished"),
            ("waiting", "status"),
        }
        if has_default:
            decode(without, blobs, decoder)
        else:
            # An array of a mesh may be missing, but then its blob is described by nothing.
            with pytest.raises(MessageMalformed):
                decode(without, blobs, decoder)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: TAGS[type(sample[0])])
def test_unknown_keys_are_ignored_at_every_depth(sample: Any) -> None:
    message, blobs = sample
    fields = fields_of(message)
    for path in [(), *_places(fields)]:
        if isinstance(inner := _at(fields, path), dict) and path[-1:] != ("versions",):
            more = {**inner, "from_the_future": {"a": [1, None, {"b": "c"}]}}
            assert decode(_replaced(fields, path, more) if path else more, blobs, decoder_for(message)) == message


def test_an_integer_stands_for_a_float_but_not_the_other_way_round() -> None:
    fields = fields_of(welcome())
    assert decode({**fields, "heartbeat_seconds": 3}).heartbeat_seconds == 3.0
    with pytest.raises(MessageMalformed):
        decode({"type": "attach", "job": JOB, "after": 1.0}, decoder=decode_client)


def test_integers_of_64_bits_with_a_sign_are_the_most() -> None:
    def attach(after: int) -> Any:
        return decode({"type": "attach", "job": JOB, "after": after}, decoder=decode_client)

    assert attach(2**63 - 1) == Attach(JOB, 2**63 - 1)
    with pytest.raises(MessageMalformed):
        attach(2**63)


@pytest.mark.parametrize("tag", [None, 1, "", "Ping", "pong", "nothing", ["ping"], {"ping": 1}, b"ping", "x" * 60000])
def test_an_unknown_tag_is_refused(tag: Any) -> None:
    # "pong" is known, but not of a client.
    with pytest.raises(MessageMalformed) as caught:
        decode({"type": tag}, decoder=decode_client)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("params", [[], "preset", None, 5, ["preset", "seed"], True])
def test_a_map_of_defaults_cannot_be_something_else(params: Any) -> None:
    message, blobs = submit()
    with pytest.raises(MessageMalformed):
        decode({**fields_of(message), "params": params}, blobs, decode_client)


def test_a_text_is_not_an_array_of_letters() -> None:
    with pytest.raises(MessageMalformed):
        decode({**fields_of(welcome()), "missing_models": "flux"})


def test_a_jobs_seed_is_in_its_range() -> None:
    message, blobs = submit()
    fields = fields_of(message)
    for seed in (-1, 2**32):
        with pytest.raises(MessageMalformed):
            decode({**fields, "params": {"preset": "draft", "seed": seed}}, blobs, decode_client)


# ---------------------------------------------------------------------------------------------- envelopes


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"\xc1",
        b"\xc0",
        b"\x90",
        b"\xa4ping",
        b"\x81\xa4type",
        b"\x81\xa4type\xa4ping\xc0",
        b"\x81\xa4type\xa4\xff\xff\xff\xff",
        b"\x82\xa4type\xa4ping\xa4type\xa4ping",
        b"\x82\xa4type\xa4ping\xa1x\x82\xa1a\x01\xa1a\x02",
        b"\x82\xa4type\xa4ping\x01\x02",
        b"\x82\xa4type\xa4ping\xc0\x02",
        b"\x82\xa4type\xa4ping\xa1x\xc4\x01x",
        b"\x82\xa4type\xa4ping\xa1x\xd4\x05x",
        b"\x82\xa4type\xa4ping\xa1x\xd6\xff\x00\x00\x00\x00",
        b"\x82\xa4type\xa4ping\xa1x\xc1",
        b"\x82\xa4type\xa4ping\xa1x\xdb\x80\x00\x00\x00x",
        b"\x82\xa4type\xa4ping\xa1x\xdd\x80\x00\x00\x00\x01",
        b"\x82\xa4type\xa4ping\xa1x\xdf\x80\x00\x00\x00\xa1a\x01",
        b"\x82\xa4type\xa4ping\xa1x\xc6\x80\x00\x00\x00x",
        b"\x82\xa4type\xa4ping\xa1x\xc9\x80\x00\x00\x00\x05x",
        b"\x82\xa4type\xa4ping\xa1x" + b"\x91" * 100_000,
        b"\x82\xa4type\xa4ping\xa1x" + b"\x81\xa1a" * 100_000,
    ],
    ids=[
        *("empty", "reserved byte", "nil", "array", "string", "cut off", "something behind it", "no unicode"),
        *("key twice", "key twice inside"),
        *("integer key", "nil key", "bin", "ext", "timestamp", "reserved byte inside"),
        *("2^31 letters", "2^31 entries", "2^31 pairs", "2^31 bytes", "2^31 bytes of ext", "deep arrays", "deep maps"),
    ],
)
def test_a_bad_envelope_is_refused_without_spending_memory(envelope: bytes) -> None:
    with _little_memory(4 << 20), pytest.raises(MessageMalformed):
        decode_client([MAGIC, envelope])


def test_announced_entries_cost_little_even_when_nested() -> None:
    # Each array announces as many entries as are allowed and holds but the next array.
    envelope = b"\x82\xa4type\xa4ping\xa1x" + b"\xdc\x10\x00" * 300_000
    with _little_memory(64 << 20), pytest.raises(MessageMalformed):
        decode_client([MAGIC, envelope])


@pytest.mark.parametrize("entries", [[None] * 4097, {str(number): None for number in range(4097)}, "x" * 65537])
def test_arrays_maps_and_strings_have_limits(entries: Any) -> None:
    with pytest.raises(MessageMalformed):
        decode({"type": "ping", "x": entries}, decoder=decode_client)
    assert decode({"type": "ping", "x": entries[:-1] if not isinstance(entries, dict) else {}}, (), decode_client)


def test_an_envelope_has_a_limit() -> None:
    lists = [["x" * 60_000] * 10] * 2
    assert len(packed({"type": "ping", "x": lists})) > MAX_ENVELOPE
    with pytest.raises(MessageTooLarge):
        decode({"type": "ping", "x": lists}, decoder=decode_client)
    with pytest.raises(MessageTooLarge):
        encode(welcome().__class__(**{**_shallow(welcome()), "missing_models": ("x" * 60_000,) * 20}))


def _shallow(message: Any) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__annotations__}


# ---------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("count", [0, 1, 19, 1000])
def test_a_message_has_2_to_18_frames(count: int) -> None:
    with pytest.raises(MessageMalformed):
        decode_client([MAGIC, *encode(Ping())[1:], *[b""] * count][:count])


@pytest.mark.parametrize("first", [b"", b"K3D", b"K3D1 ", b"K3Dx", b"k3d1", b"K3D11", b"K3D-1", b"GET ", b"K3D\xb2"])
def test_what_does_not_begin_like_us_is_no_message(first: bytes) -> None:
    with pytest.raises(MessageMalformed):
        decode_client([first, *encode(Ping())[1:]])


@pytest.mark.parametrize("first", [b"K3D0", b"K3D2", b"K3D9"])
@pytest.mark.parametrize("rest", [[], [b"\xc1"], [b"?"] * 100])
def test_another_major_version_is_recognised_whatever_follows(first: bytes, rest: list[bytes]) -> None:
    for decoder in (decode_client, decode_server):
        with pytest.raises(ProtocolVersionMismatch, match=f"version {chr(first[3])}"):
            decoder([first, *rest])


def test_refused_is_read_with_only_the_fields_of_every_version() -> None:
    fields = {"type": "refused", "about": "hello", "job": None, "code": "protocol.version", "message": "Other version."}
    assert decode(fields) == Refused("hello", None, "protocol.version", "Other version.", "")


# ---------------------------------------------------------------------------------------------- blobs


def test_blobs_that_nothing_describes_or_that_are_missing_are_refused() -> None:
    message, blobs = submit()
    for wrong in ([], [*blobs, b""], [*blobs, *blobs]):
        with pytest.raises(MessageMalformed):
            decode_client([*encode(message)[:2], *wrong])
    with pytest.raises(MessageMalformed):
        decode_client([*encode(Ping()), b""])


def test_a_blob_of_another_length_or_content_is_refused() -> None:
    message, blobs = mesh_ready()
    for index in range(len(blobs)):
        changed = bytes([blobs[index][0] ^ 1]) + bytes(blobs[index][1:])
        for wrong in (changed, bytes(blobs[index]) + b"\0", bytes(blobs[index][:-1])):
            with pytest.raises(MessageMalformed):
                decode_server([*encode(message)[:2], *blobs[:index], wrong, *blobs[index + 1 :]])


def test_an_empty_frame_stands_for_a_blob_of_a_result_only() -> None:
    for message, blobs in (mesh_ready(), result(), preview()):
        frames = encode(message, [b""] * len(blobs))
        assert decode_server(frames)[1] == [b""] * len(blobs)
    for message, blobs in (submit(), report_files(), chunk()):
        with pytest.raises(MessageMalformed):
            decode(fields_of(message), [b"", *blobs[1:]], decoder_for(message))


def test_a_wrong_length_is_seen_before_anything_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    message, blobs = mesh_ready()
    assert message.mesh.colours is not None
    at = message.mesh.colours.blob
    frames = encode(message, [*blobs[:at], b"short", *blobs[at + 1 :]])
    monkeypatch.setattr(hashlib, "sha256", lambda data: pytest.fail("hashed"))
    with pytest.raises(MessageMalformed, match="announced"):
        decode_server(frames)


def test_a_blob_that_is_described_twice_is_refused() -> None:
    message, blobs = mesh_ready()
    fields = fields_of(message)
    fields["mesh"]["uv_triangles"] = fields["mesh"]["triangles"]
    with pytest.raises(MessageMalformed):
        decode(fields, blobs)
    with pytest.raises(MessageMalformed):
        decode(fields, [*blobs[:3], *blobs[4:]])


def test_blobs_have_limits_by_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    big = bytes(MAX_BLOB_TO_SERVER + 1)
    message, blobs = submit(picture=big)
    with pytest.raises(MessageTooLarge):
        encode(message, blobs)
    with pytest.raises(MessageTooLarge):
        decode_client([*encode(message), big])
    monkeypatch.setattr(framing, "MAX_BLOB_TO_CLIENT", len(PICTURE) - 1)
    ready, blobs = mesh_ready()
    with pytest.raises(MessageTooLarge):
        encode(ready, blobs)
    with pytest.raises(MessageTooLarge):
        decode_server([*encode(ready), *blobs])


# ---------------------------------------------------------------------------------------------- meshes, pictures


def _mesh_with(**arrays: dict[str, Any] | None) -> dict[str, Any]:
    fields = fields_of(mesh_ready()[0])
    for name, changes in arrays.items():
        fields["mesh"][name] = changes if changes is None else {**fields["mesh"][name], **changes}
    return fields


@pytest.mark.parametrize(
    "fields",
    [
        _mesh_with(positions={"shape": [6, 2]}),
        _mesh_with(positions={"shape": [12]}),
        _mesh_with(positions={"shape": [2, 2, 3]}),
        _mesh_with(positions={"shape": []}),
        _mesh_with(positions={"shape": [-4, -3]}),
        _mesh_with(positions={"dtype": "<f8"}),
        _mesh_with(positions={"dtype": "<u4"}),
        _mesh_with(positions={"dtype": "|O"}),
        _mesh_with(triangles={"dtype": "<f4"}),
        _mesh_with(triangles={"shape": [3, 2]}),
        _mesh_with(uvs=None),
        _mesh_with(uv_triangles=None),
        _mesh_with(uv_triangles={"shape": [1, 3]}),
        _mesh_with(colours={"shape": [3, 4]}),
        _mesh_with(colours={"shape": [4, 3]}),
        _mesh_with(texture={"media_type": "image/jpeg"}),
        _mesh_with(normal_map={"media_type": "image/jpeg"}),
        _mesh_with(normal_map={"width": -1}),
        _mesh_with(positions=None),
        _mesh_with(triangles=None),
    ],
)
def test_wrong_shapes_and_types_of_a_mesh_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MessageMalformed):
        decode(fields, mesh_ready()[1])


@pytest.mark.parametrize(
    "fields",
    [
        _mesh_with(triangles={"shape": [2**31, 3]}, uv_triangles={"shape": [2**31, 3]}),
        _mesh_with(triangles={"shape": [20_000_001, 3]}, uv_triangles={"shape": [20_000_001, 3]}),
        _mesh_with(positions={"shape": [10_000_001, 3]}, colours={"shape": [10_000_001, 4]}),
        _mesh_with(uvs={"shape": [10_000_001, 2]}),
    ],
)
def test_a_mesh_has_limits(fields: dict[str, Any]) -> None:
    with _little_memory(4 << 20), pytest.raises(MessageTooLarge):
        decode(fields, mesh_ready()[1])


def test_a_mesh_within_the_limits_but_not_there_is_refused() -> None:
    fields = _mesh_with(triangles={"shape": [20_000_000, 3]}, uv_triangles={"shape": [20_000_000, 3]})
    with _little_memory(4 << 20), pytest.raises(MessageMalformed):
        decode(fields, mesh_ready()[1])


def test_a_picture_has_a_limit_of_pixels() -> None:
    message, blobs = submit()
    fields = fields_of(message)
    picture = fields["picture"]
    with pytest.raises(MessageTooLarge, match="30,000 x 30,000"):
        decode({**fields, "picture": {**picture, "width": 30_000, "height": 30_000}}, blobs, decode_client)
    assert decode({**fields, "picture": {**picture, "width": 10_000, "height": 10_000}}, blobs, decode_client)


def test_a_preview_is_png_or_webp() -> None:
    message, blobs = preview()
    fields = fields_of(message)
    with pytest.raises(MessageMalformed, match="PNG or WebP"):
        decode({**fields, "image": {**fields["image"], "media_type": "image/gif"}}, blobs)


# ---------------------------------------------------------------------------------------------- sending


def test_text_that_is_not_unicode_is_refused_when_it_is_sent() -> None:
    message, blobs = submit()
    odd = type(message)(message.job, "caf\udce9.png", message.params, message.picture)
    with pytest.raises(MessageMalformed):
        encode(odd, blobs)


@pytest.mark.parametrize("limit", [0, 1001])
def test_what_would_be_refused_cannot_be_made(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        ListJobs(limit)


# ---------------------------------------------------------------------------------------------- fuzz

MANY = settings(deadline=None, max_examples=150)
VALID = [[bytes(frame) for frame in encode(message, blobs)] for message, blobs in SAMPLES]


@MANY
@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_random_frames(frames: list[bytes], like_us: bool) -> None:
    _survives([MAGIC, *frames] if like_us else frames)


@MANY
@given(
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["type", "job", "number", "mesh", "params", "picture"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
            max_leaves=10,
        ),
        max_size=6,
    ),
    st.sampled_from([*TAGS.values()]),
)
def test_random_maps(fields: dict[str, Any], tag: str) -> None:
    _survives([MAGIC, packed({**fields, "type": tag})])


@MANY
@given(st.sampled_from(VALID), st.data())
def test_valid_frames_with_changed_bytes(frames: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(frames) - 1))
    frame = bytearray(frames[number])
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, max(len(frame) - 1, 0)))
        kind = data.draw(st.sampled_from(["change", "delete", "insert", "cut"]))
        byte = data.draw(st.integers(0, 255))
        if kind == "change" and frame:
            frame[position] = byte
        elif kind == "delete":
            del frame[position : position + 1]
        elif kind == "insert":
            frame.insert(position, byte)
        else:
            del frame[position:]
    _survives([*frames[:number], bytes(frame), *frames[number + 1 :]])


@MANY
@given(st.sampled_from(SAMPLES), st.data())
def test_valid_messages_with_a_changed_value(sample: Any, data: st.DataObject) -> None:
    message, blobs = sample
    fields = fields_of(message)
    path = data.draw(st.sampled_from(_places(fields)))
    odd = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.just([[]])
    _survives([MAGIC, packed(_replaced(fields, path, data.draw(odd))), *map(bytes, blobs)])


def _survives(frames: list[bytes]) -> None:
    for decoder in (decode_client, decode_server):
        try:
            message, blobs = decoder(frames)
        except ProtocolError as error:
            assert error.message.endswith(".")
            assert len(error.message) < 500
        else:
            # What is understood can be said again.
            assert decoder(encode(message, blobs)) == (message, blobs)


@given(st.binary(max_size=200))
@MANY
def test_random_envelopes(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert type(unpack_map(data)) is dict
