from __future__ import annotations

from typing import Any

from tests import loopback
from tests.loopback import Upstream
from tests.loopback.asking import ask, events

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello there"}]}


async def test_neither_the_model_nor_unknown_fields_are_checked(llamacpp_upstream: Upstream) -> None:
    response = await ask(llamacpp_upstream, {**BODY, "model": "anything", "n_predict": -1, "odd": True})
    assert response.status_code == 200
    assert "timings" in response.json()


async def test_while_loading_everything_is_503() -> None:
    flavour = loopback.LlamaCpp()
    flavour.loading = True
    async with loopback.serve(flavour) as upstream:
        error = (await ask(upstream, BODY)).json()["error"]
        flavour.loading = False
        assert error == {"code": 503, "message": "Loading model", "type": "unavailable_error"}
        assert (await ask(upstream, BODY)).status_code == 200


async def test_a_prompt_over_the_context_is_refused_with_its_numbers() -> None:
    async with loopback.serve(loopback.LlamaCpp(n_ctx=4)) as upstream:
        error = (await ask(upstream, BODY)).json()["error"]
    assert error["type"] == "exceed_context_size_error"
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (5, 4)


async def test_a_key_is_asked_for_only_where_one_is_set(llamacpp_upstream: Upstream) -> None:
    assert (await ask(llamacpp_upstream, BODY, {})).status_code == 200
    async with loopback.serve(loopback.LlamaCpp("secret")) as upstream:
        assert (await ask(upstream, BODY, {})).status_code == 401
        assert (await ask(upstream, BODY)).status_code == 200


async def test_missing_messages_are_refused(llamacpp_upstream: Upstream) -> None:
    assert (await ask(llamacpp_upstream, {"model": "x"})).status_code == 400


async def test_a_forced_tool_is_not_honoured(llamacpp_upstream: Upstream) -> None:
    tools = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]
    answer = (await ask(llamacpp_upstream, {**BODY, "tools": tools, "tool_choice": "required"})).json()
    assert answer["choices"][0]["message"]["content"] == "You said: Hello there"


async def test_an_error_in_a_stream_is_an_error_line(llamacpp_upstream: Upstream) -> None:
    llamacpp_upstream.script(loopback.Fail(after_tokens=1))
    response = await ask(llamacpp_upstream, {**BODY, "stream": True})
    assert "\nerror: {" in response.text
    assert len(events(response)) == 2
