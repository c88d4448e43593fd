from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.false_hits import MIN_CHECKS, FalseHits, wilson


def checked(false_hits: FalseHits, verdicts: str, service: str = "shop") -> list[bool]:
    """`s` for the same, `d` for different, `u` for unknown."""
    return [
        false_hits.checked(service, "same" if each == "s" else "different" if each == "d" else "unknown")
        for each in verdicts
    ]


# From the formula's own worked values: 10 of 100 is in Brown, Cai and DasGupta (2001) and any statistics package.
@pytest.mark.parametrize(
    ("happened", "tried", "low", "high"),
    [(10, 100, 0.0552, 0.1744), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_wilsons_interval_is_the_published_one(happened: int, tried: int, low: float, high: float) -> None:
    assert wilson(happened, tried) == pytest.approx((low, high), abs=1e-4)


def test_nothing_tried_is_nothing_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5_000).flatmap(lambda tried: st.tuples(st.integers(0, tried), st.just(tried))))
def test_an_interval_holds_its_rate_and_stays_a_share(counts: tuple[int, int]) -> None:
    happened, tried = counts
    low, high = wilson(happened, tried)
    assert 0.0 <= low <= happened / tried <= high <= 1.0


@given(st.integers(1, 200), st.integers(2, 10))
def test_more_checks_of_the_same_rate_know_it_better(tried: int, times: int) -> None:
    low, high = wilson(tried // 2, tried)
    lower, higher = wilson(tried // 2 * times, tried * times)
    assert higher - lower < high - low


def test_few_checks_close_nothing_however_wrong() -> None:
    false_hits = FalseHits(0.1)
    assert not any(checked(false_hits, "d" * (MIN_CHECKS - 1)))
    assert not false_hits.is_closed("shop")


def test_the_check_that_passes_the_limit_closes_once() -> None:
    false_hits = FalseHits(0.1)
    assert checked(false_hits, "d" * (MIN_CHECKS + 2)) == [False] * (MIN_CHECKS - 1) + [True, False, False]
    assert false_hits.is_closed("shop")
    assert not false_hits.is_closed("desk")


def test_a_rate_above_the_limit_closes_nothing_until_it_is_sure() -> None:
    false_hits = FalseHits(0.1)
    checked(false_hits, "ssssd" * 4 + "d" * 1)  # 5 of 21: 24 %, but surely only above 10.6 %
    assert false_hits.tally("shop").interval[0] == pytest.approx(0.106, abs=1e-3)
    quieter = FalseHits(0.2)
    assert not any(checked(quieter, "ssssd" * 4 + "d"))


def test_a_closed_service_stays_closed() -> None:
    false_hits = FalseHits(0.1)
    checked(false_hits, "d" * MIN_CHECKS + "s" * 10_000)
    assert false_hits.is_closed("shop")


def test_an_unknown_verdict_counts_for_nothing() -> None:
    false_hits = FalseHits(0.1)
    checked(false_hits, "u" * 100 + "d")
    assert (false_hits.tally("shop").different, false_hits.tally("shop").decided) == (1, 1)


def test_the_likely_rate_starts_at_the_studys_and_ends_at_the_measured_one() -> None:
    false_hits = FalseHits(0.9)
    assert false_hits.likely("shop") == pytest.approx(0.02)
    checked(false_hits, "sd" * 5_000)
    assert false_hits.likely("shop") == pytest.approx(0.5, abs=0.01)


def test_another_limit_keeps_the_tallies_and_what_is_closed() -> None:
    strict = FalseHits(0.1)
    checked(strict, "d" * MIN_CHECKS)
    lenient = strict.under(0.99)
    assert lenient.is_closed("shop")
    assert lenient.tally("shop") == strict.tally("shop")
    checked(lenient, "s")
    assert strict.tally("shop").decided == MIN_CHECKS + 1
    assert (strict.limit, lenient.limit) == (0.1, 0.99)
