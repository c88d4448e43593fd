"""Connecting to Redis or Valkey from a URL, and the one table that turns its errors into ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ClusterError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.adapters.redis_wire import Address, RedisWire

RedisClient = Redis | RedisCluster

# redis-py 8.1's own defaults blocked one command for 57.9 s on a frozen server and for 3.8 s on a dead one; with 50 ms
# and no retries it was 0.055 s and 0.001 s (measured 2026-11 on two loaded cores).
TIMEOUT_S = 0.05
_FORMS = "unix:///path/to.sock, redis://host:port/db, rediss://host:port/db or redis+cluster://host:port,host:port"
# Query options always win over arguments in redis-py, so none that could bring back a long wait is let through.
_OPTIONS = {"db", "username", "password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}


class PipelinedRedis(Redis):
    """redis-py, and beside it pipelined connections for the commands that requests wait for (`RedisLink.ask`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wires: list[RedisWire] = []

    def wire(self) -> RedisWire:
        """Another one, closed with this client. Each component has its own: what blocks one, a large value on a slow
        network, must not time out what another waits for."""
        said = self.connection_pool.connection_kwargs
        self._wires.append(RedisWire(_address(said), timeout_s=said["socket_timeout"]))
        return self._wires[-1]

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        for wire in self._wires:
            await wire.close()
        await super().aclose(close_connection_pool)


class RedisTrouble(Exception):
    """What every failure of Redis becomes; it never leaves the adapters. The text holds no keys and no values."""


class Unanswered(RedisTrouble):
    """No answer in time, or no connection. The command may have run all the same."""


class NotAsked(Unanswered):
    """The breaker is open: the command was certainly not sent."""


class Refused(RedisTrouble):
    """The server answered, and said no (out of memory, read-only, an error in a script)."""


def translate(error: Exception) -> RedisTrouble:
    """The one table. What redis-py does not list (it also raises plain exceptions) counts as no answer.

    The text of a ResponseError may quote the command, so only its class is kept.
    """
    name = type(error).__name__
    if isinstance(error, ResponseError) and not isinstance(error, ClusterError):
        return Refused(name)
    if isinstance(error, (OSError, RedisConnectionError, RedisTimeoutError)) and str(error):
        return Unanswered(f"{name}: {error}")
    return Unanswered(name)


def connect(url: str, *, timeout_s: float = TIMEOUT_S) -> RedisClient:
    """A client for the URL. Opens nothing yet; close it with `aclose()`.

    Raises ValueError, whose text never repeats the URL, because a URL may hold a password.
    """
    try:
        parts = urlsplit(url)
        nodes = _nodes(parts) if parts.scheme == "redis+cluster" else []
        _check(parts)
    except ValueError as error:
        raise ValueError(f"not a Redis URL ({error}); write {_FORMS}") from error
    once = Retry(NoBackoff(), 0)
    if parts.scheme == "rediss":
        return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=once)
    if not nodes:
        pipelined = PipelinedRedis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=once)
        assert isinstance(pipelined, PipelinedRedis)
        return pipelined
    return RedisCluster(
        startup_nodes=nodes,
        username=parts.username and unquote(parts.username),
        password=parts.password and unquote(parts.password),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=once,
        # By default the fifth MOVED closes the connections of every command in flight (2026-11, three nodes, 8 at once
        # on a new client: 18 to 33 of 120 commands failed; with 0, none). Each MOVED still mends its own slot.
        reinitialize_steps=0,
    )


def _address(said: Mapping[str, Any]) -> Address:
    """As redis-py has read it from the URL."""
    return Address(
        said.get("path", ""),
        said.get("host", ""),
        said.get("port", 6379),
        said.get("username"),
        said.get("password"),
        said.get("db") or 0,
    )


def _check(parts: SplitResult) -> None:
    """Raises ValueError for what redis-py would accept and misread."""
    if parts.scheme not in ("unix", "redis", "rediss", "redis+cluster"):
        raise ValueError(f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme")
    if parts.scheme == "unix" and not parts.path:
        raise ValueError("it names no socket")
    if parts.scheme in ("redis", "rediss"):
        _check_server(parts)
    if unknown := set(parse_qs(parts.query, keep_blank_values=True)) - _OPTIONS:
        raise ValueError(f"the option {min(unknown)!r} is not one of {', '.join(sorted(_OPTIONS))}")


def _check_server(parts: SplitResult) -> None:
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.port == 0:
        raise ValueError("port 0 is no port")
    database = parts.path.strip("/")
    if database and not database.isdecimal():
        raise ValueError("its database is not a number")


def _nodes(parts: SplitResult) -> list[ClusterNode]:
    """The start-up nodes of `redis+cluster://user:password@a:7001,b:7002`."""
    addresses = parts.netloc.rpartition("@")[2].split(",")
    nodes = [urlsplit(f"//{address}") for address in addresses]
    if not all(node.hostname for node in nodes):
        raise ValueError("one of its nodes has no host")
    if parts.path.strip("/") or parts.query:
        raise ValueError("a cluster has neither a database nor options")
    return [ClusterNode(node.hostname or "", node.port or 6379) for node in nodes]
