from __future__ import annotations

from datetime import date

from gateway.core.last_month import most_used
from gateway.core.tally import day_of
from gateway.core.totals import Kind, Sums, Totals

TODAY = day_of(date(2026, 11, 23))


def used(day: date, service: str, model: str | None, tokens: int) -> tuple[Kind, Sums]:
    return Kind(day_of(day), service, "light", "p", model, "miss", "ok"), Sums(1, tokens, 0, tokens)


def test_it_is_the_model_with_the_most_tokens_of_the_calendar_month_before() -> None:
    rows = [
        used(date(2026, 10, 1), "shop", "flash", 40),
        used(date(2026, 10, 31), "shop", "flash", 40),
        used(date(2026, 10, 15), "shop", "opus", 70),
        used(date(2026, 11, 1), "shop", "terra", 1_000),
        used(date(2026, 9, 30), "shop", "sonnet", 1_000),
        used(date(2026, 10, 2), "search", "opus", 1),
        used(date(2026, 10, 3), "refused", None, 0),
    ]
    assert most_used(Totals(dict(rows)), TODAY) == {"shop": "flash", "search": "opus"}


def test_of_equals_it_is_always_the_same() -> None:
    rows = [used(date(2026, 10, 1), "shop", name, 5) for name in ("b", "a", "c")]
    assert most_used(Totals(dict(rows)), TODAY) == most_used(Totals(dict(rows[::-1])), TODAY) == {"shop": "a"}


def test_in_january_it_is_december() -> None:
    rows = [used(date(2026, 12, 31), "shop", "flash", 5)]
    assert most_used(Totals(dict(rows)), day_of(date(2027, 1, 1))) == {"shop": "flash"}
