from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.plan import Model
from gateway.core.pricing import NANO_PER_USD, Price, Rates
from gateway.core.savings import Account, Cause, CauseSaved, Overhead, OverheadKind, Paid, account_of, dearest
from gateway.core.tiers import Tier
from gateway.core.usage import Usage


def model(name: str, input_usd: int, output_usd: int, cached_usd: int | None = None, *, local: bool = False) -> Model:
    cached = None if cached_usd is None else Decimal(cached_usd)
    rates = Rates(Decimal(input_usd), Decimal(output_usd), cached)
    return Model(name, "p", name, Tier.HEAVY, Price(rates), local=local)


CHEAP, DEAR = model("cheap", 1, 2), model("dear", 4, 20)
USAGE = Usage(1_000_000, 100_000)
USD = NANO_PER_USD

counts = st.integers(0, 10**7)
usages = st.builds(
    lambda plain, read, written, output: Usage(plain + read + written, output, read, written),
    *[counts] * 4,
)
rates = st.decimals(0, 100, places=3)
models = st.builds(
    lambda kinds, local: Model("m", "p", "m", Tier.LIGHT, Price(Rates(*kinds)), local=local),
    st.tuples(rates, rates, st.none() | rates, st.none() | rates),
    st.booleans(),
)
kinds: list[OverheadKind] = ["failed_attempt", "escalation"]
besides = st.dictionaries(st.sampled_from(kinds), st.integers(0, 10**12))
causes: list[Cause] = ["exact_cache", "semantic_cache", "single_flight"]


def answered(by: Model, usage: Usage = USAGE, beside: dict[OverheadKind, int] | None = None) -> Paid:
    return Paid(usage, by, by.price.charge(usage, 0), None, beside or {})


def given_away(cause: Cause, usage: Usage = USAGE) -> Paid:
    return Paid(usage, None, 0, cause)


paid = st.one_of(
    st.builds(answered, models, usages, besides),
    st.builds(given_away, st.sampled_from(causes), usages),
)


@given(paid, models)
def test_what_the_baseline_would_have_cost_less_the_cost_is_the_savings_less_the_overheads(
    paid: Paid, baseline: Model
) -> None:
    account = account_of(paid, baseline, 0)
    cost = paid.nano_usd + sum(paid.beside.values())
    saved, overhead = (sum(term.nano_usd for term in terms) for terms in (account.savings, account.overheads))
    assert account.baseline_nano_usd == baseline.price.charge(paid.usage, 0)
    assert account.baseline_nano_usd - cost == saved - overhead == account.net_nano_usd


@given(paid, models)
def test_no_term_is_below_zero_and_none_is_counted_twice(paid: Paid, baseline: Model) -> None:
    account = account_of(paid, baseline, 0)
    terms = [saved.nano_usd for saved in account.savings] + [each.nano_usd for each in account.overheads]
    assert all(nano_usd > 0 for nano_usd in terms)
    assert len({saved.cause for saved in account.savings}) == len(account.savings)
    assert len({overhead.kind for overhead in account.overheads}) == len(account.overheads)
    assert sum(saved.nano_usd for saved in account.savings) <= account.baseline_nano_usd


@given(models, usages, besides)
def test_a_model_saves_nothing_against_itself(by: Model, usage: Usage, beside: dict[OverheadKind, int]) -> None:
    twin = replace(by, name="twin")
    assert account_of(answered(by, usage, beside), twin, 0).savings == ()
    assert account_of(answered(by, usage, beside), by, 0).savings == ()


def test_a_cheaper_model_saves_by_its_tier() -> None:
    assert account_of(answered(CHEAP), DEAR, 0) == Account("dear", 6 * USD, (CauseSaved("tier", 4_800_000_000),))


def test_a_local_model_saves_by_being_local() -> None:
    own = model("own", 0, 0, local=True)
    assert account_of(answered(own), DEAR, 0).savings == (CauseSaved("local", 6 * USD),)


@pytest.mark.parametrize("cause", causes)
def test_an_answer_that_nobody_was_asked_for_saves_all_of_it(cause: Cause) -> None:
    assert account_of(given_away(cause), DEAR, 0) == Account("dear", 6 * USD, (CauseSaved(cause, 6 * USD),))


def test_an_attempt_that_failed_and_was_charged_is_an_overhead() -> None:
    account = account_of(answered(CHEAP, beside={"failed_attempt": 7, "escalation": 0}), DEAR, 0)
    assert account.overheads == (Overhead("failed_attempt", 7),)
    assert account.net_nano_usd == 4_800_000_000 - 7


def test_a_model_dearer_than_the_baseline_is_an_overhead_and_no_saving() -> None:
    account = account_of(answered(DEAR), CHEAP, 0)
    assert (account.savings, account.overheads) == ((), (Overhead("dearer_model", 4_800_000_000),))
    assert account.chief_cause is None


def test_cached_tokens_are_priced_at_the_baselines_own_rate_for_them() -> None:
    usage = Usage(1_000_000, 0, cache_read_tokens=1_000_000)
    assert account_of(answered(model("m", 1, 1, 0), usage), model("b", 4, 20, 1), 0) == Account(
        "b", 1 * USD, (CauseSaved("tier", 1 * USD),)
    )


def test_a_prompt_cache_that_the_baseline_has_not_is_a_cause_of_its_own() -> None:
    """$3 without any cache by the model, $4 by the baseline, $1 in truth."""
    usage = Usage(1_000_000, 0, cache_read_tokens=1_000_000)
    account = account_of(answered(model("m", 3, 1, 1), usage), model("b", 4, 20), 0)
    assert account.savings == (CauseSaved("prompt_cache", 2 * USD), CauseSaved("tier", 1 * USD))
    assert account.chief_cause == "prompt_cache"


def test_an_account_on_which_overheads_outweigh_names_no_cause() -> None:
    account = account_of(answered(CHEAP, beside={"escalation": 5 * USD}), DEAR, 0)
    assert (account.net_nano_usd, account.chief_cause) == (-200_000_000, None)


def test_without_a_baseline_nothing_is_claimed_and_overheads_are_told() -> None:
    account = account_of(answered(CHEAP, beside={"failed_attempt": 7}), None, 0)
    assert account == Account(overheads=(Overhead("failed_attempt", 7),))
    assert (account.net_nano_usd, account.chief_cause) == (0, None)


def test_the_dearest_is_named_by_one_request_whatever_the_others_look_like() -> None:
    reader, writer = model("reader", 10, 1), model("writer", 1, 10)
    assert dearest([reader, writer], 0) is reader
    assert dearest([CHEAP, DEAR], 0) is DEAR
    assert dearest([], 0) is None
