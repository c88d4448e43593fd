"""The file of minted keys, for callers on the event loop: it is written in a thread, and its errors are the API's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gateway.adapters.key_file import KeyFile, KeyFileError, KeyRefused, UnknownKey
from gateway.adapters.watched_keys import WatchedKeys
from gateway.core.errors import InvalidRequest, NotFound, Unavailable
from gateway.core.service_key import Minted, ServiceKey

T = TypeVar("T")


class KeyDesk:
    """Implements `ports.KeyDesk`. What is done here holds at once in this process, and within a second in others."""

    def __init__(self, file: KeyFile, watched: WatchedKeys) -> None:
        self._file = file
        self._watched = watched

    async def all(self) -> tuple[ServiceKey, ...]:
        return await self._behind(self._file.read)

    async def create(self, service: str, name: str, lifetime_s: int | None) -> Minted:
        return await self._behind(lambda: self._file.create(service, name, lifetime_s))

    async def rotate(self, id: str, grace_s: int) -> Minted:
        return await self._behind(lambda: self._file.rotate(id, grace_s))

    async def revoke(self, id: str) -> ServiceKey:
        return await self._behind(lambda: self._file.revoke(id))

    async def _behind(self, work: Callable[[], T]) -> T:
        with _translated():
            try:
                return await asyncio.to_thread(work)
            finally:
                self._watched.look_again()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except UnknownKey as error:
        raise NotFound(str(error), param="id") from error
    except KeyRefused as error:
        raise InvalidRequest(str(error), param="id") from error
    except KeyFileError as error:
        raise Unavailable(str(error)) from error
