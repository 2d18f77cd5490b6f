"""The allow list, and the doorkeeper that asks it: real sockets, no worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from tests.fakes.raw_client import raw_dealer

from kiss3d_backend.broker.refusal_log import MOST_VISITORS, RefusalLog
from kiss3d_backend.broker.zap import Doorkeeper
from kiss3d_backend.clients.identity import OWNER, ClientIdentity
from kiss3d_backend.clients.registry import ClientRegistry, Pairing
from kiss3d_protocol.errors import ClientNameTaken, ClientUnknown, PairingRefused, ParamsInvalid
from kiss3d_protocol.security import ConnectionKeys, new_key_pair, secure_backend

OWNER_KEY, ONCE, OWN, OTHER = (new_key_pair().public for _ in range(4))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Iterator[ClientRegistry]:
    registry = ClientRegistry(tmp_path / "clients.sqlite3", OWNER_KEY, clock)
    yield registry
    registry.close()


def begin(registry: ClientRegistry, key: str = ONCE, name: str = "anna", *, admin: bool = False, renew: bool = False):
    return registry.begin_pairing(key, name, seconds=60, admin=admin, renew=renew)


class TestRegistry:
    def test_a_pairing_is_good_once_and_for_its_time(self, registry: ClientRegistry, clock: Clock) -> None:
        assert registry.who(OWNER_KEY) == OWNER and registry.who(ONCE) is None and not registry.expects_anybody()
        assert begin(registry) == registry.who(ONCE) and registry.expects_anybody()
        clock.now += 61
        assert registry.who(ONCE) is None and not registry.expects_anybody()
        with pytest.raises(PairingRefused):
            registry.redeem(ONCE, OWN)
        begin(registry)
        anna = registry.redeem(ONCE, OWN)
        assert registry.who(OWN) == anna and (anna.name, anna.admin) == ("anna", False)
        assert registry.who(ONCE) is None
        with pytest.raises(PairingRefused):
            registry.redeem(ONCE, OTHER)

    def test_a_renewed_client_keeps_its_identity(self, registry: ClientRegistry) -> None:
        begin(registry, admin=True)
        anna = registry.redeem(ONCE, OWN)
        with pytest.raises(ClientNameTaken):
            begin(registry)
        registry.revoke("anna")
        assert registry.who(OWN) is None and registry.name_of(OWN) == "anna"
        with pytest.raises(ClientNameTaken):
            begin(registry)
        begin(registry, renew=True)
        assert registry.redeem(ONCE, OTHER) == anna == registry.who(OTHER)
        assert registry.who(OWN) is None

    def test_another_process_is_noticed(self, registry: ClientRegistry, tmp_path: Path) -> None:
        assert not registry.has_changed()
        other = ClientRegistry(tmp_path / "clients.sqlite3", OWNER_KEY)
        other.begin_pairing(ONCE, "anna", seconds=60, admin=False, renew=False)
        other.close()
        assert registry.has_changed() and not registry.has_changed()

    def test_what_cannot_be(self, registry: ClientRegistry) -> None:
        for name in ("", "local", "../x", "a b"):
            with pytest.raises(ParamsInvalid):
                begin(registry, name=name)
        with pytest.raises(ClientUnknown):
            begin(registry, renew=True)
        with pytest.raises(ClientUnknown):
            registry.revoke("anna")
        begin(registry)
        for key in (OWNER_KEY, ONCE, "no key"):
            with pytest.raises(PairingRefused):
                registry.redeem(ONCE, key)
        assert isinstance(registry.who(ONCE), Pairing)
        registry.revoke("anna")
        assert registry.who(ONCE) is None

    def test_who_may_use_what(self) -> None:
        anna, boss = ClientIdentity("1", "anna"), ClientIdentity("2", "boss", admin=True)
        assert [anna.may_use(owner) for owner in ("1", "2", "local")] == [True, False, False]
        assert all(each.may_use(owner) for each in (boss, OWNER) for owner in ("1", "2", "local"))


@pytest.mark.parametrize(
    ("doorkeeper", "domain", "enforced", "let_in"),
    [
        (True, "kiss3d", True, ["known"]),
        (True, "another", True, []),
        (False, "kiss3d", True, []),
        (False, "kiss3d", False, ["known", "unknown"]),
    ],
    ids=["as we have it", "domains differ", "no doorkeeper", "no doorkeeper, not enforced: why we enforce it"],
)
def test_who_is_let_in(doorkeeper: bool, domain: str, enforced: bool, let_in: list[str]) -> None:
    backend, known, unknown = new_key_pair(), new_key_pair(), new_key_pair()
    turned_away: list[tuple[str, str]] = []
    heard: list[bytes] = []
    with zmq.Context() as context:
        keeper = (
            Doorkeeper(context, lambda key: key == known.public, lambda *who: turned_away.append(who), domain)
            if doorkeeper
            else None
        )
        router = context.socket(zmq.ROUTER)
        secure_backend(router, backend)
        if not enforced:
            router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
        address = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"
        with (
            raw_dealer(address, ConnectionKeys(backend.public, known)) as one,
            raw_dealer(address, ConnectionKeys(backend.public, unknown)) as two,
        ):
            one.send(b"known")
            two.send(b"unknown")
            deadline = time.monotonic() + 0.4
            while time.monotonic() < deadline:
                if keeper is not None:
                    keeper.answer()
                if router.poll(10):
                    frame = router.recv_multipart(copy=False)[1]
                    heard.append(frame.bytes)
                    if keeper is not None:
                        assert frame.get("User-Id") == known.public
        if keeper is not None:
            assert (unknown.public, "127.0.0.1") in turned_away
            keeper.close()
        router.close(linger=0)
    assert sorted(heard) == [who.encode() for who in let_in]


def test_the_log_names_everybody_and_cannot_be_flooded(caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    with caplog.at_level(logging.WARNING):
        for second in range(130):
            for _ in range(10):
                log.note("one", float(second))
        for number in range(10 * MOST_VISITORS):
            log.note(f"visitor {number}", 131.0)
    told = caplog.messages
    assert told[0] == "turned away: one"
    assert told[1] == "turned away: one, 600 more times"
    assert len(told) <= 3 + MOST_VISITORS + 1
