from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.plan import Model
from gateway.core.pricing import Price, Rates
from gateway.core.savings import Saving, saving
from gateway.core.tiers import Tier
from gateway.core.usage import Usage


def model(name: str, input_usd: int, output_usd: int) -> Model:
    return Model(name, "p", name, Tier.HEAVY, Price(Rates(Decimal(input_usd), Decimal(output_usd))))


CHEAP, DEAR = model("cheap", 1, 2), model("dear", 4, 20)
USAGE = Usage(1_000_000, 100_000)


def test_the_dearest_model_is_the_baseline() -> None:
    assert saving(USAGE, Decimal("0.5"), [CHEAP, DEAR], "tier", 0) == Saving(Decimal("5.5"), "tier", "dear")


def test_which_model_is_dearest_depends_on_the_tokens() -> None:
    reader, writer = model("reader", 10, 1), model("writer", 1, 10)
    assert saving(Usage(100, 1), Decimal(0), [reader, writer], "tier", 0).baseline == "reader"
    assert saving(Usage(1, 100), Decimal(0), [reader, writer], "tier", 0).baseline == "writer"


def test_a_hit_saves_all_of_it() -> None:
    assert saving(USAGE, Decimal(0), [DEAR], "exact-cache", 0) == Saving(Decimal(6), "exact-cache", "dear")


def test_a_pinned_answer_saves_nothing() -> None:
    assert saving(USAGE, Decimal(0), [DEAR], None, 0) == Saving()


def test_paying_as_much_as_the_baseline_saves_nothing_by_nothing() -> None:
    assert saving(USAGE, Decimal(6), [DEAR], "tier", 0) == Saving(Decimal(0), None, "dear")


def test_without_a_baseline_nothing_is_claimed() -> None:
    assert saving(USAGE, Decimal(0), [], "tier", 0) == Saving()


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.decimals(0, 1_000, places=9))
def test_a_saving_is_never_negative_and_never_more_than_the_baseline(tokens: int, output: int, paid: Decimal) -> None:
    saved = saving(Usage(tokens, output), paid, [CHEAP, DEAR], "tier", 0)
    assert 0 <= saved.usd <= DEAR.price.cost(Usage(tokens, output), 0)
    assert (saved.by is None) == (saved.usd == 0)
