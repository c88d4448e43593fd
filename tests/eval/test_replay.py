"""What the replay does without its data, and its parts, which need none."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.core.plan import Catalog, Model
from gateway.core.pricing import Price, Rates
from gateway.core.tiers import Tier
from tests.eval.replay import Asked, Planner, Trace, all_heavy, cost_usd, independent, longest_heavy, main

DOLLAR = Model("dollar", "p", "dollar", Tier.HEAVY, Price(Rates(Decimal(1), Decimal(2), Decimal("0.1"))))
PLANNER = Planner(Catalog((DOLLAR,)))


def test_without_data_it_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THRIFTGATE_EVAL_DATA", str(tmp_path))
    assert main() == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_every_hundred_requests_have_the_mix() -> None:
    tiers = [independent(70, 20)(at, Asked(0, 1, 1)) for at in range(100)]
    assert [tiers.count(tier) for tier in Tier] == [70, 20, 10]


def test_the_longest_are_heavy() -> None:
    trace = Trace("t", tuple(Asked(float(size), size, 0) for size in range(1, 101)))
    tiers = [longest_heavy(trace, 70, 20)(at, one) for at, one in enumerate(trace.asked)]
    assert tiers == [Tier.LIGHT] * 70 + [Tier.MEDIUM] * 20 + [Tier.HEAVY] * 10


def test_a_warm_prefix_is_read_and_a_cold_one_is_not() -> None:
    warm, cold = (Trace("t", (Asked(0, 1_024, 0, (1, 2)), Asked(at_s, 1_024, 0, (1, 3)))) for at_s in (299.0, 300.0))
    assert cost_usd(warm, PLANNER, all_heavy, prefixes=True) * 1_000_000 == 1_024 + 512 + Decimal("51.2")
    assert cost_usd(cold, PLANNER, all_heavy, prefixes=True) * 1_000_000 == 2_048


def test_an_exact_repeat_is_free() -> None:
    trace = Trace("t", (Asked(0, 600, 9, (1,)), Asked(1, 600, 9, (1,)), Asked(2, 601, 9, (1,))))
    assert cost_usd(trace, PLANNER, all_heavy, repeats=True) * 1_000_000 == 600 + 601 + 2 * 18
