"""A script of `lua/`, run on the server by its digest."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from gateway.adapters.redis_link import RedisLink


class LuaScript:
    """`name` is the file's, without its ending. A server that does not have the script yet is sent it whole, once."""

    def __init__(self, link: RedisLink, name: str) -> None:
        self._link = link
        self._script = files("gateway.adapters").joinpath(f"lua/{name}.lua").read_text()
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's name for it

    async def run(self, keys: int, *arguments: str | int, twice: bool = False) -> Any:
        """The first so many `arguments` are keys. Raises as `RedisLink.call`."""
        try:
            return await self._link.ask("write", "EVALSHA", self._sha, keys, *arguments, twice=twice)
        except NoScriptError:
            return await self._link.ask("write", "EVAL", self._script, keys, *arguments, twice=twice)
