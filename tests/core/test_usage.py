from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.usage import Usage

JUNK = st.none() | st.booleans() | st.integers(-5, 10**9) | st.floats() | st.text(max_size=3)
WRITTEN = st.none() | st.dictionaries(st.just("ttl_1h_tokens"), JUNK)
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "cache_write_tokens", "cache_write_tokens_details", "audio_tokens", "reasoning_tokens"]
    ),
    JUNK | WRITTEN,
)
REPORTED = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": JUNK,
        "completion_tokens": JUNK,
        "total_tokens": JUNK,
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
    },
)


@given(REPORTED)
def test_whatever_is_reported_counts_are_possible(reported: dict[str, Any]) -> None:
    usage = Usage.from_openai(reported)
    assert usage.uncached_tokens >= 0
    assert min(usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens) >= 0
    assert 0 <= usage.reasoning_tokens <= usage.output_tokens
    assert 0 <= usage.audio_output_tokens <= usage.output_tokens
    assert 0 <= usage.audio_input_tokens <= usage.uncached_tokens
    assert 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
    assert usage.input_tokens == usage.uncached_tokens + usage.cache_read_tokens + usage.cache_write_tokens


@given(REPORTED)
def test_what_is_told_is_read_back(reported: dict[str, Any]) -> None:
    usage = Usage.from_openai(reported)
    assert Usage.from_openai(usage.to_openai()) == usage


def test_the_openai_shape_has_every_field() -> None:
    assert Usage(10, 5, 3, 2, 4).to_openai() == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def test_an_hours_writes_and_audio_are_told_where_there_are_any() -> None:
    told = Usage(10, 5, 3, 2, cache_write_1h_tokens=2, audio_input_tokens=1, audio_output_tokens=4).to_openai()
    assert told["prompt_tokens_details"] == {
        "cached_tokens": 3,
        "cache_write_tokens": 2,
        "cache_write_tokens_details": {"ttl_1h_tokens": 2},
        "audio_tokens": 1,
    }
    assert told["completion_tokens_details"] == {"reasoning_tokens": 0, "audio_tokens": 4}


def test_audio_is_counted_only_where_it_cannot_have_been_cached() -> None:
    details = {"cached_tokens": 60, "audio_tokens": 50}
    assert Usage.from_openai({"prompt_tokens": 100, "prompt_tokens_details": details}).audio_input_tokens == 40


@pytest.mark.parametrize("details", ["many", 7, [1]])
def test_details_that_are_no_object_are_no_details(details: object) -> None:
    assert Usage.from_openai({"prompt_tokens": 9, "prompt_tokens_details": details}) == Usage(9)


def test_sums_add_every_kind_and_one_estimate_makes_an_estimate() -> None:
    total = Usage(10, 5, 3, 2, 1, "upstream", 1, 2, 3) + Usage(1, 1, 1, 0, 1, "estimated", 0, 1, 1)
    assert total == Usage(11, 6, 4, 2, 2, "estimated", 1, 3, 4)
    assert (Usage(1) + Usage(2)).source == "upstream"
