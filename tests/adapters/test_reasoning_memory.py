"""Reasoning that a client dropped is there again in its next turn."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.http1_transport import Http1Transport
from gateway.adapters.http_provider import HttpProvider
from gateway.adapters.reasoning_memory import TTL_S, ReasoningMemory
from gateway.core.chat import parse_chat
from gateway.core.chunks import assemble
from gateway.core.plan import Model
from gateway.core.tiers import Tier
from gateway.dialects.deepseek import DeepSeek
from tests import loopback
from tests.dialects.asking import WEATHER

MODEL = Model("deepseek-flash", "deepseek", "deepseek-flash", Tier.LIGHT)
USER = {"role": "user", "content": "What is the weather in Paris?"}
CALLING = loopback.Answer(
    tool_calls=(loopback.ToolCall("get_weather", '{"city": "Paris"}', "call_00_a"),), reasoning="I should look."
)


class KeptHere:
    """Implements `ports.Cache`; remembers how long things were to be kept."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.ttls_s: set[int] = set()

    def at_hand(self, key: str) -> bytes | None:
        return None

    def may_have(self, key: str) -> bool:
        return True

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes, ttl_s: int, owner: str = "") -> None:
        self.values[key] = value
        self.ttls_s.add(ttl_s)

    async def forget(self, owner: str | None = None, key: str | None = None) -> int | None:
        raise AssertionError("nobody forgets here")


async def ask(upstream: loopback.Upstream, cache: KeptHere, *messages: dict[str, Any], stream: bool = False) -> Any:
    """One turn; each has a memory of its own, so that only the cache connects them."""
    transport = Http1Transport()
    provider = HttpProvider("deepseek", upstream.base_url, upstream.api_key, DeepSeek(), transport)
    chat = parse_chat({"model": "m", "messages": list(messages), "tools": [WEATHER], "stream": stream})
    try:
        remembering = ReasoningMemory(provider, cache)
        if not stream:
            return (await remembering.answer(chat, MODEL, None)).completion["choices"][0]["message"]
        async with remembering.chat(chat, MODEL, None) as answer:
            return assemble([chunk async for portion in answer.portions for chunk in portion])["choices"][0]["message"]
    finally:
        await transport.close()


def without_reasoning(message: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "reasoning_content"} | changed


RESULT = {"role": "tool", "tool_call_id": "call_00_a", "content": "18 degrees"}


@pytest.mark.parametrize("stream", [False, True])
async def test_dropped_reasoning_is_put_back(deepseek_upstream: loopback.Upstream, stream: bool) -> None:
    cache = KeptHere()
    deepseek_upstream.script(CALLING)
    message = await ask(deepseek_upstream, cache, USER, stream=stream)
    assert message["reasoning_content"] == "I should look."
    await ask(deepseek_upstream, cache, USER, without_reasoning(message), RESULT, stream=stream)
    assert deepseek_upstream.requests[-1].body["messages"][1]["reasoning_content"] == "I should look."
    assert not deepseek_upstream.refusals
    assert cache.ttls_s == {TTL_S}


async def test_arguments_written_anew_are_the_same_call(deepseek_upstream: loopback.Upstream) -> None:
    cache = KeptHere()
    deepseek_upstream.script(CALLING)
    message = await ask(deepseek_upstream, cache, USER)
    (call,) = message["tool_calls"]
    anew = {**call, "function": {**call["function"], "arguments": '{ "city":"Paris" }'}}
    await ask(deepseek_upstream, cache, USER, without_reasoning(message, tool_calls=[anew]), RESULT)
    assert deepseek_upstream.requests[-1].body["messages"][1]["reasoning_content"] == "I should look."


async def test_an_id_alone_finds_nobodys_reasoning(deepseek_upstream: loopback.Upstream) -> None:
    cache = KeptHere()
    deepseek_upstream.script(CALLING)
    message = await ask(deepseek_upstream, cache, USER)
    (call,) = message["tool_calls"]
    guessed = {**call, "function": {**call["function"], "arguments": "{}"}}
    await ask(deepseek_upstream, cache, USER, without_reasoning(message, tool_calls=[guessed]), RESULT)
    assert deepseek_upstream.requests[-1].body["messages"][1]["reasoning_content"] == ""


async def test_what_the_client_kept_is_left_alone(deepseek_upstream: loopback.Upstream) -> None:
    cache = KeptHere()
    deepseek_upstream.script(CALLING)
    message = await ask(deepseek_upstream, cache, USER)
    await ask(deepseek_upstream, cache, USER, {**message, "reasoning_content": "Mine."}, RESULT)
    assert deepseek_upstream.requests[-1].body["messages"][1]["reasoning_content"] == "Mine."


async def test_an_answer_without_calls_is_not_kept(deepseek_upstream: loopback.Upstream) -> None:
    cache = KeptHere()
    await ask(deepseek_upstream, cache, USER)
    assert cache.values == {}
