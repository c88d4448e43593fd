from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    OutOfMemoryError,
    RedisClusterException,
    ResponseError,
)

from gateway.adapters.redis_client import RedisClient, RedisTrouble, Refused, Unanswered, connect, translate


async def settings(url: str) -> dict[str, Any]:
    client = connect(url)
    assert isinstance(client, Redis)
    await client.aclose()
    return client.connection_pool.connection_kwargs


async def test_it_connects_over_a_unix_socket(redis_url: str) -> None:
    client = connect(redis_url)
    assert await client.ping()
    await client.aclose()


@pytest.mark.parametrize("url", ["unix:///run/valkey.sock", "redis://cache:6380/2", "rediss://user:secret@cache"])
async def test_it_waits_50_ms_and_never_tries_again(url: str) -> None:
    used = await settings(url)
    assert (used["socket_timeout"], used["socket_connect_timeout"]) == (0.05, 0.05)
    assert used["retry"].get_retries() == 0


async def test_host_port_database_and_credentials_come_from_the_url() -> None:
    used = await settings("redis://user:p%40ss@cache:6380/2")
    assert (used["host"], used["port"], used["db"]) == ("cache", 6380, 2)
    assert (used["username"], used["password"]) == ("user", "p@ss")


async def test_a_cluster_url_names_its_first_nodes() -> None:
    client = connect("redis+cluster://user:p%40ss@127.0.0.1:7001,127.0.0.2")
    assert isinstance(client, RedisCluster)
    assert [(node.host, node.port) for node in client.startup_nodes] == [("127.0.0.1", 7001), ("127.0.0.2", 6379)]
    used = client.nodes_manager.connection_kwargs
    assert (used["username"], used["password"], used["socket_timeout"]) == ("user", "p@ss", 0.05)
    assert client.retry.get_retries() == 0
    await client.aclose()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no scheme"),
        ("cache:6379", "scheme is 'cache'"),
        ("http://cache", "scheme is 'http'"),
        ("unix://", "no socket"),
        ("redis://", "no host"),
        ("redis://cache:port", "[Pp]ort"),
        ("redis://cache:70000", "[Pp]ort"),
        ("redis://cache/first", "database is not a number"),
        ("redis://cache?socket_timeout=60", "'socket_timeout' is not one of"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://a:7001,", "no host"),
        ("redis+cluster://a:7001/2", "neither a database"),
    ],
)
def test_a_bad_url_is_an_error_that_says_why_and_what_to_write(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"{why}.*; write unix://"):
        connect(url)


def test_an_error_about_a_url_does_not_repeat_its_password() -> None:
    with pytest.raises(ValueError, match="not a number") as caught:
        connect("redis://user:hunter2@cache/first")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (OutOfMemoryError("OOM command not allowed"), Refused),
        (ResponseError("ERR unknown command, with args beginning with: 'sk-secret'"), Refused),
        (AuthenticationError("invalid username-password pair"), Unanswered),
        (ClusterDownError("CLUSTERDOWN"), Unanswered),
        (RedisClusterException("no node"), Unanswered),
        (TimeoutError(), Unanswered),
        (RuntimeError("a surprise"), Unanswered),
    ],
)
def test_every_error_becomes_one_of_ours(error: Exception, trouble: type[RedisTrouble]) -> None:
    translated = translate(error)
    assert type(translated) is trouble
    assert "sk-secret" not in str(translated)


async def test_a_thousand_cancelled_commands_leave_no_answer_for_the_next_one(redis_client: RedisClient) -> None:
    for number in range(50):
        await redis_client.set(str(number), str(number))
    for round_number in range(20):
        asked = [asyncio.create_task(_get(redis_client, str(number))) for number in range(50)]
        for _ in range(round_number % 7):
            await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
        answers = await asyncio.gather(*(_get(redis_client, str(number)) for number in range(50)))
        assert answers == [str(number).encode() for number in range(50)]


async def _get(client: RedisClient, key: str) -> object:
    return await client.get(key)
