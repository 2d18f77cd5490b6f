"""Addresses: what is one, and whether only this machine can be behind it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.errors import AddressInvalid


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp://127.0.0.1:47800", "127.0.0.1", 47800),
        ("127.0.0.1:47800", "127.0.0.1", 47800),
        ("  localhost:1/ \n", "localhost", 1),
        ("tcp://gpu-box.example.org:65535", "gpu-box.example.org", 65535),
        ("tcp://my_box:80", "my_box", 80),
        ("tcp://[::1]:47800", "[::1]", 47800),
        ("[2001:db8::ff00:42:8329]:5", "[2001:db8::ff00:42:8329]", 5),
        ("[::ffff:10.0.0.1]:5", "[::ffff:10.0.0.1]", 5),
        ("box.:80", "box.", 80),
    ],
)
def test_good_addresses(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert address == Address(host, port)
    assert str(address) == f"tcp://{host}:{port}"
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ":", "tcp://", "localhost", "tcp://localhost", "localhost:", ":47800", "tcp://:47800"),
        *("localhost:65536", "localhost:999999", "localhost:-1", "localhost:+1", "localhost:1.5", "localhost:٤٧"),
        *("http://localhost:80", "ipc:///tmp/x", "tcp://tcp://a:1", "a:1:2", "::1:47800", "tcp://a:1/path", "a b:1"),
        *("[::1]", "[::1:5", "[]:5", "[::::]:5", "[1.2.3.4]:5", "[::1%25eth0]:5", "user@host:5", "host:5\nhost:6"),
        *("a..b:1", ".:1", "..:1", "_x:1", "-a:1", "a-:1", "a" * 64 + ":1", "a." * 130 + "a:1", "*:47800", "é:1"),
    ],
)
def test_junk_is_no_address(text: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        parse_address(text)
    assert caught.value.message.endswith(" is not an address of a backend.")
    assert "tcp://HOST:PORT" in caught.value.remedy
    assert len(caught.value.message) < 200


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20) | st.text("[]:.-_%/0123456789abtcp", max_size=20))
def test_nothing_but_an_address_or_the_error_comes_out(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressInvalid:
        return
    assert parse_address(str(address)) == address
    assert isinstance(address.is_loopback, bool)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "[::1]", "[0:0:0:0:0:0:0:1]"])
def test_loopback(host: str) -> None:
    assert parse_address(f"{host}:1").is_loopback


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "[::]", "192.168.0.1", "10.0.0.1", "128.0.0.1", "[fe80::1]", "example.org", "localhost.example.org"],
)
def test_not_loopback(host: str) -> None:
    # A name may lead anywhere, also one that leads to this machine today.
    assert not parse_address(f"{host}:1").is_loopback
