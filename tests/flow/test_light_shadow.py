"""Which light answers are asked again, and what a judge's word means."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.flow.light_shadow import LightSpend, read_choice


@pytest.mark.parametrize(
    ("judgement", "choice"),
    [("1", 1), ("2.", 2), ("Equal", 0), ("Answer 1 is short, so 2", 2), ("neither", None), ("", None), ("12", None)],
)
def test_the_last_choice_of_a_judge_counts(judgement: str, choice: int | None) -> None:
    assert read_choice(judgement) == choice


def test_a_days_spend_is_each_services_own_and_over_at_midnight() -> None:
    spend = LightSpend()
    spend.add("search", Decimal("0.5"), 86_399)
    spend.add("search", Decimal("0.25"), 86_399)
    assert spend.today_usd("search", 86_399) == Decimal("0.75")
    assert spend.today_usd("chat", 86_399) == 0
    assert spend.today_usd("search", 86_400) == 0
