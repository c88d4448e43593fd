"""What answers cost, worked out by hand: a provider's own words in, integer nano-dollars out.

Every row goes the whole way: JSON as it comes over the wire → dialect → Usage → Price → nano-dollars, as a whole answer
and as a stream. A price of $p a million tokens is p x 1000 nano-dollars a token, so the sum of tokens x dollars in a
comment, times 1000, is the figure beside it. The rates are list prices of 2026-11-23 (genai-prices 0.2.3), noted in the
heads of the sections; what a usage object looks like is each vendor's reference of that date (openai-python 3.54,
anthropic-sdk-python 2.12, api-docs.deepseek.com; llama.cpp as recorded in tests/cassettes).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from gateway.adapters.genai_price_book import price_of
from gateway.core.chunks import Completion, assemble
from gateway.core.pricing import FREE, Price, Rates, to_nano
from gateway.core.usage import Usage
from tests.dialects.cassette import DIALECTS, play

MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWN_GPU = Price(Rates.of_gpu_hour(Decimal(2), Decimal(2_000), Decimal(50)))


def november(day: int, hour: int, minute: int = 0) -> datetime:
    """The 23rd is a Monday, the 28th a Saturday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """`said` is the provider's usage object; `beside` what it sends next to it."""

    model: str
    said: str
    nano_usd: int
    at: datetime = MONDAY_NOON
    batch: bool = False
    price: Price | None = None
    beside: str = "{}"

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]


# $1 input, $5 output, $0.05 read, $1.25 written; over 272,000 tokens $2, $7.50, $0.10, $2.50; batches half of all
TERRA = "openai/gpt-6.1-terra"
OPENAI = {
    # 1000 x 1 + 500 x 5 = 3500
    "plain": Row(TERRA, '{"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}', 3_500_000),
    # 76 x 1 + 1024 x 0.05 + 1000 x 1.25 + 96 x 5 = 76 + 51.2 + 1250 + 480 = 1857.2; reasoning is in the 96
    "cached, written and thought": Row(
        TERRA,
        '{"prompt_tokens": 2100, "completion_tokens": 96, "total_tokens": 2196,'
        ' "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 1000, "audio_tokens": 0},'
        ' "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0}}',
        1_857_200,
    ),
    # the same on gpt-6-luna, $0.10, $0.50, $0.01, $0.125: 7.6 + 10.24 + 125 + 48 = 190.84
    "cached and written, the small one": Row(
        "openai/gpt-6-luna",
        '{"prompt_tokens": 2100, "completion_tokens": 96,'
        ' "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 1000}}',
        190_840,
    ),
    # gpt-5.4-nano, before writes were charged, $0.20, $1.25, $0.02: 476 x 0.2 + 1024 x 0.02 + 10 x 1.25
    # = 95.2 + 20.48 + 12.5 = 128.18
    "cached before writes cost anything": Row(
        "openai/gpt-5.4-nano",
        '{"prompt_tokens": 1500, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 1024}}',
        128_180,
    ),
    # 100 x 5 = 500: the twenty that were predicted wrong are in the hundred
    "rejected predictions": Row(
        TERRA,
        '{"prompt_tokens": 0, "completion_tokens": 100,'
        ' "completion_tokens_details": {"accepted_prediction_tokens": 50, "rejected_prediction_tokens": 20}}',
        500_000,
    ),
    # 272000 x 1 + 10 x 5 = 272050
    "as long as it may be": Row(TERRA, '{"prompt_tokens": 272000, "completion_tokens": 10}', 272_050_000),
    # 272001 x 2 + 10 x 7.5 = 544002 + 75 = 544077
    "one token longer": Row(TERRA, '{"prompt_tokens": 272001, "completion_tokens": 10}', 544_077_000),
    # cached tokens make it long as well: 1 x 2 + 272000 x 0.1 + 10 x 7.5 = 2 + 27200 + 75 = 27277
    "long by what was cached": Row(
        TERRA,
        '{"prompt_tokens": 272001, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 272000}}',
        27_277_000,
    ),
    # 76 x 0.5 + 1024 x 0.025 + 1000 x 0.625 + 96 x 2.5 = 38 + 25.6 + 625 + 240 = 928.6
    "in a batch": Row(
        TERRA,
        '{"prompt_tokens": 2100, "completion_tokens": 96,'
        ' "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 1000}}',
        928_600,
        batch=True,
    ),
    # 272001 x 1 + 10 x 3.75 = 272038.5
    "long in a batch": Row(TERRA, '{"prompt_tokens": 272001, "completion_tokens": 10}', 272_038_500, batch=True),
    # gpt-audio, $2.50 and $10, audio $32 and $64: 600 x 2.5 + 400 x 32 + 200 x 10 + 300 x 64
    # = 1500 + 12800 + 2000 + 19200 = 35500
    "heard and spoken": Row(
        "openai/gpt-audio",
        '{"prompt_tokens": 1000, "completion_tokens": 500,'
        ' "prompt_tokens_details": {"audio_tokens": 400, "text_tokens": 600},'
        ' "completion_tokens_details": {"audio_tokens": 300, "text_tokens": 200}}',
        35_500_000,
    ),
}

