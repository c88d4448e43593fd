"""The one place that reads credentials."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from gateway.core.errors import AdminOnly, Unauthenticated
from gateway.core.service import Service


class Keyring:
    """Services by the SHA-256 of their key. A key is hashed whole before it is looked up, so neither its length nor a
    shared prefix shows in the timing. With no services at all, `anonymous` answers for everyone (loopback only)."""

    def __init__(self, services: Mapping[str, Service], anonymous: Service | None, admin_digest: str | None) -> None:
        self._services = services
        self._anonymous = anonymous
        self._admin_digest = admin_digest

    def service(self, headers: Mapping[str, str]) -> Service:
        """Who is calling, by `x-api-key` or `Authorization: Bearer`. Raises Unauthenticated."""
        if self._anonymous is not None:
            return self._anonymous
        key = _key_in(headers)
        if not key:
            raise Unauthenticated("No API key. Send `Authorization: Bearer YOUR_KEY`.")
        service = self._services.get(_digest(key))
        if service is None:
            raise Unauthenticated("This API key is not known here. Check `services:` in the configuration.")
        return service

    def is_admin(self, headers: Mapping[str, str]) -> bool:
        """Whether the admin key was sent; without a configured one, nobody is admin. Any key takes as long."""
        sent = _digest(_key_in(headers) or "")
        return self._admin_digest is not None and hmac.compare_digest(sent, self._admin_digest)

    def require_admin(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthenticated without a key or with an unknown one, AdminOnly with a service's."""
        if self.is_admin(headers):
            return
        if not _key_in(headers):
            raise Unauthenticated("This needs the admin key (`server.admin_key`) as `Authorization: Bearer ADMIN_KEY`.")
        self.service(headers)
        raise AdminOnly("A service's key cannot do this; it needs the admin key (`server.admin_key`).")


def _key_in(headers: Mapping[str, str]) -> str | None:
    key = headers.get("x-api-key")
    if key:
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
