from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given

from gateway.core.chunks import assemble, split
from gateway.core.usage import Usage
from gateway.flow.lookup import Entry, is_cacheable
from tests.core.test_chunks import COMPLETION


def is_writable(completion: dict[str, Any]) -> bool:
    """What came as JSON can be written again; the strategy also makes integers over 64 bits and lone surrogates."""
    try:
        return bool(orjson.loads(orjson.dumps(completion)) == completion)
    except orjson.JSONEncodeError:
        return False


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@given(COMPLETION.filter(is_writable))
def test_an_answer_is_replayed_in_either_form_as_it_was_given(completion: dict[str, Any]) -> None:
    used = Usage(7, 3, cache_read_tokens=2, source="estimated")
    kept = Entry(orjson.dumps(completion), "m", used, ("seed",), True, key="k", stored_at_s=7.5)
    found = Entry.from_bytes(kept.to_bytes())
    assert found == kept
    assert found.completion == completion
    assert assemble(split(found.completion)) == completion


@given(COMPLETION.filter(is_writable))
def test_a_stream_is_stored_as_the_whole_answer_it_is(completion: dict[str, Any]) -> None:
    found = Entry.from_bytes(Entry(orjson.dumps(assemble(split(completion))), "m", Usage()).to_bytes())
    assert found is not None
    assert orjson.dumps(found.completion, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        completion, option=orjson.OPT_SORT_KEYS
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not JSON\n{}",
        b'{"model":"m","dropped":[],"estimated":false,"key":"k","at":7.5,"completion":{}}',
        b'["m",[1,2],[],false,"k",7.5]\n{}',
        b'["m",[1,2,0,0,0,"upstream",0,0,0],[],false]\n{}',
    ],
)
def test_what_another_version_stored_is_a_miss(value: bytes) -> None:
    assert Entry.from_bytes(value) is None


def answer(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    whole = {"role": "assistant", "content": "Hello", **message}
    return {"choices": [{"index": 0, "message": whole, "finish_reason": finish_reason}]}


@pytest.mark.parametrize(
    ("completion", "plain", "with_tools"),
    [
        (answer(), True, True),
        (answer("length"), False, False),
        (answer("content_filter"), False, False),
        (answer(None), False, False),
        (answer(refusal="No."), False, False),
        (answer(content=None), False, False),
        (answer("tool_calls", content=None, tool_calls=[CALL]), False, True),
        (answer("stop", content=None, tool_calls=[CALL]), False, True),
        (answer("length", tool_calls=[CALL]), False, False),
        (answer("function_call", content=None, function_call={"name": "f", "arguments": "{}"}), False, True),
        ({"choices": [*answer()["choices"], *answer("length")["choices"]]}, False, False),
        ({"choices": []}, False, False),
    ],
)
def test_only_whole_unrefused_answers_are_stored_and_tool_calls_on_request(
    completion: dict[str, Any], plain: bool, with_tools: bool
) -> None:
    assert (is_cacheable(completion), is_cacheable(completion, tools=True)) == (plain, with_tools)
