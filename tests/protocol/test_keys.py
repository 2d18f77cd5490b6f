"""Keys, the files that hold them, pairing strings, and how a backend is found."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiss3d_protocol.address import Address
from kiss3d_protocol.errors import (
    AddressInvalid,
    KeyFileUnsafe,
    KeyFileUnusable,
    KeyMissing,
    Kiss3DError,
    PairingInvalid,
    ServerUnknown,
)
from kiss3d_protocol.key_files import backend_key_file, backend_keys, config_dir, rotate_backend_keys
from kiss3d_protocol.pairing_string import PairingString, parse_pairing
from kiss3d_protocol.security import (
    ConnectionKeys,
    KeyPair,
    key_from_bytes,
    key_pair_of,
    key_to_bytes,
    new_key_pair,
)
from kiss3d_protocol.servers import (
    Server,
    address_of,
    find_endpoint,
    find_server,
    forget_server,
    is_name,
    list_servers,
    save_server,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")
MANUAL = KeyPair("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs")
"""The client's pair in ZeroMQ's manual page of CURVE."""


def a_server(name: str = "box", host: str = "gpu-box") -> Server:
    return Server(name, Address(host, 47800), "anna", ConnectionKeys(new_key_pair().public, new_key_pair()))


def test_a_pair_follows_from_its_secret_as_in_the_manual() -> None:
    assert key_pair_of(MANUAL.secret) == MANUAL
    assert key_from_bytes(key_to_bytes(MANUAL.public)) == MANUAL.public
    assert MANUAL.secret not in repr(MANUAL) + repr(ConnectionKeys("", MANUAL))


@pytest.mark.parametrize("text", ["", "x" * 39, "x" * 41, "#" * 40, "~" * 40, "é" * 40, "0" * 35, "0" * 45])
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a key") as caught:
        key_pair_of(text)
    assert not text or text not in str(caught.value)


class TestKeyFile:
    def test_it_is_made_once_for_all_who_ask(self, config_dir: Path) -> None:
        found: list[object] = []
        threads = [threading.Thread(target=lambda: found.append(backend_keys())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8 and len(set(map(repr, found))) == 1
        assert [path.name for path in config_dir.iterdir()] == ["backend.key"]

    @posix
    def test_only_its_owner_can_read_it(self, config_dir: Path) -> None:
        backend_keys()
        assert backend_key_file().stat().st_mode & 0o777 == 0o600
        assert config_dir.stat().st_mode & 0o777 == 0o700

    @posix
    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610])
    def test_it_is_not_used_when_others_may_touch_it(self, config_dir: Path, mode: int) -> None:
        backend_keys()
        backend_key_file().chmod(mode)
        with pytest.raises(KeyFileUnsafe, match="other users"):
            backend_keys()

    @posix
    def test_it_is_not_used_when_it_is_somebody_elses(self, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        backend_keys()
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(KeyFileUnsafe, match="another user"):
            backend_keys()

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"backend": 5, "owner": 5}', '{"backend": "x", "owner": "x"}'])
    def test_a_broken_one_is_not_made_anew(self, config_dir: Path, text: str) -> None:
        backend_keys()
        backend_key_file().write_text(text, encoding="utf-8")
        with pytest.raises(KeyFileUnusable):
            backend_keys()
        assert backend_key_file().read_text(encoding="utf-8") == text

    def test_rotation_changes_all_of_it(self, config_dir: Path) -> None:
        before, after = backend_keys(), rotate_backend_keys()
        assert len({before.backend.public, before.owner.public, after.backend.public, after.owner.public}) == 4
        assert backend_keys() == after


def test_the_folder_is_the_users_or_the_chosen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_dir({"KISS3D_CONFIG_DIR": "/chosen"}) == Path("/chosen")
    monkeypatch.setattr(sys, "platform", "linux")
    assert config_dir({"XDG_CONFIG_HOME": "/own"}) == Path("/own/kiss3d")
    assert config_dir({"XDG_CONFIG_HOME": "relative"}) == Path.home() / ".config" / "kiss3d"
    monkeypatch.setattr(sys, "platform", "win32")
    assert config_dir({"LOCALAPPDATA": "/local"}) == Path("/local/kiss3d")


class TestPairingString:
    def string(self) -> PairingString:
        return PairingString(Address("gpu-box", 47800), ConnectionKeys(new_key_pair().public, new_key_pair()), "anna")

    def test_it_is_one_word_that_says_all(self) -> None:
        string = self.string()
        text = string.to_text()
        assert text.isascii() and text.replace("-", "").replace("_", "").isalnum()
        assert parse_pairing(text) == string
        assert parse_pairing(f" {text[:40]}\r\n  {text[40:]}\t") == string
        assert string.keys.own.secret not in repr(string) and text not in repr(string)

    def test_a_slip_in_copying_is_seen(self) -> None:
        text = self.string().to_text()
        for index in range(8, len(text) - 1):
            slipped = text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]
            with pytest.raises(PairingInvalid) as caught:
                parse_pairing(slipped)
            assert slipped[8:40] not in str(caught.value)
        for part in (text[:-4], text[:60], text[8:], "kiss3d1-", "", "hello", text + text):
            with pytest.raises(PairingInvalid):
                parse_pairing(part)

    @given(st.text() | st.text("abcXYZ019-_=").map(lambda text: "kiss3d1-" + text))
    def test_nothing_but_a_string_or_the_error_comes_out(self, text: str) -> None:
        with pytest.raises(PairingInvalid):
            parse_pairing(text)


class TestServers:
    def test_they_are_kept_and_found_and_forgotten(self, config_dir: Path) -> None:
        box, other = a_server(), a_server("other.example", "[::1]")
        for server in (other, box):
            save_server(server)
        assert list_servers() == [box, other]
        assert find_endpoint("box").keys == find_endpoint("tcp://gpu-box:47800").keys == box.keys
        assert find_endpoint("other.example").address == address_of("other.example") == other.address
        forget_server("box")
        with pytest.raises(ServerUnknown):
            find_server("box")
        with pytest.raises(KeyMissing, match="no key"):
            find_endpoint("gpu-box:47800")
        with pytest.raises(AddressInvalid, match="neither"):
            find_endpoint("box")

    def test_a_loopback_address_means_this_users_own(self, config_dir: Path) -> None:
        save_server(a_server("tunnel", "127.0.0.1"))
        assert find_endpoint("127.0.0.1:47800").keys == backend_keys().of_owner
        assert find_endpoint("tunnel").keys == find_server("tunnel").keys != backend_keys().of_owner

    @posix
    def test_a_file_that_others_can_read_is_not_used(self, config_dir: Path) -> None:
        save_server(a_server())
        next(config_dir.rglob("*box*")).chmod(0o640)
        with pytest.raises(KeyFileUnsafe):
            find_endpoint("box")

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "-a", "a b", "a" * 65, "é", "a..b", "a.", "a\n"])
    def test_names_cannot_lead_anywhere(self, config_dir: Path, name: str) -> None:
        assert not is_name(name)
        with pytest.raises(Kiss3DError):
            find_endpoint(name)
        with pytest.raises(ServerUnknown):
            forget_server(name)
