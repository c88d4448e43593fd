"""OpenAI's SDK, the 2.x line on httpx and the 3.x line on httpx2: the same program must pass on both."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import openai
from checking import BASE_URL, KEY, check, on_each_model, play, raises
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
MODEL = "gpt-6.1-terra"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CALL = {"role": "user", "content": 'call: weather {"city": "Paris"}'}


class Town(BaseModel):
    city: str
    people: int


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@on_each_model
def answers_whole(model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=user("Grüße 🗼 data: [DONE]"))
    assert answer.choices[0].message.content == "You said: Grüße 🗼 data: [DONE]", answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id


@on_each_model
def answers_as_a_stream(model: str) -> None:
    stream = client.chat.completions.create(model=model, messages=user("Hello there"), stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: Hello there"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]


@on_each_model
def the_stream_helper_counts_usage(model: str) -> None:
    options = {"include_usage": True}
    with client.chat.completions.stream(model=model, messages=user("Hello there"), stream_options=options) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "You said: Hello there"
    assert final.usage.total_tokens > 0


@on_each_model
def a_tool_loop_goes_round(model: str) -> None:
    first = client.chat.completions.create(model=model, messages=[CALL], tools=[WEATHER])
    call = first.choices[0].message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    messages = [CALL, first.choices[0].message, result]
    second = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert second.choices[0].finish_reason == "stop"


@on_each_model
def streamed_tool_calls_are_put_together(model: str) -> None:
    with client.chat.completions.stream(model=model, messages=[CALL], tools=[WEATHER]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Paris"}


@on_each_model
def a_schema_is_parsed(model: str) -> None:
    answer = client.chat.completions.parse(
        model=model, messages=user('say: {"city": "Lyon", "people": 520000}'), response_format=Town
    )
    assert answer.choices[0].message.parsed == Town(city="Lyon", people=520_000)


@check
def the_async_client_works() -> None:
    async def ask() -> str:
        async with AsyncOpenAI(base_url=BASE_URL, api_key=KEY) as own:
            answer = await own.chat.completions.create(model="auto", messages=user("Hello there"))
        return answer.choices[0].message.content

    assert asyncio.run(ask()) == "You said: Hello there"


@check
def embeddings_are_decoded() -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=4)
    assert [len(row.embedding) for row in answer.data] == [4, 4]


@check
def models_are_listed_and_got() -> None:
    names = {model.id for model in client.models.list()}
    assert {"auto", MODEL, f"openai/{MODEL}"} <= names, names
    assert client.models.retrieve(f"openai/{MODEL}").id == f"openai/{MODEL}"


@check
def a_wrong_key_is_an_authentication_error() -> None:
    stranger = client.with_options(api_key="sk-wrong")
    raises(openai.AuthenticationError, lambda: stranger.chat.completions.create(model=MODEL, messages=user("Hi")))


@check
def an_unknown_model_is_not_found() -> None:
    error = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="x", messages=user("Hi")))
    assert error.code == "model_not_found"


@check
def a_rate_limit_keeps_retry_after() -> None:
    def ask(stream: bool) -> object:
        return client.chat.completions.create(model="gpt-limited", messages=user("Hi"), stream=stream)

    for error in (raises(openai.RateLimitError, partial(ask, stream)) for stream in (False, True)):
        assert 1 <= int(error.response.headers["retry-after"]) <= 7  # what is left, if another client was first


@check
def a_broken_streamraises() -> None:
    stream = client.chat.completions.create(model="gpt-broken", messages=user("one two three four"), stream=True)
    raises(openai.APIError, lambda: list(stream))


play()
