"""Chunks and completions: the law that ties them, and the assembler's habits with careless providers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chunks import Assembler, Chunk, assemble, split

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=6).map("x_".__add__), JSON, max_size=3)
TOKEN = st.fixed_dictionaries(
    {"token": TEXT, "logprob": st.floats(max_value=0, allow_nan=False), "top_logprobs": st.just([])}
)
LOGPROBS = st.none() | st.fixed_dictionaries({"content": st.none() | st.lists(TOKEN, max_size=3), "refusal": st.none()})
TOOL_CALL = st.builds(
    lambda unknown, known: {**unknown, **known},
    UNKNOWN,
    st.fixed_dictionaries(
        {
            "id": TEXT,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
        }
    ),
)
MESSAGE = st.builds(
    lambda unknown, known: {**unknown, **known},
    UNKNOWN,
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | TEXT},
        optional={
            "refusal": st.none() | TEXT,
            "reasoning_content": st.none() | TEXT,
            "tool_calls": st.none() | st.lists(TOOL_CALL, max_size=3),
            "annotations": st.lists(JSON, max_size=2),
            "audio": st.none() | st.fixed_dictionaries({"id": TEXT, "data": TEXT, "expires_at": st.integers()}),
            "function_call": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
        },
    ),
)


def choice(index: int) -> st.SearchStrategy[dict[str, Any]]:
    known = st.fixed_dictionaries(
        {
            "index": st.just(index),
            "message": MESSAGE,
            "finish_reason": st.none() | st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
        },
        optional={"logprobs": LOGPROBS},
    )
    return st.builds(lambda unknown, known: {**unknown, **known}, UNKNOWN, known)


CHOICES = st.integers(1, 3).flatmap(lambda n: st.tuples(*map(choice, range(n))).map(list))
COMPLETION = st.builds(
    lambda unknown, known: {**unknown, **known},
    UNKNOWN,
    st.fixed_dictionaries(
        {
            "id": TEXT,
            "object": st.just("chat.completion"),
            "created": st.integers(0),
            "model": TEXT,
            "choices": CHOICES,
        },
        optional={
            "usage": st.dictionaries(TEXT, JSON, min_size=1, max_size=3),
            "system_fingerprint": st.none() | TEXT,
            "service_tier": TEXT,
        },
    ),
)


@given(COMPLETION)
def test_taking_apart_and_putting_together_changes_nothing(completion: dict[str, Any]) -> None:
    assert assemble(split(completion)) == completion


@given(COMPLETION)
def test_a_split_answer_keeps_the_internal_stream_convention(completion: dict[str, Any]) -> None:
    chunks = split(completion)
    body = [chunk for chunk in chunks if chunk["choices"]]
    assert [chunk for chunk in chunks if not chunk["choices"]] == chunks[len(body) :]
    assert ["usage" in chunk for chunk in chunks] == [False] * len(body) + [True] * ("usage" in completion)
    for whole in completion["choices"]:
        parts = [chunk["choices"][0] for chunk in body if chunk["choices"][0]["index"] == whole["index"]]
        assert parts[0]["delta"]["role"] == "assistant"
        reasons = [part["finish_reason"] for part in parts if part["finish_reason"] is not None]
        assert reasons == [whole["finish_reason"]] * (whole["finish_reason"] is not None)
    assert {(c["id"], c["object"], c["model"]) for c in chunks} == {
        (completion["id"], "chat.completion.chunk", completion["model"])
    }


@given(COMPLETION)
def test_assembling_leaves_the_chunks_as_they_were(completion: dict[str, Any]) -> None:
    chunks = split(completion)
    twice = [assemble(chunks), assemble(chunks)]
    assert twice[0] == twice[1]


def call(id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}


def part(delta: dict[str, Any], finish_reason: str | None = None, index: int = 0) -> Chunk:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}],
    }


def test_tool_arguments_arrive_in_fragments() -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    chunks = [
        part({"role": "assistant", "content": None, "tool_calls": [first]}),
        part({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        part({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        part({}, "tool_calls"),
    ]
    assert assemble(chunks)["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }


def test_a_provider_that_repeats_role_and_ids_or_blanks_them_does_no_harm() -> None:
    chunks = [
        part({"role": "assistant", "content": ""}),
        part({"role": "assistant", "tool_calls": [call("c", "f", "{")]}),
        part({"role": "assistant", "tool_calls": [call("c", "f", "")]}),
        part({"role": "", "tool_calls": [call("", None, "}")]}),
    ]
    message = assemble(chunks)["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["tool_calls"] == [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]


def test_tool_fragments_without_an_index_are_told_apart_by_their_ids() -> None:
    chunks = [
        part({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}),
        part({"tool_calls": [{"function": {"arguments": "}"}}]}),
        part({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
    ]
    calls = assemble(chunks)["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", "{}"), ("b", "{}")]


def test_logprobs_of_many_chunks_become_one_list() -> None:
    chunks = [part({"role": "assistant", "content": ""}), part({"content": "a"}), part({"content": "b"})]
    chunks[1]["choices"][0]["logprobs"] = {"content": [{"token": "a"}], "refusal": None}
    chunks[2]["choices"][0]["logprobs"] = {"content": [{"token": "b"}], "refusal": None}
    logprobs = assemble(chunks)["choices"][0]["logprobs"]
    assert logprobs == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_padding_against_traffic_analysis_is_not_stored() -> None:
    assert "obfuscation" not in assemble([{**part({"content": "a"}), "obfuscation": "xyz"}])


def test_an_assembler_tells_what_it_has_so_far() -> None:
    assembler = Assembler()
    assembler.add(part({"role": "assistant", "content": "", "reasoning_content": "hm "}))
    assembler.add(part({"content": "né"}))
    assembler.add(part({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}))
    assert assembler.text() == "néhm {}"
    assert assembler.finish_reasons == {0: None}
    assert assembler.usage is None
    assembler.add(part({}, "tool_calls"))
    assembler.add({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 1}})
    assert assembler.finish_reasons == {0: "tool_calls"}
    assert assembler.usage == {"prompt_tokens": 1}
