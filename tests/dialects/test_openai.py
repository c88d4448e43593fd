"""What OpenAI is asked, and what its answers become."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.chat import parse_chat
from gateway.core.chunks import Chunk
from gateway.core.errors import UnsupportedParameter, UpstreamCut, UpstreamError, UpstreamMalformed
from gateway.dialects.dialect import Target
from gateway.dialects.openai import OpenAI
from tests.dialects.asking import ABLE, CALL, PNG, USER, WEATHER, encode, sent
from tests.dialects.cassette import fed, play, read

OPENAI = OpenAI()


def test_the_key_is_a_bearer_token_and_no_key_is_no_header() -> None:
    assert OPENAI.credentials("k") == {"authorization": "Bearer k"}
    assert OPENAI.credentials(None) == {}


def test_the_request_goes_to_chat_completions_with_our_model_and_the_clients_words() -> None:
    request = encode(OPENAI, temperature=0.2, seed=7, brand_new_field={"x": 1})
    assert request.path == "/chat/completions"
    assert request.headers["content-type"] == "application/json"
    assert request.dropped == ()
    assert orjson.loads(request.body) == {
        "model": "upstream-model",
        "messages": [USER],
        "stream": False,
        "temperature": 0.2,
        "seed": 7,
        "brand_new_field": {"x": 1},
    }


def test_usage_is_always_asked_for_when_streaming() -> None:
    assert sent(OPENAI, stream=True)["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    asked = sent(OPENAI, stream=True, stream_options=options)
    assert asked["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert "stream_options" not in sent(OPENAI)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("limit_field", ["max_tokens", "max_completion_tokens"])
def test_the_output_limit_is_sent_under_the_name_the_model_reads(field: str, limit_field: str) -> None:
    body = sent(OPENAI, facts={"limit_field": limit_field}, **{field: 50})
    assert {key: value for key, value in body.items() if key.startswith("max_")} == {limit_field: 50}


@pytest.mark.parametrize(
    ("asked", "ours", "model", "expected"),
    [
        (50, 20, None, 20),
        (20, 50, None, 20),
        (None, 30, None, 30),
        (99, None, 40, 40),
        (None, 99, 40, 40),
        (9, 9, 9, 9),
    ],
)
def test_the_smallest_output_limit_wins(asked: int | None, ours: int | None, model: int | None, expected: int) -> None:
    body = sent(OPENAI, ours=ours, facts={"max_output_tokens": model}, max_tokens=asked)
    assert body["max_tokens"] == expected


def test_without_any_limit_none_is_sent_and_long_answers_stay_whole() -> None:
    assert not {"max_tokens", "max_completion_tokens"} & sent(OPENAI, facts={"max_output_tokens": 100}).keys()


def test_sampling_is_dropped_and_named_where_the_model_refuses_it() -> None:
    request = encode(OPENAI, facts={"sampling": False}, temperature=0, top_p=0.5, presence_penalty=None)
    assert request.dropped == ("temperature", "top_p")
    assert not {"temperature", "top_p", "presence_penalty"} & orjson.loads(request.body).keys()


def test_reasoning_effort_is_a_hint_that_models_without_reasoning_do_not_get() -> None:
    request = encode(OPENAI, facts={"reasoning": "none"}, reasoning_effort="high")
    assert request.dropped == ("reasoning_effort",)
    assert sent(OPENAI, reasoning_effort="high")["reasoning_effort"] == "high"


@pytest.mark.parametrize(
    ("efforts", "asked", "sent_effort", "dropped"),
    [
        (("none", "low"), "low", "none", ("reasoning_effort",)),
        (("none", "low"), None, "none", ()),
        (("none", "low"), "none", "none", ()),
        (("low", "high"), "high", None, ("reasoning_effort",)),
    ],
)
def test_an_effort_beside_tools_gives_way_to_them(
    efforts: tuple[str, ...], asked: str | None, sent_effort: str | None, dropped: tuple[str, ...]
) -> None:
    facts = {"efforts": efforts, "effort_with_tools": False}
    request = encode(OPENAI, facts=facts, tools=[WEATHER], reasoning_effort=asked)
    assert orjson.loads(request.body).get("reasoning_effort") == sent_effort
    assert request.dropped == dropped


def test_an_effort_the_model_has_not_becomes_the_next_stronger() -> None:
    facts = {"efforts": ("low", "medium", "high")}
    assert sent(OPENAI, facts=facts, reasoning_effort="minimal")["reasoning_effort"] == "low"
    assert sent(OPENAI, facts=facts, reasoning_effort="max")["reasoning_effort"] == "high"
    assert sent(OPENAI, facts=facts, reasoning_effort="brand-new")["reasoning_effort"] == "brand-new"
    quiet = encode(OPENAI, facts=facts, reasoning_effort="none")
    assert orjson.loads(quiet.body)["reasoning_effort"] == "low"
    assert quiet.dropped == ("reasoning_effort",)


def test_an_answer_sent_back_loses_what_only_answers_have() -> None:
    dumped = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": [CALL],
        "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking"}],
    }
    result = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
    assert sent(OPENAI, messages=[USER, dumped, result])["messages"] == [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        result,
    ]


def test_an_empty_list_of_tool_calls_is_left_out() -> None:
    message = {"role": "assistant", "content": "x", "tool_calls": []}
    assert sent(OPENAI, messages=[USER, message])["messages"][1] == {"role": "assistant", "content": "x"}


def test_cache_marks_of_another_vendor_are_left_out() -> None:
    part = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    message = {"role": "user", "content": [part]}
    mark = {"type": "ephemeral"}
    request = encode(OPENAI, messages=[message], tools=[{**WEATHER, "cache_control": mark}], cache_control=mark)
    body = orjson.loads(request.body)
    assert body["messages"][0]["content"] == [{"type": "text", "text": "long"}]
    assert body["tools"] == [WEATHER]
    assert "cache_control" not in body
    assert request.dropped == ("cache_control",)


def test_the_clients_request_is_never_changed_in_place() -> None:
    body: dict[str, Any] = {
        "model": "auto",
        "messages": [{"role": "developer", "content": [{"type": "text", "text": "x", "cache_control": {}}]}, USER],
        "stream": True,
        "stream_options": {"include_usage": False},
        "max_tokens": 5,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    }
    before = orjson.dumps(body)
    OPENAI.encode(parse_chat(body), Target("m", ABLE))
    assert orjson.dumps(body) == before


def test_a_default_system_message_opens_a_conversation_that_has_none() -> None:
    facts = {"default_system": "You are a helpful assistant."}
    system = {"role": "system", "content": "You are a helpful assistant."}
    assert sent(OPENAI, facts=facts)["messages"] == [system, USER]
    developer = {"role": "developer", "content": "x"}
    assert sent(OPENAI, facts=facts, messages=[developer, USER])["messages"] == [developer, USER]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}


def test_a_native_json_schema_passes_untouched() -> None:
    assert sent(OPENAI, response_format=JSON_SCHEMA)["response_format"] == JSON_SCHEMA


def test_an_emulated_json_schema_is_json_mode_with_the_schema_in_the_prompt() -> None:
    system = {"role": "system", "content": "Be brief."}
    body = sent(OPENAI, facts={"json_schema": "emulated"}, messages=[system, USER], response_format=JSON_SCHEMA)
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0] == system
    assert body["messages"][2] == USER
    instruction = body["messages"][1]["content"]
    assert "JSON" in instruction
    assert orjson.dumps(SCHEMA).decode() in instruction


def test_tools_are_refused_by_name_where_the_model_has_none() -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        encode(OPENAI, facts={"tools": False}, tools=[WEATHER])
    assert caught.value.param == "tools"
    encode(OPENAI, facts={"tools": False}, tools=[WEATHER], tool_choice="none")


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "get_weather"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
    ],
)
def test_a_forced_tool_is_refused_by_name_where_it_would_be_ignored(choice: Any) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        encode(OPENAI, facts={"forced_tools": False}, tools=[WEATHER], tool_choice=choice)
    assert caught.value.param == "tool_choice"
    assert sent(OPENAI, tools=[WEATHER], tool_choice=choice)["tool_choice"] == choice


@pytest.mark.parametrize(
    "choice", ["auto", "none", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}]
)
def test_a_free_tool_choice_is_never_refused(choice: Any) -> None:
    assert sent(OPENAI, facts={"forced_tools": False}, tools=[WEATHER], tool_choice=choice)["tool_choice"] == choice


def test_an_image_is_refused_by_its_place_where_the_model_cannot_see() -> None:
    image = {
        "role": "user",
        "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": PNG}}],
    }
    with pytest.raises(UnsupportedParameter) as caught:
        encode(OPENAI, facts={"vision": False}, messages=[USER, image])
    assert caught.value.param == "messages[1].content[1]"
    assert sent(OPENAI, messages=[USER, image])["messages"][1] == image


def test_a_whole_answer_keeps_every_field_it_came_with() -> None:
    raw = orjson.loads(read("openai/tools.json"))
    assert OPENAI.decode(read("openai/tools.json")) == raw


def test_text_with_line_breaks_emoji_and_the_done_marker_survives() -> None:
    text = "".join(
        part["delta"].get("content") or ""
        for chunk in play(OPENAI, [read("openai/chat.sse")])
        for part in chunk["choices"]
    )
    assert text == "Grüße 😀,\nthe marker is `data: [DONE]`.\r\nEnd."


def test_chunks_are_passed_on_with_the_fields_they_came_with() -> None:
    first = play(OPENAI, [read("openai/chat.sse")])[0]
    assert first["service_tier"] == "default"
    assert first["system_fingerprint"] is None
    assert first["choices"][0]["logprobs"] is None


def test_a_chunk_that_only_holds_filter_results_is_not_passed_on() -> None:
    chunks = play(OPENAI, [read("openai/azure_filter.sse")])
    assert all(chunk["choices"] for chunk in chunks[:-1])


def test_an_error_inside_a_stream_ends_it() -> None:
    decoder = OPENAI.decoder()
    body = read("openai/error_in_stream.sse")
    at = body.index(b'data: {"error"')
    assert len(fed(decoder, body[:at])) == 2
    with pytest.raises(UpstreamError, match=r"^The provider failed\.$") as caught:
        fed(decoder, body[at:])
    assert caught.value.reached


def test_what_came_before_an_error_in_one_portion_is_heard() -> None:
    chunks: list[Chunk] = []
    with pytest.raises(UpstreamError):
        OPENAI.decoder().feed(read("openai/error_in_stream.sse"), chunks)
    assert len(chunks) == 2


def test_a_finish_reason_without_done_is_still_a_cut() -> None:
    body = read("openai/chat.sse").replace(b"data: [DONE]\n\n", b"")
    with pytest.raises(UpstreamCut):
        play(OPENAI, [body])


def test_done_without_a_finish_reason_is_a_cut() -> None:
    body = read("openai/chat.sse").replace(b'"finish_reason":"stop"', b'"finish_reason":null')
    with pytest.raises(UpstreamCut):
        play(OPENAI, [body])


def test_a_missing_role_is_added_and_a_second_finish_reason_taken_away() -> None:
    frames = [
        {"id": "1", "model": "m", "choices": [{"delta": {"content": "a"}}]},
        {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "1", "model": "m", "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
    ]
    body = b"".join(b"data: " + orjson.dumps(frame) + b"\n\n" for frame in frames) + b"data: [DONE]\n\n"
    parts = [chunk["choices"][0] for chunk in play(OPENAI, [body])]
    assert parts[0] == {"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}
    assert [part["finish_reason"] for part in parts] == [None, "stop", None]


def test_usage_that_rides_on_another_chunk_gets_its_own_at_the_end() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    frame = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    body = b"data: " + orjson.dumps({**frame, "usage": usage}) + b"\n\ndata: [DONE]\n\n"
    chunks = play(OPENAI, [body])
    assert "usage" not in chunks[0]
    assert chunks[1]["choices"] == []
    assert chunks[1]["usage"] == usage


def test_nothing_after_done_is_read() -> None:
    chunks = play(OPENAI, [read("openai/chat.sse") + b"data: {broken\n\n"])
    assert chunks[-1]["usage"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{"index":0}]}'])
def test_a_whole_answer_without_the_promised_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed) as caught:
        OPENAI.decode(body)
    assert caught.value.reached


def test_a_200_that_holds_an_error_is_that_error() -> None:
    with pytest.raises(UpstreamError, match="failed"):
        OPENAI.decode(b'{"error":{"message":"boom","type":"server_error"}}')
