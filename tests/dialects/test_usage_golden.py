"""What each provider's recorded usage means in ours, and what it costs: the figures on a bill.

`input_tokens` is uncached + read + written everywhere; nothing is counted twice. The price is $10 in, $1 read, $12
written and $50 out per million, so that a token in the wrong place is seen.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.core.chunks import Completion, assemble
from gateway.core.pricing import Rates
from gateway.core.usage import Usage
from tests.dialects.cassette import dialect_of, play, read

RATES = Rates(Decimal(10), Decimal(50), Decimal(1), Decimal(12))
CACHED = (Usage(2100, 96, 1024, 1000, 64), "0.018584")
THINKING = (Usage(130, 25, 128, 0, 9), "0.001398")
GOLDEN = {
    "openai/chat.json": (Usage(19, 12), "0.000790"),
    "openai/chat.sse": (Usage(19, 12), "0.000790"),
    "openai/cached.json": CACHED,
    "openai/cached.sse": CACHED,
    "anthropic/chat.json": (Usage(1211, 17, 1000, 200), "0.004360"),
    "anthropic/chat.sse": (Usage(1211, 17, 1000, 200), "0.004360"),
    "anthropic/tools.json": (Usage(1211, 89, 1000, 200, 21), "0.007960"),
    "anthropic/tools.sse": (Usage(1211, 89, 1000, 200, 21), "0.007960"),
    "deepseek/chat.json": THINKING,
    "deepseek/chat.sse": THINKING,
    "deepseek/tools.json": THINKING,
    "deepseek/tools.sse": THINKING,
    "llamacpp/chat.json": (Usage(27, 8), "0.000670"),
    "llamacpp/chat.sse": (Usage(27, 8, 26), "0.000436"),  # asked a second time: its prompt was still in the slot
}


def answer(name: str) -> Completion:
    body = read(name)
    return dialect_of(name).decode(body) if name.endswith(".json") else assemble(play(dialect_of(name), [body]))


@pytest.mark.parametrize("name", GOLDEN)
def test_the_usage_and_its_cost(name: str) -> None:
    expected, usd = GOLDEN[name]
    usage = Usage.from_openai(answer(name)["usage"])
    assert usage == expected
    assert usage.uncached_tokens + usage.cache_read_tokens + usage.cache_write_tokens == usage.input_tokens
    assert RATES.cost(usage) == Decimal(usd)


@pytest.mark.parametrize("name", GOLDEN)
def test_clients_read_the_same_figures_in_openais_shape(name: str) -> None:
    shown = answer(name)["usage"]
    expected, _ = GOLDEN[name]
    assert shown["total_tokens"] == shown["prompt_tokens"] + shown["completion_tokens"] == expected.total_tokens
    assert shown["prompt_tokens_details"]["cached_tokens"] == expected.cache_read_tokens


def test_a_refusal_keeps_its_words() -> None:
    (choice,) = answer("openai/refusal.json")["choices"]
    assert (choice["message"]["refusal"], choice["message"]["content"]) == ("I can't help with that.", None)
    (declined,) = answer("anthropic/refusal.json")["choices"]
    assert declined["finish_reason"] == "content_filter"
    assert declined["message"]["refusal"]


def test_an_answer_that_was_all_thinking_ends_with_length_and_is_billed() -> None:
    cut = answer("openai/length.json")
    assert cut["choices"][0]["finish_reason"] == "length"
    assert Usage.from_openai(cut["usage"]) == Usage(40, 64, reasoning_tokens=64)
