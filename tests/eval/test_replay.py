"""What the replay does without its data, and its parts, which need none."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.core.plan import Catalog, Model
from gateway.core.policy import TierShares
from gateway.core.pricing import Price, Rates
from gateway.core.tiers import Tier
from gateway.core.warmth import Warm
from tests.eval.replay import ALL_HEAVY, Asked, Planner, Trace, by_size, cost_usd, evenly, main

DOLLAR = Model("dollar", "p", "dollar", Tier.HEAVY, Price(Rates(Decimal(1), Decimal(2), Decimal("0.1"))))
PLANNER = Planner(Catalog((DOLLAR,)))


def test_without_data_it_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THRIFTGATE_EVAL_DATA", str(tmp_path))
    assert main() == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_every_hundred_requests_have_the_mix() -> None:
    places = sorted(evenly(at, Asked(0, 1, 1)) for at in range(100))
    assert places == [place / 100 for place in range(100)]


def test_the_longest_are_heavy() -> None:
    trace = Trace("t", tuple(Asked(float(size), size, 0) for size in range(1, 101)))
    place = by_size(trace)
    assert [place(at, one) for at, one in enumerate(trace.asked)] == [at / 100 for at in range(100)]


def test_a_warm_prefix_is_read_and_a_cold_one_is_not() -> None:
    warm, cold = (Trace("t", (Asked(0, 1_024, 0, (1, 2)), Asked(at_s, 1_024, 0, (1, 3)))) for at_s in (299.0, 300.0))
    assert cost_usd(warm, PLANNER, ALL_HEAVY, prefixes=True) * 1_000_000 == 1_024 + 512 + Decimal("51.2")
    assert cost_usd(cold, PLANNER, ALL_HEAVY, prefixes=True) * 1_000_000 == 2_048


def test_an_exact_repeat_is_free() -> None:
    trace = Trace("t", (Asked(0, 600, 9, (1,)), Asked(1, 600, 9, (1,)), Asked(2, 601, 9, (1,))))
    assert cost_usd(trace, PLANNER, ALL_HEAVY, repeats=True) * 1_000_000 == 600 + 601 + 2 * 18


def test_the_planner_gives_each_place_its_tier_and_stays_where_it_is_warm() -> None:
    light, heavy = (
        Model(name, "p", name, tier, Price(Rates(Decimal(usd), Decimal(usd), Decimal("0.01"))))
        for name, tier, usd in (("light", Tier.LIGHT, 1), ("heavy", Tier.HEAVY, 2))
    )
    planner, asked, half = Planner(Catalog((light, heavy))), Asked(0, 9_000, 1), TierShares(0.5, 0.0)
    assert [planner.first(asked, half, place) for place in (0.4, 0.6)] == [light, heavy]
    assert planner.first(asked, half, 0.4, Warm("heavy", 9_000)) == heavy
    assert planner.first(asked, half, 0.6, Warm("light", 9_000)) == heavy
