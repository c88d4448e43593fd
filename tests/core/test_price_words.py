from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.core.price_words import price_in_words
from gateway.core.pricing import EVERY_DAY, FREE, WEEKDAYS, Change, LongContext, Peak, Price, Rates

NOW_S = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
DECEMBER_S = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def rates(*usd: str) -> Rates:
    return Rates(*map(Decimal, usd))


def test_what_is_declared_free_says_so_and_what_only_has_no_rates_does_not() -> None:
    assert price_in_words(FREE, NOW_S) == ["free: declared"]
    assert price_in_words(Price(), NOW_S) == ["nothing, and not declared free"]


def test_every_rate_that_is_known_is_said_and_who_says_so() -> None:
    price = Price(rates("4", "20", "0.2", "5", "8", "32", "64"), source="a list")
    assert price_in_words(price, NOW_S) == [
        "$4.00 in, $20.00 out, $0.20 cached, $5.00 written, $8.00 written for an hour, $32.00 heard, $64.00 spoken"
        " (a list)"
    ]


@pytest.mark.parametrize(
    ("usd", "said"),
    [("11.1111111", "$11.111111"), ("0.0036", "$0.0036"), ("0.1", "$0.10"), ("10", "$10.00"), ("0.125", "$0.125")],
)
def test_dollars_have_cents_and_no_more_than_they_need(usd: str, said: str) -> None:
    assert price_in_words(Price(rates(usd, "1")), NOW_S) == [f"{said} in, $1.00 out"]


def test_steps_peaks_and_batches_have_a_line_each() -> None:
    double = rates("2", "2")
    peaks = (
        Peak(60, 240, double, WEEKDAYS),
        Peak(1_410, 1_440, double, EVERY_DAY),
        Peak(0, 60, double, frozenset({6, 0})),
    )
    half = Price(rates("0.5", "0.5"), (LongContext(100_000, rates("1", "1")),))
    assert price_in_words(Price(rates("1", "1"), (LongContext(100_000, double),), peaks, half), NOW_S) == [
        "$1.00 in, $1.00 out",
        "over 100,000 tokens: $2.00 in, $2.00 out",
        "00:00-01:00 UTC, Mon Sun: $2.00 in, $2.00 out",
        "01:00-04:00 UTC, Mon to Fri: $2.00 in, $2.00 out",
        "23:30-24:00 UTC: $2.00 in, $2.00 out",
        "in batches: $0.50 in, $0.50 out",
        "in batches: over 100,000 tokens: $1.00 in, $1.00 out",
    ]


def test_what_is_announced_is_said_until_it_holds() -> None:
    dearer = Price(rates("3", "3"), source="gateway.yaml:9")
    price = replace(Price(rates("1", "1"), source="a list"), changes=(Change(DECEMBER_S, dearer),))
    assert price_in_words(price, NOW_S) == [
        "$1.00 in, $1.00 out (a list)",
        "from 2026-12-01: $3.00 in, $3.00 out",
    ]
    assert price_in_words(price, DECEMBER_S) == ["$3.00 in, $3.00 out (gateway.yaml:9)"]