# claude-opus-5-5: $4 input, $20 output, $0.20 read, $5 written, $8 written for an hour
# claude-haiku-5-5: $0.10, $0.50, $0.01, $0.125, $0.20; over 100,000 tokens five times as much; batches half of all
OPUS, HAIKU = "anthropic/claude-opus-5-5", "anthropic/claude-haiku-5-5"
ANTHROPIC = {
    # 11 x 4 + 200 x 5 + 1000 x 0.2 + 17 x 20 = 44 + 1000 + 200 + 340 = 1584
    "written for five minutes": Row(
        OPUS,
        '{"input_tokens": 11, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 17,'
        ' "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0}}',
        1_584_000,
    ),
    "written, nobody said for how long": Row(
        OPUS,
        '{"input_tokens": 11, "cache_creation_input_tokens": 200,'
        ' "cache_read_input_tokens": 1000, "output_tokens": 17}',
        1_584_000,
    ),
    # 11 x 4 + 200 x 8 + 1000 x 0.2 + 17 x 20 = 44 + 1600 + 200 + 340 = 2184
    "written for an hour": Row(
        OPUS,
        '{"input_tokens": 11, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 17,'
        ' "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200}}',
        2_184_000,
    ),
    # 11 x 4 + 150 x 5 + 50 x 8 + 1000 x 0.2 + 17 x 20 = 44 + 750 + 400 + 200 + 340 = 1734
    "written for both": Row(
        OPUS,
        '{"input_tokens": 11, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 17,'
        ' "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50}}',
        1_734_000,
    ),
    # 11 x 4 + 1000 x 0.2 + 89 x 20 = 44 + 200 + 1780 = 2024; thinking is in the 89
    "read and thought": Row(
        OPUS,
        '{"input_tokens": 11, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 1000, "output_tokens": 89,'
        ' "output_tokens_details": {"thinking_tokens": 21}}',
        2_024_000,
    ),
    # 20000 x 0.1 + 80000 x 0.01 + 1000 x 0.5 = 2000 + 800 + 500 = 3300
    "as long as it may be": Row(
        HAIKU, '{"input_tokens": 20000, "cache_read_input_tokens": 80000, "output_tokens": 1000}', 3_300_000
    ),
    # 20001 x 0.5 + 80000 x 0.05 + 1000 x 2.5 = 10000.5 + 4000 + 2500 = 16500.5
    "one token longer": Row(
        HAIKU, '{"input_tokens": 20001, "cache_read_input_tokens": 80000, "output_tokens": 1000}', 16_500_500
    ),
    # 1 x 0.5 + 100000 x 1 + 10 x 2.5 = 100025.5
    "long, and written for an hour": Row(
        HAIKU,
        '{"input_tokens": 1, "cache_creation_input_tokens": 100000, "output_tokens": 10,'
        ' "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100000}}',
        100_025_500,
    ),
    # 10 x 0.05 + 200 x 0.0625 + 100 x 0.1 + 1000 x 0.005 + 100 x 0.25 = 0.5 + 12.5 + 10 + 5 + 25 = 53
    "in a batch": Row(
        HAIKU,
        '{"input_tokens": 10, "cache_creation_input_tokens": 300,'
        ' "cache_read_input_tokens": 1000, "output_tokens": 100,'
        ' "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100}}',
        53_000,
        batch=True,
    ),
}

# deepseek-flash: $0.15 missed, $0.003 hit, $0.60 output; deepseek-v4-pro: $0.66, $0.022, $1.98
# Both double from 01:00 to 04:00 and from 06:00 to 10:00 UTC, Monday to Friday.
FLASH = "deepseek/deepseek-flash"
HIT_AND_MISS = (
    '{"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,'
    ' "prompt_tokens_details": {"cached_tokens": 128}, "completion_tokens_details": {"reasoning_tokens": 100},'
    ' "prompt_cache_hit_tokens": 128, "prompt_cache_miss_tokens": 872}'
)
# 872 x 0.15 + 128 x 0.003 + 500 x 0.6 = 130.8 + 0.384 + 300 = 431.184; double is 862.368
OFF_PEAK, PEAK = 431_184, 862_368
DEEPSEEK = {
    "Monday noon": Row(FLASH, HIT_AND_MISS, OFF_PEAK),
    "Monday before the peak": Row(FLASH, HIT_AND_MISS, OFF_PEAK, november(23, 0, 59)),
    "Monday as it begins": Row(FLASH, HIT_AND_MISS, PEAK, november(23, 1)),
    "Monday in it": Row(FLASH, HIT_AND_MISS, PEAK, november(23, 3, 59)),
    "Monday as it ends": Row(FLASH, HIT_AND_MISS, OFF_PEAK, november(23, 4)),
    "Friday in the second": Row(FLASH, HIT_AND_MISS, PEAK, november(27, 9, 59)),
    "Saturday at the same hours": Row(FLASH, HIT_AND_MISS, OFF_PEAK, november(28, 2)),
    "Sunday at the same hours": Row(FLASH, HIT_AND_MISS, OFF_PEAK, november(29, 7)),
    # 2 x 0.66 + 128 x 0.022 + 25 x 1.98 = 1.32 + 2.816 + 49.5 = 53.636
    "the large one": Row(
        "deepseek/deepseek-v4-pro",
        '{"prompt_tokens": 130, "completion_tokens": 25,'
        ' "prompt_cache_hit_tokens": 128, "prompt_cache_miss_tokens": 2}',
        53_636,
    ),
}

