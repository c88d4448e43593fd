from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.tiktoken_counter import TiktokenCounter
from gateway.core.chat import parse_chat
from gateway.core.estimate import (
    DEFAULT_OUTPUT_TOKENS,
    IMAGE_TOKENS,
    countable,
    output_limit,
    prompt_bound,
    prompt_likely,
)
from gateway.core.profile import Profile
from tests.core.asking import asked, picture, text, user

PLAIN = Profile()
Counting = Callable[[str], int]


@pytest.fixture(scope="module")
def tokens() -> Counting:
    """tiktoken's own count, without the event loop that the adapter lives on."""
    count = TiktokenCounter()._load_and_count
    count("load the vocabulary")
    return count


@given(said=st.lists(st.text() | st.text('"\\\n\x00\x7f😀', min_size=20), min_size=1, max_size=4))
def test_the_bound_is_never_below_a_real_tokenizers_count(tokens: Counting, said: list[str]) -> None:
    assert prompt_bound(asked(*said), PLAIN) >= sum(map(tokens, said))


@pytest.mark.parametrize("said", ["🦀" * 50, "\u0301" * 50, "𒐫" * 50, "ഞ" * 50, "\x00" * 50, "\U0010fffd" * 50])
def test_text_that_no_vocabulary_knows_is_still_bounded(tokens: Counting, said: str) -> None:
    assert prompt_bound(asked(said), PLAIN) >= tokens(said)


@given(st.text(max_size=50), st.text(max_size=50))
def test_more_text_never_lowers_the_bound(said: str, more: str) -> None:
    assert prompt_bound(asked(said + more), PLAIN) >= prompt_bound(asked(said), PLAIN)


def test_tools_schemas_and_the_system_message_we_add_are_in_the_bound() -> None:
    bare = prompt_bound(asked(), PLAIN)
    assert prompt_bound(asked(tools=[{"type": "function", "description": "x" * 100}]), PLAIN) > bare + 100
    assert prompt_bound(asked(response_format={"type": "json_schema", "schema": "x" * 100}), PLAIN) > bare + 100
    assert prompt_bound(asked(), Profile(default_system="é" * 50)) == bare + 100


def test_a_picture_counts_the_same_however_large_its_data_url() -> None:
    small, large = asked(user([picture("data:,x")])), asked(user([picture("data:," + "x" * 100_000)]))
    assert prompt_bound(small, PLAIN) == prompt_bound(large, PLAIN) > IMAGE_TOKENS
    assert prompt_likely(large) < 100


@pytest.mark.parametrize("url", [[[]] * 500, {"a": [None] * 500}, [1e22] * 500, None, 7])
def test_a_picture_that_is_none_takes_nothing_off_the_bound(url: object) -> None:
    prompt = "x" * 1_000
    assert prompt_bound(asked(user([text(prompt), picture(url)])), PLAIN) > prompt_bound(asked(prompt), PLAIN)
    assert prompt_bound(asked(user([text(prompt), {"type": "image_url", "image_url": url}])), PLAIN) > 1_000


def test_the_likely_figure_is_about_a_quarter_of_the_bytes() -> None:
    assert 1_000 < prompt_likely(asked("x" * 4_000)) < 1_050


@pytest.mark.parametrize(
    ("asked_for", "profile", "limit"),
    [
        (None, PLAIN, DEFAULT_OUTPUT_TOKENS),
        (None, Profile(max_output_tokens=9_000), 9_000),
        (100, PLAIN, 100),
        (100, Profile(max_output_tokens=9_000), 100),
        (10_000, Profile(max_output_tokens=9_000), 9_000),
    ],
)
def test_the_output_limit_is_the_clients_within_the_models(asked_for: int | None, profile: Profile, limit: int) -> None:
    assert output_limit(asked(max_tokens=asked_for), profile) == limit


@pytest.mark.parametrize(("choices", "times"), [(None, 1), (1, 1), (3, 3), (True, 1), ("3", 1), (0, 1), (-2, 1)])
def test_every_choice_may_be_as_long(choices: object, times: int) -> None:
    assert output_limit(asked(max_tokens=10, n=choices), PLAIN) == 10 * times


def test_all_text_of_a_prompt_is_countable_and_attachments_are_added_to_it() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
    ]
    tools = [{"type": "function", "function": {"name": "look"}}]
    text, unseen_tokens = countable(parse_chat({"model": "m", "messages": messages, "tools": tools}))
    assert all(said in text for said in ("What is it?", '{"at": "it"}', "a cat", '"name":"look"'))
    assert "AAAA" not in text
    without, fewer_tokens = countable(parse_chat({"model": "m", "messages": messages[1:]}))
    assert unseen_tokens - fewer_tokens > 1_000
    assert '"name":"look"' not in without
