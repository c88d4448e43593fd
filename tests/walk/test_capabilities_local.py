"""What SmolLM2 on the real llama.cpp engine can be made to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.gateway import Config, Running, running
from tests.walk.test_capabilities import FORMAT, READ, WEATHER, ask, both_modes

MODEL = {
    "provider": "local",
    "tier": "light",
    "price": "free",
    "tools": False,
    "forced_tools": "emulated",
    "default_system": "You are a helpful assistant.",
    **READ,
}


@pytest.fixture
async def gateway(tmp_path: Path, four_providers: Config) -> AsyncIterator[Running]:
    config = {
        "state": four_providers["state"],
        "providers": {"local": {"kind": "llamacpp", "model": "smollm2-135m"}},
        "models": {"local-model": MODEL},
        "cache": {"exact": {"enabled": False}},
    }
    async with running(tmp_path, config) as started:
        yield started


@both_modes
async def test_a_forced_call_is_made_by_a_model_that_knows_no_tools(gateway: Running, streamed: bool) -> None:
    question = "What is the weather in Paris?"
    answered = await ask(
        gateway, "local-model", streamed, question, tools=[WEATHER], tool_choice="required", temperature=0
    )
    (call,) = answered.message["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]).keys() == {"city"}
    assert (answered.choice["finish_reason"], answered.message["content"]) == ("tool_calls", None)


async def test_tools_it_would_not_see_are_refused_by_name(gateway: Running) -> None:
    answered = await ask(gateway, "local-model", False, tools=[WEATHER])
    assert (answered.status, answered.error["param"]) == (400, "tools")
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]
    seen = await ask(gateway, "local-model", False, messages=[{"role": "user", "content": image}])
    assert (seen.status, seen.error["param"]) == (400, "messages[0].content[0]")


@both_modes
async def test_a_schema_holds_it_by_grammar(gateway: Running, streamed: bool) -> None:
    answered = await ask(gateway, "local-model", streamed, "Name a city.", response_format=FORMAT, temperature=0)
    assert json.loads(answered.message["content"]).keys() == {"city"}


async def test_two_choices_have_a_usage_that_counts_both(gateway: Running) -> None:
    answered = await ask(gateway, "local-model", False, "Say hello.", n=2, max_tokens=8)
    assert len(answered.body["choices"]) == 2
    assert answered.body["usage"]["completion_tokens"] > 8 / 2
    assert answered.headers["x-thriftgate-usage"] == "estimated"
