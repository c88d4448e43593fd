"""One cell of the table: a gateway in front of four strict providers, one of which a check looks at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.fixtures.gateway import Running, chat
from tests.loopback import Upstream

MODELS = {
    "openai": "gpt-6.1-terra",
    "deepseek": "deepseek-flash",
    "anthropic": "claude-opus-5-5",
    "llamacpp": "local",
}
OPENAI_LIKE = ("openai", "deepseek", "llamacpp")

Message = dict[str, Any]


def on(*backends: str) -> pytest.MarkDecorator:
    """Only these providers."""
    return pytest.mark.on(*backends)


whole = pytest.mark.modes("whole")
streamed = pytest.mark.modes("streamed")
keyed = pytest.mark.keyed


@dataclass(frozen=True)
class Case:
    """What a check may use. `upstreams` are all four providers, `backend` names the one that `model` is at."""

    gateway: Running
    upstreams: Mapping[str, Upstream]
    sdk: AsyncOpenAI
    backend: str
    streamed: bool

    @property
    def upstream(self) -> Upstream:
        return self.upstreams[self.backend]

    @property
    def model(self) -> str:
        return MODELS[self.backend]

    @property
    def sent(self) -> Any:
        """The body of the last request that reached the provider."""
        return self.upstream.requests[-1].body

    async def ask(self, asked: str | Iterable[Message], **fields: Any) -> ChatCompletion:
        """A client's view of an answer: whole, or put together from its stream by the SDK's own accumulator."""
        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
        request: dict[str, Any] = {"model": self.model, "messages": messages, **fields}
        if not self.streamed:
            completion = await self.sdk.chat.completions.create(**request)
            assert isinstance(completion, ChatCompletion)
            return completion
        options = {"stream": True, "stream_options": {"include_usage": True}}
        state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
        async for chunk in await self.sdk.chat.completions.create(**{**request, **options}):
            state.handle_chunk(chunk)
        # Not its final completion: that is for parsed answers, and raises for one that was cut or filtered.
        return state.current_completion_snapshot

    async def ask_or_refused(self, param: str, asked: str, **fields: Any) -> ChatCompletion | None:
        """None when it was refused with a 400 that names `param`: what a model cannot do, it may say."""
        try:
            return await self.ask(asked, **fields)
        except openai.BadRequestError as error:
            if error.param != param:
                raise
            return None

    async def chunks(self, asked: str, **fields: Any) -> list[ChatCompletionChunk]:
        """The stream's chunks as the SDK sees them."""
        stream = await self.sdk.chat.completions.create(**chat(asked, self.model, **fields), stream=True)
        return [chunk async for chunk in stream]

    async def wire(self, asked: str = "Hello there", **fields: Any) -> httpx.Response:
        """The response as it is on the wire."""
        return await self.gateway.ask(asked, self.model, stream=self.streamed, **fields)

    @asynccontextmanager
    async def opened(self, asked: str = "Hello there") -> AsyncIterator[httpx.Response]:
        """The same, with the body still to be read; leaving early is a client that leaves."""
        body = chat(asked, self.model, stream=self.streamed)
        async with self.gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
            yield response


def frames(response: httpx.Response) -> list[Any]:
    """The JSON of each `data:` line but `[DONE]`."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def calls(answer: ChatCompletion) -> list[tuple[str, Any]]:
    """Name and parsed arguments of each function call."""
    found = answer.choices[0].message.tool_calls or []
    return [(call.function.name, json.loads(call.function.arguments)) for call in found if call.type == "function"]


def tool(name: str, **properties: str) -> dict[str, Any]:
    """A function tool whose properties have these JSON types."""
    schema = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": schema}}
