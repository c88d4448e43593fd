"""What each backend is asked for it gives, or says by name that it cannot: on all four, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.chunks import assemble
from gateway.core.events import RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running
from tests.loopback import Upstream

MODELS = {
    "openai": "gpt-6.1-terra",
    "anthropic": "claude-opus-5-5",
    "deepseek": "deepseek-flash",
    "llamacpp": "local",
}
BACKENDS = sorted(MODELS)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
READ = {"source": "tests/loopback", "checked": "2026-11-23"}

both_modes = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
on_all_four = pytest.mark.parametrize("backend", BACKENDS)


class Answered:
    """A response of either mode, put together."""

    def __init__(self, response: Any, streamed: bool) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.chunks: list[dict[str, Any]] = []
        if streamed and self.status == 200:
            lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
            assert lines[-1] == "[DONE]"
            self.chunks = [json.loads(line) for line in lines[:-1]]
            self.body = assemble(self.chunks)
        else:
            self.body = response.json()

    @property
    def choice(self) -> dict[str, Any]:
        choice: dict[str, Any] = self.body["choices"][0]
        return choice

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = self.choice["message"]
        return message

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error


async def ask(
    gateway: Running,
    model: str,
    streamed: bool,
    text: str = "Hello",
    headers: dict[str, str] | None = None,
    **body: Any,
) -> Answered:
    stream = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    return Answered(await gateway.ask(text, model, headers or {}, **stream, **body), streamed)


@pytest.fixture
async def gateway(tmp_path: Path, four_providers: Config) -> AsyncIterator[Running]:
    async with running(tmp_path, {**four_providers, "cache": {"exact": {"enabled": False}}}) as started:
        yield started


@on_all_four
@both_modes
async def test_a_json_schema_is_followed_and_no_tool_leaks(
    gateway: Running, four_upstreams: dict[str, Upstream], backend: str, streamed: bool
) -> None:
    four_upstreams["deepseek"].always(loopback.Answer('```json\n{"city": "Hello"}\n```'))
    answered = await ask(gateway, MODELS[backend], streamed, response_format=FORMAT)
    assert json.loads(answered.message["content"]) == {"city": "Hello"}
    assert "tool_calls" not in answered.message
    assert answered.choice["finish_reason"] == "stop"
    assert answered.body["usage"]["total_tokens"] > 0
    assert not four_upstreams[backend].refusals


@both_modes
async def test_an_older_claude_is_held_to_a_schema_by_a_tool_that_no_client_sees(
    tmp_path: Path, four_providers: Config, anthropic_upstream: Upstream, streamed: bool
) -> None:
    older = {"provider": "anthropic", "tier": "heavy", "price": "free", "json_schema": "emulated", **READ}
    four_providers["models"]["claude-opus-4-1"] = older
    async with running(tmp_path, four_providers) as gateway:
        answered = await ask(gateway, "claude-opus-4-1", streamed, response_format=FORMAT)
    assert anthropic_upstream.requests[-1].body["tool_choice"]["type"] == "tool"
    assert json.loads(answered.message["content"]) == {"city": "Hello"}
    assert (answered.choice["finish_reason"], "tool_calls" in answered.message) == ("stop", False)


@both_modes
async def test_a_wrong_answer_is_asked_for_again_and_every_try_is_charged(
    gateway: Running, deepseek_upstream: Upstream, streamed: bool
) -> None:
    deepseek_upstream.script(loopback.Answer('{"town": "Paris"}'), loopback.Answer('{"city": "Paris"}'))
    answered = await ask(gateway, "deepseek-flash", streamed, response_format=FORMAT)
    assert json.loads(answered.message["content"]) == {"city": "Paris"}
    assert answered.headers["x-thriftgate-attempts"] == "2"
    finished = await gateway.events.next(RequestFinished)
    assert finished.usage.total_tokens == 2 * answered.body["usage"]["total_tokens"]


@both_modes
async def test_an_answer_that_stays_wrong_is_a_502_that_says_schema(
    gateway: Running, deepseek_upstream: Upstream, streamed: bool
) -> None:
    deepseek_upstream.always(loopback.Answer('{"town": "Paris"}'))
    answered = await ask(gateway, "deepseek-flash", streamed, response_format=FORMAT)
    assert (answered.status, answered.error["code"]) == (502, "schema_mismatch")
    assert "did not match the JSON schema" in answered.error["message"]
    assert len(deepseek_upstream.requests) == 2


@on_all_four
@both_modes
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_forced_tool_is_called(
    gateway: Running, four_upstreams: dict[str, Upstream], backend: str, streamed: bool, choice: Any
) -> None:
    answered = await ask(gateway, MODELS[backend], streamed, tools=[WEATHER], tool_choice=choice)
    (call,) = answered.message["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Hello"}
    assert call["id"]
    assert answered.choice["finish_reason"] == "tool_calls"
    assert not four_upstreams[backend].refusals


@on_all_four
@both_modes
async def test_one_call_at_a_time_is_one_call(
    gateway: Running, four_upstreams: dict[str, Upstream], backend: str, streamed: bool
) -> None:
    two = (loopback.ToolCall("get_weather", '{"city": "A"}'), loopback.ToolCall("get_weather", '{"city": "B"}'))
    four_upstreams["deepseek"].always(loopback.Answer(tool_calls=two))
    answered = await ask(gateway, MODELS[backend], streamed, tools=[WEATHER], parallel_tool_calls=False)
    assert len(answered.message.get("tool_calls") or ()) <= 1
    assert not four_upstreams[backend].refusals


REFUSED = [
    ("anthropic", {"n": 2}, "n"),
    ("deepseek", {"n": 2}, "n"),
    ("anthropic", {"logprobs": True}, "logprobs"),
    ("anthropic", {"modalities": ["text", "audio"]}, "modalities"),
    ("deepseek", {"audio": {"voice": "alloy"}}, "audio"),
    ("llamacpp", {"web_search_options": {}}, "web_search_options"),
    ("openai", {"grammar": "root ::= x"}, "grammar"),
]


@both_modes
@pytest.mark.parametrize(("backend", "body", "param"), REFUSED)
async def test_what_changes_meaning_is_refused_by_name_before_anything_is_sent(
    gateway: Running,
    four_upstreams: dict[str, Upstream],
    backend: str,
    body: dict[str, Any],
    param: str,
    streamed: bool,
) -> None:
    answered = await ask(gateway, MODELS[backend], streamed, **body)
    assert answered.status == 400
    assert (answered.error["code"], answered.error["param"]) == ("unsupported_parameter", param)
    assert four_upstreams[backend].requests == []
    finished = await gateway.events.next(RequestFinished)
    assert finished.usage.total_tokens == 0
    assert finished.cost_usd == 0


async def test_auto_moves_on_to_a_model_that_can(gateway: Running, four_upstreams: dict[str, Upstream]) -> None:
    answered = await ask(gateway, "auto:heavy", False, n=2)
    assert len(answered.body["choices"]) == 2
    assert answered.headers["x-thriftgate-provider"] != "anthropic"
    assert four_upstreams["anthropic"].requests == []


HINTS: dict[str, Any] = {"seed": 7, "prediction": {"type": "content", "content": "x"}, "verbosity": "low"}


@both_modes
@pytest.mark.parametrize("backend", ["anthropic", "deepseek"])
async def test_hints_are_dropped_and_named(
    gateway: Running, four_upstreams: dict[str, Upstream], backend: str, streamed: bool
) -> None:
    answered = await ask(gateway, MODELS[backend], streamed, **HINTS)
    assert answered.headers["x-thriftgate-dropped-params"] == ",".join(HINTS)
    assert not HINTS.keys() & four_upstreams[backend].requests[-1].body.keys()


@both_modes
@pytest.mark.parametrize("how", ["header", "body"])
async def test_strict_refuses_what_would_be_dropped_and_sends_nothing(
    gateway: Running, four_upstreams: dict[str, Upstream], how: str, streamed: bool
) -> None:
    headers = {"x-thriftgate-strict": "true"} if how == "header" else {}
    body: dict[str, Any] = {"thriftgate": {"strict": True}} if how == "body" else {}
    answered = await ask(gateway, "claude-opus-5-5", streamed, headers=headers, temperature=0.5, seed=7, **body)
    assert answered.status == 400
    assert answered.error["param"] == "temperature"
    assert "`temperature`, `seed`" in answered.error["message"]
    assert four_upstreams["anthropic"].requests == []


async def test_strict_on_auto_finds_a_model_that_takes_everything(gateway: Running) -> None:
    answered = await ask(gateway, "auto:heavy", False, headers={"x-thriftgate-strict": "true"}, seed=7, temperature=0.5)
    assert answered.status == 200
    assert answered.headers["x-thriftgate-model"] == "local"
    assert "x-thriftgate-dropped-params" not in answered.headers


async def test_strict_without_anything_to_drop_is_served(gateway: Running) -> None:
    answered = await ask(gateway, "claude-opus-5-5", False, headers={"x-thriftgate-strict": "true"}, stop=["END"])
    assert answered.status == 200


async def test_a_hit_says_again_what_was_dropped_and_a_strict_request_is_no_hit_for_it(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        asked: dict[str, Any] = {"text": f"Hello {tmp_path.name}", "seed": 7}
        first = await ask(gateway, "claude-opus-5-5", False, **asked)
        again = await ask(gateway, "claude-opus-5-5", False, **asked)
        strict = await ask(gateway, "claude-opus-5-5", False, headers={"x-thriftgate-strict": "true"}, **asked)
        counted = [await ask(gateway, "local", False, n=2, **asked) for _ in range(2)]
    assert [a.headers["x-thriftgate-cache"] for a in (first, again)] == ["miss", "hit"]
    assert [a.headers["x-thriftgate-dropped-params"] for a in (first, again)] == ["seed", "seed"]
    assert (strict.status, strict.error["param"]) == (400, "seed")
    assert [a.headers["x-thriftgate-cache"] for a in counted] == ["miss", "hit"]
    assert [a.headers["x-thriftgate-usage"] for a in counted] == ["estimated", "estimated"]


@both_modes
async def test_a_reasoning_models_sampling_is_taken_while_it_does_not_reason(
    tmp_path: Path, four_providers: Config, openai_upstream: Upstream, streamed: bool
) -> None:
    terra = four_providers["models"]["gpt-6.1-terra"]
    terra |= {"sampling": "without_reasoning", "logprobs": "without_reasoning", "reasoning": "effort"}
    async with running(tmp_path, four_providers) as gateway:
        quiet = await ask(gateway, "gpt-6.1-terra", streamed, temperature=0.5, logprobs=True, reasoning_effort="none")
        loud = await ask(gateway, "gpt-6.1-terra", streamed, temperature=0.5)
        refused = await ask(gateway, "gpt-6.1-terra", streamed, logprobs=True)
    assert openai_upstream.requests[0].body["temperature"] == 0.5
    assert quiet.choice["logprobs"]["content"]
    assert loud.headers["x-thriftgate-dropped-params"] == "temperature"
    assert refused.error["param"] == "logprobs"
    assert not openai_upstream.refusals


@both_modes
async def test_deepseeks_reasoning_is_found_by_another_gateway_when_the_client_dropped_it(
    tmp_path: Path, four_providers: Config, deepseek_upstream: Upstream, streamed: bool
) -> None:
    call = loopback.ToolCall("get_weather", '{"city": "Paris"}', f"call_{tmp_path.name}")
    deepseek_upstream.script(loopback.Answer(tool_calls=(call,), reasoning="I should look."))
    async with running(tmp_path, four_providers) as gateway:
        first = await ask(gateway, "deepseek-flash", streamed, tools=[WEATHER])
    history = [
        *chat("Hello")["messages"],
        {"role": "assistant", "content": None, "tool_calls": first.message["tool_calls"]},
        {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
    ]
    async with running(tmp_path, four_providers) as another:
        second = await ask(another, "deepseek-flash", streamed, messages=history, tools=[WEATHER])
    assert second.status == 200
    assert deepseek_upstream.requests[-1].body["messages"][1]["reasoning_content"] == "I should look."


@both_modes
async def test_an_answer_whose_provider_counted_nothing_has_our_own_count(
    gateway: Running, llamacpp_upstream: Upstream, streamed: bool
) -> None:
    answered = await ask(gateway, "local", streamed, n=2)
    usage = answered.body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    if not streamed:  # a stream's usage is upstream's own
        assert answered.headers["x-thriftgate-usage"] == "estimated"
    finished = await gateway.events.next(RequestFinished)
    assert finished.usage.total_tokens == usage["total_tokens"]


@pytest.mark.parametrize(
    ("deadline", "streamed", "named"), [("first_token_s", True, "first token"), ("total_s", False, "total")]
)
async def test_a_models_own_deadline_is_the_one_that_holds(
    tmp_path: Path, four_providers: Config, openai_upstream: Upstream, deadline: str, streamed: bool, named: str
) -> None:
    config = {**four_providers, "timeouts": {deadline: 100}, "upstream": {"attempts_per_model": 1}}
    config["models"]["gpt-6.1-terra"] |= {"timeouts": {deadline: 0.05}}
    openai_upstream.always(loopback.Silence())
    async with running(tmp_path, config) as gateway:
        answered = await ask(gateway, "gpt-6.1-terra", streamed)
    assert (answered.status, answered.error["code"]) == (504, "upstream_timeout")
    assert f"0.05 s ({named})" in answered.error["message"]


async def test_a_models_own_pause_ends_a_stream_that_has_begun(
    tmp_path: Path, four_providers: Config, openai_upstream: Upstream
) -> None:
    four_providers["models"]["gpt-6.1-terra"] |= {"timeouts": {"between_tokens_s": 0.05}}
    openai_upstream.always(loopback.Stall(after_tokens=1))
    async with running(tmp_path, {**four_providers, "timeouts": {"between_tokens_s": 100}}) as gateway:
        response = await gateway.ask("Hello", "gpt-6.1-terra", stream=True)
    assert response.status_code == 200
    assert "0.05 s (between tokens)" in response.text
    assert "[DONE]" not in response.text
