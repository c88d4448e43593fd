"""Who calls: keys of the configuration and minted ones, in both headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.key_file import KeyFile
from gateway.adapters.watched_keys import LOOK_EVERY_S, WatchedKeys
from gateway.core.errors import AdminOnly, Unauthenticated
from gateway.core.service import Service
from gateway.core.service_key import digest_of, written
from gateway.http.auth import Keyring
from gateway.service_catalog import ANONYMOUS
from tests.fixtures.semantic import EventList, HandClock

SHOP, SEARCH = Service("shop"), Service("search")
SERVICES = {"shop": SHOP, "search": SEARCH}


@pytest.fixture
def file(tmp_path: Path, hand_clock: HandClock) -> KeyFile:
    return KeyFile(tmp_path / "keys.json", hand_clock)


@pytest.fixture
def keyring(file: KeyFile, told: EventList, hand_clock: HandClock) -> Keyring:
    keys = WatchedKeys(file, told, hand_clock)
    return Keyring(SERVICES, {digest_of("configured"): "shop"}, keys, hand_clock, admin_digest=digest_of("admin"))


@pytest.fixture
def keyless(file: KeyFile, told: EventList, hand_clock: HandClock) -> Keyring:
    keys = WatchedKeys(file, told, hand_clock)
    return Keyring({}, {}, keys, hand_clock, anonymous=ANONYMOUS, admin_digest=digest_of("admin"))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def refusal(keyring: Keyring, key: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        keyring.service(bearer(key))
    assert key not in refused.value.message
    return refused.value.message


@pytest.mark.parametrize(
    "headers", [bearer("configured"), {"x-api-key": "configured"}, {"authorization": "bearer  configured "}]
)
def test_a_key_of_the_configuration_is_taken_in_both_headers(keyring: Keyring, headers: dict[str, str]) -> None:
    assert keyring.service(headers) is SHOP


def test_a_key_that_was_taken_once_is_still_no_key_under_another_scheme(keyring: Keyring) -> None:
    for headers in ({"x-api-key": "configured"}, bearer("configured")):
        assert keyring.service(headers) is SHOP
    for sent in ("configured", "Basic configured"):
        with pytest.raises(Unauthenticated):
            keyring.service({"authorization": sent})
    with pytest.raises(Unauthenticated):
        keyring.service({"x-api-key": "other", **bearer("configured")})


def test_a_minted_key_is_taken_in_both_headers(keyring: Keyring, file: KeyFile) -> None:
    secret = file.create("search").secret
    assert keyring.service(bearer(secret)) is SEARCH
    assert keyring.service({"x-api-key": secret}) is SEARCH


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic configured"}, {"authorization": ""}, bearer("")])
def test_without_a_key_nobody_is_let_in(keyring: Keyring, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer YOUR_KEY"):
        keyring.service(headers)


@pytest.mark.parametrize(
    "key", ["other", "configure", "configured2", "tg-abcd1234", written("abcd1234", "x" * 43), "é\udc80"]
)
def test_a_stranger_hears_only_that_the_key_is_not_known(keyring: Keyring, key: str) -> None:
    assert refusal(keyring, key).startswith("This API key is not known here.")


def test_who_knows_the_id_alone_is_a_stranger_also_to_a_key_that_is_over(keyring: Keyring, file: KeyFile) -> None:
    good, revoked = file.create("shop").key, file.create("shop").key
    file.revoke(revoked.id)
    told = {refusal(keyring, written(id, "x" * 43)) for id in (good.id, revoked.id, "abcd1234")}
    assert len(told) == 1


def test_two_keys_that_differ_in_their_last_character_are_two_keys(keyring: Keyring, file: KeyFile) -> None:
    secret = file.create("shop").secret
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    assert refusal(keyring, other).startswith("This API key is not known here.")


def test_a_revoked_key_is_told_so_within_a_second(keyring: Keyring, file: KeyFile, hand_clock: HandClock) -> None:
    minted = file.create("shop")
    assert keyring.service(bearer(minted.secret)) is SHOP
    file.revoke(minted.key.id)
    hand_clock.now_s += LOOK_EVERY_S
    assert refusal(keyring, minted.secret).startswith("This API key was revoked at 20")


def test_a_key_ends_when_its_time_is_over(keyring: Keyring, file: KeyFile, hand_clock: HandClock) -> None:
    minted = file.create("shop", lifetime_s=60)
    assert keyring.service(bearer(minted.secret)) is SHOP
    hand_clock.now_s += 60
    assert refusal(keyring, minted.secret).startswith("This API key expired at 2027-01-15 08:01 UTC.")


def test_a_rotated_key_is_good_until_the_grace_is_over(keyring: Keyring, file: KeyFile, hand_clock: HandClock) -> None:
    old = file.create("shop")
    new = file.rotate(old.key.id, grace_s=3_600)
    hand_clock.now_s += 3_599
    assert keyring.service(bearer(old.secret)) is keyring.service(bearer(new.secret)) is SHOP
    hand_clock.now_s += 1
    assert "expired" in refusal(keyring, old.secret)
    assert keyring.service(bearer(new.secret)) is SHOP


def test_a_key_of_a_service_that_is_not_configured_is_told_so(keyring: Keyring, file: KeyFile) -> None:
    assert "`gone`, is not configured here" in refusal(keyring, file.create("gone").secret)


@pytest.mark.parametrize("headers", [bearer("admin"), {"x-api-key": "admin"}])
def test_the_admin_key_is_admin_in_either_header(keyring: Keyring, keyless: Keyring, headers: dict[str, str]) -> None:
    for ring in (keyring, keyless):
        assert ring.is_admin(headers)
        ring.require_admin(headers)


@pytest.mark.parametrize("headers", [{}, bearer(""), {"authorization": "Basic YTpi"}])
def test_nobody_is_admin_without_a_key(keyring: Keyring, keyless: Keyring, headers: dict[str, str]) -> None:
    for ring in (keyring, keyless):
        with pytest.raises(Unauthenticated, match=r"server\.admin_key"):
            ring.require_admin(headers)


def test_a_services_key_is_known_and_not_enough(keyring: Keyring, file: KeyFile) -> None:
    for key in ("configured", file.create("shop").secret):
        with pytest.raises(AdminOnly, match=r"server\.admin_key"):
            keyring.require_admin(bearer(key))


def test_a_key_that_nobody_knows_is_no_service_either(keyring: Keyring) -> None:
    with pytest.raises(Unauthenticated, match="not known"):
        keyring.require_admin(bearer("wrong"))


def test_without_a_configured_admin_key_nobody_is_admin(file: KeyFile, told: EventList, hand_clock: HandClock) -> None:
    keyring = Keyring({}, {}, WatchedKeys(file, told, hand_clock), hand_clock, anonymous=ANONYMOUS)
    assert not keyring.is_admin(bearer(""))
    with pytest.raises(AdminOnly):
        keyring.require_admin(bearer("anything"))


def test_the_admin_key_is_no_services_key(keyring: Keyring) -> None:
    with pytest.raises(Unauthenticated):
        keyring.service(bearer("admin"))


def test_without_services_everyone_is_the_same(keyless: Keyring) -> None:
    assert keyless.service({}) is keyless.service(bearer("anything")) is ANONYMOUS
