"""A minted service key: how it is written, what is kept of it, and when it is good.

A key is `tg-ID-SECRET`. ID (8 letters and digits) finds the record, SECRET is 43 URL-safe characters of 256 random
bits, and what is kept is the SHA-256 of the whole. Argon2 and its like are for passwords: they make each guess at what
a person chose expensive. Nobody guesses 256 random bits at any price, and a slow hash would be paid by every request.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Literal

PREFIX = "tg-"
ID_FORM = r"[a-z0-9]{8}"
_FORM = re.compile(rf"{PREFIX}({ID_FORM})-[A-Za-z0-9_-]{{32,128}}")

Lapse = Literal["expired", "revoked"]


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What is kept of a key. Moments are Unix seconds; `digest` is the SHA-256 of the whole key in hex."""

    id: str
    digest: str
    service: str
    name: str
    created_s: int
    expires_s: int | None = None
    revoked_s: int | None = None

    @property
    def prefix(self) -> str:
        """What a holder recognises the key by; no part of the secret."""
        return PREFIX + self.id

    def lapse(self, now_s: float) -> Lapse | None:
        """Why the key is good no longer, or None while it is."""
        if self.revoked_s is not None and self.revoked_s <= now_s:
            return "revoked"
        return "expired" if self.expires_s is not None and self.expires_s <= now_s else None

    def revoked(self, now_s: int) -> ServiceKey:
        """The key as it is from now on; the first revocation stands."""
        return self if self.revoked_s is not None else replace(self, revoked_s=now_s)

    def succeeded(self, now_s: int, grace_s: int) -> ServiceKey:
        """The key once another has taken its place: good for `grace_s` more at most."""
        ends_s = now_s + grace_s
        return replace(self, expires_s=ends_s if self.expires_s is None else min(self.expires_s, ends_s))


@dataclass(frozen=True, slots=True)
class Minted:
    """A key just made: the one moment in which `secret`, the whole key, can be shown."""

    key: ServiceKey
    secret: str = field(repr=False)


def written(id: str, secret: str) -> str:
    """The whole key, as its holder sends it."""
    return f"{PREFIX}{id}-{secret}"


def id_in(key: str) -> str | None:
    """The id of a minted key; None for what is not written like one."""
    found = _FORM.fullmatch(key)
    return found.group(1) if found else None


def digest_of(key: str) -> str:
    """SHA-256 in hex: the only form in which any key is kept. Bytes that are no UTF-8 are hashed as they came."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
