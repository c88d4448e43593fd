from __future__ import annotations

from typing import Any

import pytest

from gateway.core.usage import Usage
from tests.loopback import Answer, Upstream
from tests.loopback.asking import ask, events

USER = {"role": "user", "content": "Hello there"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "noon"}
PLAIN = {"type": "disabled"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "deepseek-flash", "messages": [USER], **changes}


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"messages": [{"role": "developer", "content": "x"}, USER]}, 422, "unknown variant `developer`"),
        ({"messages": []}, 400, "Empty input messages"),
        ({"model": "deepseek-chat"}, 400, "Model Not Exist"),
        ({"n": 2}, 400, "n = 1"),
        ({"max_tokens": 0}, 400, "valid range of max_tokens"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, 400, "unavailable now"),
        ({"response_format": {"type": "json_object"}}, 400, "must contain the word 'json'"),
        ({"messages": [USER, ASKED, ANSWERED]}, 400, "Missing `reasoning_content` field"),
        ({"tools": [{}], "tool_choice": "required"}, 400, "does not support this tool_choice"),
        ({"thinking": PLAIN, "messages": [USER, ASKED]}, 400, "insufficient tool messages"),
        ({"thinking": PLAIN, "messages": [USER, ANSWERED]}, 400, "must be a response to a preceding message"),
    ],
)
async def test_it_refuses_what_deepseek_refuses(
    deepseek_upstream: Upstream, changes: dict[str, Any], status: int, words: str
) -> None:
    response = await ask(deepseek_upstream, body(**changes))
    assert response.status_code == status
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [USER, {**ASKED, "reasoning_content": ""}, ANSWERED]},
        {"messages": [USER, ASKED, ANSWERED], "thinking": PLAIN},
        {"unknown_field": 1},
    ],
)
async def test_it_accepts_what_deepseek_accepts(deepseek_upstream: Upstream, changes: dict[str, Any]) -> None:
    assert (await ask(deepseek_upstream, body(**changes))).status_code == 200


async def test_a_wrong_key_is_401(deepseek_upstream: Upstream) -> None:
    assert (await ask(deepseek_upstream, body(), {"authorization": "Bearer sk-wrong"})).status_code == 401


async def test_only_max_tokens_limits(deepseek_upstream: Upstream) -> None:
    free = (await ask(deepseek_upstream, body(thinking=PLAIN, max_completion_tokens=1))).json()
    limited = (await ask(deepseek_upstream, body(thinking=PLAIN, max_tokens=1))).json()
    assert free["choices"][0]["finish_reason"] == "stop"
    assert limited["choices"][0]["finish_reason"] == "length"


async def test_it_thinks_unless_told_not_to(deepseek_upstream: Upstream) -> None:
    thoughtful = (await ask(deepseek_upstream, body())).json()["choices"][0]["message"]
    plain = (await ask(deepseek_upstream, body(thinking=PLAIN))).json()["choices"][0]["message"]
    assert thoughtful["reasoning_content"]
    assert "reasoning_content" not in plain


async def test_cache_hits_and_misses_make_up_the_prompt(deepseek_upstream: Upstream) -> None:
    deepseek_upstream.script(Answer("hi", usage=Usage(100, 5, cache_read_tokens=64)))
    usage = (await ask(deepseek_upstream, body())).json()["usage"]
    assert (usage["prompt_cache_hit_tokens"], usage["prompt_cache_miss_tokens"]) == (64, 36)


async def test_a_stream_carries_usage_on_its_finish_chunk(deepseek_upstream: Upstream) -> None:
    last = events(await ask(deepseek_upstream, body(stream=True)))[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["completion_tokens"] == deepseek_upstream.requests[0].produced_tokens
