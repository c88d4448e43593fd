from __future__ import annotations

import hashlib

import pytest

from gateway.catalog import ANONYMOUS
from gateway.core.errors import AdminOnly, Unauthenticated
from gateway.core.service import Service
from gateway.http.auth import Keyring


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


SHOP = Service("shop")
KEYS = Keyring({digest("shop-key"): SHOP}, None, digest("admin-key"))
KEYLESS = Keyring({}, ANONYMOUS, digest("admin-key"))


@pytest.mark.parametrize("headers", [bearer("admin-key"), {"x-api-key": "admin-key"}])
@pytest.mark.parametrize("keyring", [KEYS, KEYLESS])
def test_the_admin_key_is_admin_in_either_header(keyring: Keyring, headers: dict[str, str]) -> None:
    assert keyring.is_admin(headers)
    keyring.require_admin(headers)


@pytest.mark.parametrize("headers", [{}, bearer(""), {"authorization": "Basic YTpi"}])
@pytest.mark.parametrize("keyring", [KEYS, KEYLESS])
def test_nobody_is_admin_without_a_key(keyring: Keyring, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match=r"server\.admin_key"):
        keyring.require_admin(headers)


def test_a_services_key_is_known_and_not_enough() -> None:
    with pytest.raises(AdminOnly, match=r"server\.admin_key"):
        KEYS.require_admin(bearer("shop-key"))


def test_a_key_that_nobody_knows_is_no_service_either() -> None:
    with pytest.raises(Unauthenticated, match="not known"):
        KEYS.require_admin(bearer("wrong"))


def test_without_a_configured_admin_key_nobody_is_admin() -> None:
    open_to_nobody = Keyring({}, ANONYMOUS, None)
    assert not open_to_nobody.is_admin(bearer(""))
    with pytest.raises(AdminOnly):
        open_to_nobody.require_admin(bearer("anything"))


def test_the_admin_key_is_no_services_key() -> None:
    with pytest.raises(Unauthenticated):
        KEYS.service(bearer("admin-key"))
