"""A script of `lua/`, run on the server by its digest."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from gateway.adapters.redis_client import RedisClient


class LuaScript:
    """`name` is the file's, without its ending. A server that does not have the script yet is sent it whole, once."""

    def __init__(self, client: RedisClient, name: str) -> None:
        self._client = client
        self._script = files("gateway.adapters").joinpath(f"lua/{name}.lua").read_text()
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's name for it

    async def run(self, keys: int, *arguments: str | int) -> Any:
        """The first so many `arguments` are keys. Raises what redis-py raises."""
        try:
            return await self._client.evalsha(self._sha, keys, *arguments)
        except NoScriptError:
            return await self._client.eval(self._script, keys, *arguments)
