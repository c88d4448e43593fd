"""Gives a provider its own reasoning back where the client has dropped it.

DeepSeek wants the reasoning behind a tool call in every later turn of the loop and refuses a message without the field
(opencode#24722, crewAI#5878); OpenAI's SDK and most frameworks drop it. So it is kept for a while, in the cache that
all gateways share, and put back. Where it is not found the dialect sends "", which is accepted: the loop goes on.

A key is a hash over the whole call (its id, name and arguments), so that nobody finds another's reasoning by trying
ids. Arguments count by value, because clients write their JSON anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson

from gateway.core.chat import ChatRequest, Message
from gateway.core.chunks import Assembler, Chunk, Completion
from gateway.core.plan import Model
from gateway.ports import Answered, Cache, Provider, Upstream

TTL_S = 3_600
"""An hour: a tool loop whose tools take longer goes on without its reasoning."""


class ReasoningMemory:
    """A `Provider` around another."""

    def __init__(self, provider: Provider, cache: Cache) -> None:
        self._provider = provider
        self._cache = cache

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def absence(self) -> str | None:
        return self._provider.absence

    @property
    def waiting_for(self) -> str | None:
        return self._provider.waiting_for

    @asynccontextmanager
    async def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AsyncIterator[Upstream]:
        """See `ports.Provider.chat`."""
        refilled = await self._refilled(chat)
        async with self._provider.chat(refilled, model, max_output_tokens, strict=strict) as upstream:
            if not chat.body.get("tools"):
                yield upstream
                return
            async with aclosing(self._remembered(upstream.portions)) as portions:
                yield replace(upstream, portions=portions)

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> Answered:
        """See `ports.Provider.answer`."""
        answered = await self._provider.answer(await self._refilled(chat), model, max_output_tokens, strict=strict)
        if chat.body.get("tools"):
            await self._keep(answered.completion)
        return answered

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        return await self._provider.embed(body, model)

    async def _refilled(self, chat: ChatRequest) -> ChatRequest:
        if not any(_lost_its_reasoning(message) for message in chat.messages):
            return chat
        return replace(chat, messages=tuple([await self._with_reasoning(message) for message in chat.messages]))

    async def _with_reasoning(self, message: Message) -> Message:
        if _lost_its_reasoning(message):
            for call in message["tool_calls"]:
                key = _key(call)
                found = await self._cache.get(key) if key else None
                if found is not None:
                    return {**message, "reasoning_content": found.decode()}
        return message

    async def _remembered(self, portions: AsyncIterator[Sequence[Chunk]]) -> AsyncGenerator[Sequence[Chunk], None]:
        """The same portions, kept before the client sees the end of them, so that its next turn finds them."""
        answer = Assembler()
        kept = False
        async for portion in portions:
            for chunk in portion:
                answer.add(chunk)
            if not kept and "tool_calls" in answer.finish_reasons.values():
                kept = True
                await self._keep(answer.completion())
            yield portion

    async def _keep(self, completion: Completion) -> None:
        for choice in completion["choices"]:
            message = choice["message"]
            reasoning = message.get("reasoning_content")
            for call in (message.get("tool_calls") or ()) if reasoning else ():
                if key := _key(call):
                    await self._cache.put(key, reasoning.encode(), TTL_S)


def _lost_its_reasoning(message: Message) -> bool:
    calls = message.get("tool_calls")
    return message["role"] == "assistant" and bool(calls) and not message.get("reasoning_content")


def _key(call: object) -> str | None:
    """None for what is no call with an id."""
    match call:
        case {"id": str(call_id), "function": {"name": str(name), "arguments": str(arguments)}}:
            known = orjson.dumps(["reasoning", call_id, name, _value(arguments)], option=orjson.OPT_SORT_KEYS)
            return hashlib.sha256(known).hexdigest()
    return None


def _value(arguments: str) -> Any:
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
