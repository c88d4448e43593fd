"""The file of minted service keys. One JSON document, readable by its owner only, written whole and renamed into place.

Writers take turns on a lock file beside it (two `thriftgate keys`, or one and the admin API), so no key is lost to
another's write; readers need no lock, because a rename shows them the old file or the new one. The lock file is never
removed: removing it would let two writers lock two files of one name.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.core.service_key import ID_FORM, Minted, ServiceKey, digest_of, written
from gateway.ports import Clock

Stamp = tuple[int, int, int]
_ID_CHARACTERS = string.ascii_lowercase + string.digits
_SECRET_BYTES = 32


class KeyFileError(Exception):
    """The file cannot be read or written; the message names it and the mend, and nothing that is in it."""


class KeyRefused(Exception):
    """What was asked of a key cannot be done to it; the message says why."""


class UnknownKey(KeyRefused):
    """There is no key of that id."""


class KeyFile:
    """Everything here blocks for as long as the disk does. A file that is not there yet holds no keys."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    def stamp(self) -> Stamp | None:
        """Another one whenever the file has changed; None while there is no file. Raises KeyFileError."""
        with self._troubles("read"):
            try:
                found = self.path.stat()
            except FileNotFoundError:
                return None
            return found.st_ino, found.st_size, found.st_ctime_ns

    def read(self) -> tuple[ServiceKey, ...]:
        """All keys, also those that are over, oldest first. Raises KeyFileError."""
        with self._troubles("read"):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                return ()
        try:
            keys = tuple(row.key() for row in _Document.model_validate_json(content).keys)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the document"
            raise self._damaged(f"{place}: {first['msg']}") from None  # its own text quotes the file
        if len({key.id for key in keys}) < len(keys):
            raise self._damaged("two keys have the same id")
        return keys

    def create(self, service: str, name: str = "", lifetime_s: int | None = None) -> Minted:
        """A new key of the service. Raises KeyFileError."""
        with self._writing() as keys:
            minted = self._minted(keys, service, name, lifetime_s)
            keys[minted.key.id] = minted.key
        return minted

    def rotate(self, id: str, grace_s: int) -> Minted:
        """Another key in the place of this one, for the same lifetime; the old one is good for `grace_s` more.

        Raises UnknownKey, KeyRefused for a key that is over, KeyFileError.
        """
        with self._writing() as keys:
            old, now_s = _found(keys, id), self._now_s()
            lapse = old.lapse(now_s)
            if lapse is not None:
                raise KeyRefused(f"Key {old.prefix} is {lapse}; create another for service `{old.service}`.")
            lifetime_s = None if old.expires_s is None else old.expires_s - old.created_s
            minted = self._minted(keys, old.service, old.name, lifetime_s)
            keys[id] = old.succeeded(now_s, grace_s)
            keys[minted.key.id] = minted.key
        return minted

    def revoke(self, id: str) -> ServiceKey:
        """From now on the key is refused; revoking twice changes nothing. Raises UnknownKey, KeyFileError."""
        with self._writing() as keys:
            keys[id] = _found(keys, id).revoked(self._now_s())
            return keys[id]

    def _minted(self, keys: dict[str, ServiceKey], service: str, name: str, lifetime_s: int | None) -> Minted:
        key_id = next(fresh for fresh in iter(_fresh_id, None) if fresh not in keys)
        secret, now_s = written(key_id, secrets.token_urlsafe(_SECRET_BYTES)), self._now_s()
        expires_s = None if lifetime_s is None else now_s + lifetime_s
        return Minted(ServiceKey(key_id, digest_of(secret), service, name, now_s, expires_s), secret)

    def _now_s(self) -> int:
        return int(self._clock.unix_s())

    @contextmanager
    def _writing(self) -> Iterator[dict[str, ServiceKey]]:
        """The keys by id, to be changed; what they are at the end is written, unless the block raises."""
        with self._troubles("written"):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self._troubles("written"):
                fcntl.flock(lock, fcntl.LOCK_EX)
            keys = {key.id: key for key in self.read()}
            yield keys
            with self._troubles("written"):
                self._write(keys)
        finally:
            os.close(lock)

    def _write(self, keys: dict[str, ServiceKey]) -> None:
        """Whole and on the disk before it takes the name: a crash leaves the old file or the new one."""
        document = _Document(version=1, keys=[_Row.of(key) for key in keys.values()])
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.unlink(missing_ok=True)  # left by a writer that was killed
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(document.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a power cut could bring a revoked key back
        finally:
            os.close(folder)

    @contextmanager
    def _troubles(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise KeyFileError(
                f"the keys in {self.path} cannot be {doing}: {error.strerror}. See `keys_file` in config/README.md."
            ) from error

    def _damaged(self, why: str) -> KeyFileError:
        return KeyFileError(f"{self.path} is not a file of keys ({why}). Mend it, or put it away and create new keys.")


def _fresh_id() -> str:
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))


def _found(keys: dict[str, ServiceKey], id: str) -> ServiceKey:
    try:
        return keys[id]
    except KeyError:
        raise UnknownKey("There is no such key; `thriftgate keys list` shows those there are.") from None


class _Row(BaseModel):
    """One key in the file: moments as people read them, in UTC."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=f"^{ID_FORM}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    service: str
    name: str
    created: AwareDatetime
    expires: AwareDatetime | None
    revoked: AwareDatetime | None

    @staticmethod
    def of(key: ServiceKey) -> _Row:
        return _Row(
            id=key.id,
            sha256=key.digest,
            service=key.service,
            name=key.name,
            created=datetime.fromtimestamp(key.created_s, UTC),
            expires=None if key.expires_s is None else datetime.fromtimestamp(key.expires_s, UTC),
            revoked=None if key.revoked_s is None else datetime.fromtimestamp(key.revoked_s, UTC),
        )

    def key(self) -> ServiceKey:
        return ServiceKey(
            self.id,
            self.sha256,
            self.service,
            self.name,
            int(self.created.timestamp()),
            None if self.expires is None else int(self.expires.timestamp()),
            None if self.revoked is None else int(self.revoked.timestamp()),
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    keys: list[_Row]