# An hour costs $2. 2000 input tokens a second: 2 / 3600 / 2000 = 277.777… nano-dollars a token.
# 50 output tokens a second: 2 / 3600 / 50 = 11111.111… nano-dollars a token.
LLAMACPP = {
    "free": Row("llamacpp/x", '{"prompt_tokens": 27, "completion_tokens": 8}', 0, price=FREE),
    # 27 x 277.777… + 8 x 11111.111… = 7500 + 88888.888… = 96388.888…
    "on a rented GPU": Row(
        "llamacpp/x",
        '{"completion_tokens": 8, "prompt_tokens": 27, "prompt_tokens_details": {"cached_tokens": 0}}',
        96_389,
        price=OWN_GPU,
        beside='{"timings": {"cache_n": 0, "prompt_n": 27, "predicted_n": 8}}',
    ),
    # asked again, all but one are still in the slot: 277.777… + 88888.888… = 89166.666…
    "still in the slot": Row(
        "llamacpp/x",
        '{"completion_tokens": 8, "prompt_tokens": 27, "prompt_tokens_details": {"cached_tokens": 26}}',
        89_167,
        price=OWN_GPU,
        beside='{"timings": {"cache_n": 26, "prompt_n": 1, "predicted_n": 8}}',
    ),
    "still in the slot, by the timings alone": Row(
        "llamacpp/x",
        '{"completion_tokens": 8, "prompt_tokens": 27, "total_tokens": 35}',
        89_167,
        price=OWN_GPU,
        beside='{"timings": {"cache_n": 26, "prompt_n": 1, "predicted_n": 8}}',
    ),
    # $11.11 a million, as everybody who rents one should know
    "a million tokens": Row(
        "llamacpp/x", '{"prompt_tokens": 0, "completion_tokens": 1000000}', 11_111_111_111, price=OWN_GPU
    ),
}

TABLE = {
    f"{provider}: {name}": row
    for provider, rows in [
        ("openai", OPENAI),
        ("anthropic", ANTHROPIC),
        ("deepseek", DEEPSEEK),
        ("llamacpp", LLAMACPP),
    ]
    for name, row in rows.items()
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", TABLE)
def test_an_answer_costs_what_was_worked_out_by_hand(name: str, streamed: bool) -> None:
    row = TABLE[name]
    price = row.price or price_of(*row.model.split("/"))
    assert price is not None
    usage = Usage.from_openai((stream if streamed else answer)(row)["usage"])
    assert to_nano(price.cost(usage, row.at.timestamp(), batch=row.batch)) == row.nano_usd


def answer(row: Row) -> Completion:
    """The row's usage in a whole answer of its provider."""
    usage, beside = json.loads(row.said), json.loads(row.beside)
    if row.provider == "anthropic":
        body = {"id": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "usage": usage}
    else:
        message = {"role": "assistant", "content": "x"}
        body = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    return DIALECTS[row.provider].decode(json.dumps({**body, **beside}).encode())


def stream(row: Row) -> Completion:
    """The same as a stream."""
    body = anthropic_events(row) if row.provider == "anthropic" else openai_events(row)
    return assemble(play(DIALECTS[row.provider], [body]))


def openai_events(row: Row) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    last = {"id": "c", "choices": [], "usage": json.loads(row.said), **json.loads(row.beside)}
    return event({"id": "c", "choices": [choice]}) + event(last) + b"data: [DONE]\n\n"


def anthropic_events(row: Row) -> bytes:
    """message_start knows all but the output; message_delta repeats the sums, and not how long writes are kept."""
    usage = json.loads(row.said)
    sums = {key: count for key, count in usage.items() if key != "cache_creation"}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": sums},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {each['type']}\n".encode() + event(each) for each in events)


def event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
