"""Anthropic's SDK against /v1/messages, on every provider; both forms of the key and both versions of the API."""

from __future__ import annotations

import anthropic
import httpx2
from anthropic import Anthropic
from checking import KEY, URL, check, on_each_model, play, raises

client = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
MODEL = "claude-haiku-5-5"
WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = {"role": "user", "content": 'call: weather {"city": "Paris"}'}


def hello(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello there"}], **more}


def text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@on_each_model
def answers_whole(model: str) -> None:
    message = client.messages.create(**hello(model, system="Be brief."))
    assert text(message) == "You said: Hello there"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message._request_id


@on_each_model
def answers_as_a_stream(model: str) -> None:
    with client.messages.stream(**hello(model)) as stream:
        assert "".join(stream.text_stream) == "You said: Hello there"
        assert stream.get_final_message().stop_reason == "end_turn"


@on_each_model
def a_tool_loop_goes_round(model: str) -> None:
    first = client.messages.create(model=model, max_tokens=100, messages=[CALL], tools=[WEATHER])
    use = next(block for block in first.content if block.type == "tool_use")
    assert (first.stop_reason, use.input) == ("tool_use", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"}
    messages = [CALL, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    assert (
        client.messages.create(model=model, max_tokens=100, messages=messages, tools=[WEATHER]).stop_reason
        == "end_turn"
    )


@on_each_model
def streamed_tool_calls_are_put_together(model: str) -> None:
    with client.messages.stream(model=model, max_tokens=100, messages=[CALL], tools=[WEATHER]) as stream:
        message = stream.get_final_message()
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"city": "Paris"}]


@on_each_model
def tokens_are_counted(model: str) -> None:
    counted = client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "Hello there"}])
    assert counted.input_tokens > 0


@check
def both_forms_of_the_key_and_both_versions() -> None:
    for key in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        for version in ("2023-06-01", "2026-10-21"):
            answer = httpx2.post(
                f"{URL}/v1/messages", json=hello(MODEL), headers={**key, "anthropic-version": version}, timeout=60
            )
            assert answer.status_code == 200, answer.text


@check
def a_wrong_key_is_an_authentication_error() -> None:
    stranger = Anthropic(base_url=URL, api_key="sk-wrong", max_retries=0)
    raises(anthropic.AuthenticationError, lambda: stranger.messages.create(**hello(MODEL)))


@check
def a_rate_limit_keeps_retry_after() -> None:
    error = raises(anthropic.RateLimitError, lambda: client.messages.create(**hello("gpt-limited")))
    assert 1 <= int(error.response.headers["retry-after"]) <= 7  # what is left, if another client was first


play()
