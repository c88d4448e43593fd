"""Legacy completions, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from gateway.core.chunks import Chunk, Completion
from gateway.core.errors import InvalidRequest, UpstreamCut
from gateway.dialects.served.completions import CompletionRendering, read_completions
from tests.dialects.served.answers import events, parsed, streams


@given(streams())
def test_a_stream_says_what_the_whole_answer_says(pair: tuple[Completion, list[Chunk]]) -> None:
    whole, chunks = pair
    rendering = CompletionRendering("req_1", include_usage=True)
    told, said = events(rendering.stream(), chunks), rendering.whole(whole)
    choices = [choice for chunk in told for choice in chunk["choices"]]
    assert "".join(choice["text"] for choice in choices) == said["choices"][0]["text"]
    assert [choice["finish_reason"] for choice in choices][-1] == said["choices"][0]["finish_reason"]
    assert told[-1]["usage"] == said["usage"]
    assert {chunk["id"] for chunk in told} == {said["id"]} == {"cmpl-1"}


def test_the_prompt_becomes_one_user_message_and_the_rest_passes() -> None:
    body = {"model": "m", "prompt": ["Hi"], "max_tokens": 5, "seed": 1, "echo": False, "best_of": 1, "suffix": None}
    served = read_completions({**body, "thriftgate": {"tier": "light"}}, {}, "req_1")
    message = {"role": "user", "content": "Hi"}
    assert served.chat.body == {"model": "m", "max_tokens": 5, "seed": 1, "messages": [message]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"prompt": "x"}, "model"),
        ({"model": "m"}, "prompt"),
        ({"model": "m", "prompt": [1, 2]}, "prompt"),
        ({"model": "m", "prompt": [[1], [2]]}, "prompt"),
        ({"model": "m", "prompt": ["a", "b"]}, "prompt"),
        ({"model": "m", "prompt": "x", "logprobs": 0}, "logprobs"),
        ({"model": "m", "prompt": "x", "tools": [{}]}, "tools"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(body: Any, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_completions(body, {}, "req_1")
    assert refused.value.param == param


def test_a_failure_is_an_error_event() -> None:
    written = CompletionRendering("req_1", include_usage=False).stream().failure(UpstreamCut("Cut."))
    assert parsed(written)[0]["error"]["message"] == "Cut."
    assert b"[DONE]" not in written
