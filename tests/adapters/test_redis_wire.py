from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.adapters.redis_wire import Address, RedisWire
from tests.fixtures.state import PATIENT_S, Valkey


def path_of(url: str) -> str:
    return url.removeprefix("unix://")


@pytest.fixture
async def wire(redis_url: str) -> AsyncIterator[RedisWire]:
    opened = RedisWire(Address(path=path_of(redis_url)), timeout_s=PATIENT_S)
    yield opened
    await opened.close()


async def test_a_reply_belongs_to_its_command_however_many_are_on_their_way(wire: RedisWire) -> None:
    asked = [wire.send("ECHO", f"{number}") for number in range(1_000)]
    assert await asyncio.gather(*asked) == [f"{number}".encode() for number in range(1_000)]


async def test_what_nobody_waits_for_any_more_does_not_shift_the_replies(wire: RedisWire) -> None:
    first, second = wire.send("ECHO", "one"), wire.send("ECHO", "two")
    first.cancel()
    assert await second == b"two"


async def test_a_refusal_is_its_commands_own_and_says_which_sort_it_is(wire: RedisWire) -> None:
    refused, unknown, fine = wire.send("HSET"), wire.send("EVALSHA", "0" * 40, 0), wire.send("ECHO", "fine")
    assert await fine == b"fine"
    with pytest.raises(NoScriptError):
        await unknown
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        await refused


async def test_no_value_and_nested_replies_come_as_they_are(wire: RedisWire) -> None:
    assert await wire.send("GET", "nothing") is None
    assert await wire.send("EVAL", "return {1, {'two', false}, 'x'}", 0) == [1, [b"two", None], b"x"]


async def test_it_is_opened_with_its_password_and_its_database(own_valkey: Callable[..., Valkey]) -> None:
    path = path_of(own_valkey("--requirepass", "secret").url)
    first = RedisWire(Address(path=path, password="secret", database=3), timeout_s=PATIENT_S)
    await first.send("SET", "a", "1", "EX", 60)
    elsewhere = RedisWire(Address(path=path, password="secret"), timeout_s=PATIENT_S)
    assert await elsewhere.send("GET", "a") is None
    assert await first.send("GET", "a") == b"1"
    wrong = RedisWire(Address(path=path, password="guess"), timeout_s=PATIENT_S)
    with pytest.raises((RedisConnectionError, ResponseError)):
        await wrong.send("GET", "a")
    for one in (first, elsewhere, wrong):
        await one.close()


async def test_a_server_that_is_not_there_is_an_error_and_nothing_is_left_behind(tmp_path: Path) -> None:
    wire = RedisWire(Address(path=str(tmp_path / "none.sock")), timeout_s=PATIENT_S)
    with pytest.raises(RedisConnectionError, match="No such file"):
        await wire.send("PING")
    await wire.close()


async def test_a_frozen_server_is_given_up_after_the_time_out_and_asked_anew(own_valkey: Callable[..., Valkey]) -> None:
    valkey = own_valkey()
    wire = RedisWire(Address(path=path_of(valkey.url)), timeout_s=0.2)
    valkey.freeze()
    asked = [wire.send("PING") for _ in range(3)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RedisTimeoutError] * 3
    valkey.thaw()
    patient = RedisWire(Address(path=path_of(valkey.url)), timeout_s=PATIENT_S)
    assert await patient.send("PING") == b"PONG"
    await patient.close()
    await wire.close()


async def test_a_killed_server_fails_who_waits_at_once_and_its_successor_is_found(
    own_valkey: Callable[..., Valkey],
) -> None:
    valkey = own_valkey()
    wire = RedisWire(Address(path=path_of(valkey.url)), timeout_s=PATIENT_S)
    assert await wire.send("PING") == b"PONG"
    valkey.freeze()
    waiting = wire.send("PING")
    await asyncio.sleep(0)  # it leaves with the end of this turn
    valkey.kill()
    with pytest.raises(RedisConnectionError):
        await waiting
    valkey.start()
    assert await wire.send("PING") == b"PONG"
    await wire.close()


async def test_what_does_not_speak_redis_is_not_believed(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    path = str(tmp_path / "other.sock")
    async with await asyncio.start_unix_server(babble, path):
        wire = RedisWire(Address(path=path), timeout_s=PATIENT_S)
        with pytest.raises(RedisConnectionError, match="did not speak Redis"):
            await wire.send("PING")
        await wire.close()


async def test_closing_fails_who_still_waits(own_valkey: Callable[..., Valkey]) -> None:
    valkey = own_valkey()
    wire = RedisWire(Address(path=path_of(valkey.url)), timeout_s=PATIENT_S)
    valkey.freeze()
    waiting = wire.send("PING")
    await wire.close()
    with pytest.raises(RedisConnectionError):
        await waiting
    valkey.thaw()


async def test_of_several_commands_the_last_reply_is_heard_or_the_first_refusal(wire: RedisWire) -> None:
    assert await wire.send_all([("SET", "a", 1, "EX", 60), ("INCR", "a"), ("GET", "a")]) == b"2"
    with pytest.raises(ResponseError, match="wrong number"):
        await wire.send_all([("SET", "b", 1, "EX", 60), ("HSET",), ("GET", "b")])
    assert await wire.send("GET", "b") == b"1"
