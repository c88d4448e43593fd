from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.service_key import Minted, ServiceKey, digest_of, id_in, written

SECRET = "x" * 43
KEY = ServiceKey("abcd1234", digest_of(written("abcd1234", SECRET)), "shop", "ci", created_s=1_000)


@given(st.from_regex("[a-z0-9]{8}", fullmatch=True), st.from_regex("[A-Za-z0-9_-]{43}", fullmatch=True))
def test_a_written_key_is_found_by_its_id(id: str, secret: str) -> None:
    assert id_in(written(id, secret)) == id


@pytest.mark.parametrize(
    "key",
    [
        "",
        "tg-",
        "tg-abcd1234",
        "tg-abcd1234-short",
        f"tg-ABCD1234-{SECRET}",
        f"tg-abcd123-{SECRET}",
        f"sk-abcd1234-{SECRET}",
        f"tg-abcd1234-{SECRET}\n",
        f"tg-abcd1234-{SECRET} ",
        f"tg-abcd1234-{'x' * 129}",
        f"tg-abcd1234-{'é' * 43}",
        f"tg-١٢٣٤١٢٣٤-{SECRET}",
    ],
)
def test_what_is_not_written_like_a_key_has_no_id(key: str) -> None:
    assert id_in(key) is None


@given(st.text(st.characters(codec="utf-8", categories=None)))
def test_any_text_has_the_digest_of_its_bytes(key: str) -> None:
    assert digest_of(key) == hashlib.sha256(key.encode()).hexdigest()


def test_a_key_is_good_until_it_expires() -> None:
    key = ServiceKey("abcd1234", "", "shop", "", created_s=0, expires_s=100)
    assert key.lapse(99.9) is None
    assert key.lapse(100.0) == "expired"


def test_a_key_without_an_end_is_good_until_it_is_revoked() -> None:
    assert KEY.lapse(10.0**12) is None
    assert KEY.revoked(2_000).lapse(2_000.0) == "revoked"


def test_a_revoked_key_that_has_expired_too_is_revoked() -> None:
    assert KEY.succeeded(1_000, 0).revoked(1_000).lapse(2_000.0) == "revoked"


def test_the_first_revocation_stands() -> None:
    assert KEY.revoked(2_000).revoked(3_000).revoked_s == 2_000


def test_a_key_that_was_replaced_is_good_for_the_grace() -> None:
    assert KEY.succeeded(2_000, 60).expires_s == 2_060


def test_a_grace_never_makes_a_key_live_longer() -> None:
    ending = KEY.succeeded(2_000, 60)
    assert ending.succeeded(2_000, 3_600) == ending


def test_what_is_kept_and_what_is_minted_show_no_secret() -> None:
    whole = written("abcd1234", SECRET)
    assert KEY.prefix == "tg-abcd1234"
    assert SECRET not in repr(KEY)
    assert SECRET not in repr(Minted(KEY, whole))
