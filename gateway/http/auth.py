"""The one place that reads credentials."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.core.errors import AdminOnly, Unauthenticated
from gateway.core.service import Service
from gateway.core.service_key import ServiceKey, digest_of, id_in
from gateway.ports import Clock, Keys

_NO_KEY = "No API key. Send `Authorization: Bearer YOUR_KEY`."
_UNKNOWN = "This API key is not known here. Ask the operator of this gateway for one (`thriftgate keys create`)."


class Keyring:
    """Who calls. `services` is by name; `digests` has the names of services by the SHA-256 of each key that is in the
    configuration; `keys` are the minted ones. `anonymous` answers for everyone (loopback only).

    A key is hashed whole before anything is compared, and then digests are: neither its length nor a shared prefix
    shows in the timing. A key of the configuration that has been sent is found from then on by Python's own hash of its
    `Authorization`, which has a secret of the process in it. Whoever sends a minted key's id with another secret hears
    only that the key is not known.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        digests: Mapping[str, str],
        keys: Keys,
        clock: Clock,
        *,
        anonymous: Service | None = None,
        admin_digest: str | None = None,
    ) -> None:
        self._services = services
        self._digests = digests
        self._keys = keys
        self._clock = clock
        self._anonymous = anonymous
        self._admin_digest = admin_digest
        self._known: dict[str, Service] = {}

    def service(self, headers: Mapping[str, str]) -> Service:
        """Who is calling, by `x-api-key` or `Authorization: Bearer`. Raises Unauthenticated."""
        if self._anonymous is not None:
            return self._anonymous
        if "x-api-key" not in headers:
            known = self._known.get(headers.get("authorization", ""))
            if known is not None:
                return known
        key = _key_in(headers)
        if not key:
            raise Unauthenticated(_NO_KEY)
        digest = digest_of(key)
        name = self._digests.get(digest)
        if name is None:
            return self._of_minted(key, digest)
        return self._known.setdefault(f"Bearer {key}", self._services[name])

    def is_admin(self, headers: Mapping[str, str]) -> bool:
        """Whether the admin key was sent; without a configured one, nobody is admin. Any key takes as long."""
        sent = digest_of(_key_in(headers) or "")
        return self._admin_digest is not None and hmac.compare_digest(sent, self._admin_digest)

    def has_key(self, headers: Mapping[str, str]) -> bool:
        """Whether any key was sent, good or not."""
        return bool(_key_in(headers))

    def require_admin(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthenticated without a key or with an unknown one, AdminOnly with a service's."""
        if self.is_admin(headers):
            return
        if not _key_in(headers):
            raise Unauthenticated("This needs the admin key (`server.admin_key`) as `Authorization: Bearer ADMIN_KEY`.")
        self.service(headers)
        raise AdminOnly("A service's key cannot do this; it needs the admin key (`server.admin_key`).")

    def _of_minted(self, key: str, digest: str) -> Service:
        key_id = id_in(key)
        kept = self._keys.find(key_id) if key_id is not None else None
        if kept is None or not hmac.compare_digest(digest, kept.digest):
            raise Unauthenticated(_UNKNOWN)
        self._must_be_good(kept)
        service = self._services.get(kept.service)
        if service is None:
            raise Unauthenticated(f"The service of this API key, `{kept.service}`, is not configured here.")
        return service

    def _must_be_good(self, key: ServiceKey) -> None:
        """Said to holders of the whole key only."""
        lapse = key.lapse(self._clock.unix_s())
        if lapse is None:
            return
        ended_s = key.revoked_s if lapse == "revoked" else key.expires_s
        when = datetime.fromtimestamp(ended_s or 0, UTC).strftime("%Y-%m-%d %H:%M UTC")
        word = "was revoked" if lapse == "revoked" else "expired"
        raise Unauthenticated(f"This API key {word} at {when}. Ask the operator of this gateway for another.")


def _key_in(headers: Mapping[str, str]) -> str | None:
    key = headers.get("x-api-key")
    if key:
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
