"""Any request, to any provider: the law that a client's mistake is its own 400 and never our 500."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.chat import parse_chat
from gateway.core.errors import InvalidRequest
from gateway.dialects.dialect import Target
from tests.dialects.asking import ABLE
from tests.dialects.cassette import DIALECTS

FIELDS = [
    "tools",
    "tool_choice",
    "temperature",
    "stop",
    "response_format",
    "reasoning_effort",
    "thinking",
    "user",
    "seed",
]
KEYS = [
    "type",
    "function",
    "name",
    "parameters",
    "allowed_tools",
    "tools",
    "mode",
    "json_schema",
    "schema",
    "arguments",
]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.sampled_from(["function", "allowed_tools", "json_schema", "high", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["assistant", "user", "tool", "system"]), "content": st.sampled_from(["x", ""])},
    optional={"tool_calls": JUNK, "thinking_blocks": JUNK, "refusal": JUNK, "tool_call_id": JUNK},
)
PART = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(["text", "image_url", "file", "refusal"]),
    st.dictionaries(st.sampled_from(["text", "image_url", "file", "refusal"]), JUNK),
)


@settings(max_examples=400)
@given(
    st.sampled_from(sorted(DIALECTS)),
    st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=3),
    st.lists(MESSAGE, min_size=1, max_size=3),
    st.lists(PART, max_size=2),
    st.sampled_from(["none", "effort", "adaptive", "budget"]),
)
def test_whatever_a_client_sends_only_its_own_mistakes_are_raised(
    dialect: str, body: dict[str, Any], messages: list[dict[str, Any]], parts: list[dict[str, Any]], reasoning: Any
) -> None:
    asked = {"model": "auto", "messages": [*messages, {"role": "user", "content": parts}], **body}
    try:
        request = DIALECTS[dialect].encode(parse_chat(asked), Target("m", replace(ABLE, reasoning=reasoning)))
    except InvalidRequest:
        return
    wire = orjson.loads(request.body)
    assert wire["model"] == "m"
    roles = [turn["role"] for turn in wire["messages"]]
    assert dialect != "anthropic" or roles == [("user", "assistant")[at % 2] for at in range(len(roles))]
