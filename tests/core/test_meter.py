from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget import LATE_MS, NOTHING, SETTLED_KEPT_MS, Amount, Bid, Limits
from gateway.core.meter import Answer, Asked, Held, Meter, Refused, expire, hold, meter_of, renew, restore, settle
from gateway.core.window import BUCKETS, WindowRule

LEASE_MS = 60_000
END_MS = 86_400_000
WALL = Limits(100, 1_000)
SLIDING = meter_of(WindowRule("minute", "sliding"))
AMOUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 600)), max_size=8)


def ask(meter: Meter, id: str, amount: Amount, now_ms: int = 0) -> tuple[Meter, Answer]:
    (after,), answer = hold([Asked(meter, WALL, END_MS)], id, Bid(amount), now_ms, LEASE_MS)
    return after, answer


def held(amount: Amount, meter: Meter | None = None, id: str = "a", now_ms: int = 0) -> Meter:
    after, answer = ask(meter or Meter(), id, amount, now_ms)
    assert answer == Held(amount)
    return after


# reserve, then settle


def test_a_hold_is_refused_by_every_kind_of_limit_it_would_pass_and_leaves_no_trace() -> None:
    meter = held(Amount(60, 0))
    assert ask(meter, "b", Amount(41, 0)) == (meter, Refused({(0, "tokens"): END_MS}))
    assert ask(meter, "b", Amount(40, 1001)) == (meter, Refused({(0, "nano_usd"): END_MS}))
    assert ask(meter, "b", Amount(41, 1001))[1] == Refused({(0, "tokens"): END_MS, (0, "nano_usd"): END_MS})
    assert ask(meter, "b", Amount(40, 1000))[1] == Held(Amount(40, 1000))


def test_a_hold_is_made_in_all_meters_or_in_none() -> None:
    own, teams = held(Amount(10)), held(Amount(90))
    asked = [Asked(own, WALL, 1), Asked(teams, WALL, 2)]
    assert hold(asked, "b", Bid(Amount(11)), 0, LEASE_MS) == ((own, teams), Refused({(1, "tokens"): 2}))
    (own, teams), answer = hold(asked, "b", Bid(Amount(10)), 0, LEASE_MS)
    assert (own.used, teams.used, answer) == (Amount(20), Amount(100), Held(Amount(10)))


def test_the_same_hold_again_reserves_nothing_more() -> None:
    meter = held(Amount(60, 0))
    assert held(Amount(60, 0), meter) == meter


def test_the_same_hold_again_is_granted_what_it_was_though_there_is_less_now() -> None:
    flexible = Bid(Amount(), 0, 10, 50)
    (meter,), first = hold([Asked(Meter(), WALL, END_MS)], "a", flexible, 0, LEASE_MS)
    (_,), again = hold([Asked(held(Amount(50), meter, "b"), WALL, END_MS)], "a", flexible, 0, LEASE_MS)
    assert first == again == Held(Amount(50))


def test_a_hold_that_only_some_meters_know_is_over() -> None:
    old, new = Asked(held(Amount(60)), WALL, END_MS), Asked(Meter(), WALL, END_MS)
    (_, untouched), answer = hold([old, new], "a", Bid(Amount(60)), 0, LEASE_MS)
    assert (answer, untouched) == ("over", Meter())


def test_settling_frees_the_rest() -> None:
    meter, before = settle(held(Amount(60, 600)), "a", Amount(10, 100), 0)
    assert (meter.settled, meter.reserved, before) == (Amount(10, 100), NOTHING, None)


def test_settling_twice_charges_once_and_says_what_was_charged() -> None:
    once, _ = settle(held(Amount(60, 0)), "a", Amount(10, 0), 0)
    twice, before = settle(once, "a", Amount(50, 0), 0)
    assert (twice.settled, before) == (Amount(10, 0), Amount(10, 0))


def test_a_crash_charges_the_whole_estimate_when_the_lease_ends() -> None:
    meter = held(Amount(60, 600))
    assert expire(meter, LEASE_MS - 1) == meter
    crashed = expire(meter, LEASE_MS)
    assert (crashed.settled, crashed.reserved) == (Amount(60, 600), NOTHING)


def test_a_renewed_lease_ends_later() -> None:
    meter = renew(held(Amount(60)), ["a"], LEASE_MS - 1, LEASE_MS)
    assert expire(meter, 2 * LEASE_MS - 2).reserved == Amount(60)
    assert expire(meter, 2 * LEASE_MS - 1).reserved == NOTHING


def test_a_lease_that_ended_while_its_request_lived_is_taken_back() -> None:
    meter = renew(held(Amount(60)), ["a", "unknown"], LEASE_MS, LEASE_MS)
    assert (meter.settled, meter.reserved) == (NOTHING, Amount(60))
    assert set(meter.leases) == {"a"}


def test_what_is_settled_is_not_renewed() -> None:
    settled, _ = settle(held(Amount(60)), "a", Amount(10), 0)
    assert renew(settled, ["a"], 1, LEASE_MS) == settled


def test_a_late_settle_trues_the_charge_up_once() -> None:
    late, _ = settle(held(Amount(60, 600)), "a", Amount(10, 100), LEASE_MS + LATE_MS - 1)
    assert late.settled == Amount(10, 100)
    assert settle(late, "a", Amount(0, 0), LEASE_MS + LATE_MS)[0].settled == Amount(10, 100)


def test_a_settle_that_is_too_late_leaves_the_estimate() -> None:
    late, _ = settle(held(Amount(60, 0)), "a", Amount(10, 0), LEASE_MS + LATE_MS)
    assert late.settled == Amount(60, 0)


def test_a_release_that_overtook_its_hold_leaves_nothing_reserved() -> None:
    released, _ = settle(Meter(), "a", NOTHING, 0)
    meter, answer = ask(released, "a", Amount(60, 0))
    assert (answer, meter.reserved) == ("over", NOTHING)


def test_nothing_is_remembered_for_ever() -> None:
    settled, _ = settle(held(Amount(60, 0)), "a", Amount(10, 0), 0)
    assert not expire(settled, SETTLED_KEPT_MS).leases
    assert not expire(held(Amount(60, 0)), LEASE_MS + LATE_MS).leases


@given(AMOUNTS, st.integers(0, 2 * LEASE_MS))
def test_when_leases_are_expired_changes_no_sum(amounts: list[tuple[int, int]], at_ms: int) -> None:
    meter = Meter()
    for number, amount in enumerate(amounts):
        meter, _ = ask(meter, str(number), Amount(*amount), number * 10_000)
    assert expire(meter, at_ms).used == meter.used


# sliding windows


def test_a_bucket_counts_until_the_whole_of_it_is_a_window_old() -> None:
    meter = held(Amount(60), SLIDING, now_ms=999)
    assert expire(meter, 60_999).used == Amount(60)
    assert expire(meter, 61_000).used == NOTHING


def test_a_hold_is_settled_in_its_bucket_and_after_that_has_left_nowhere() -> None:
    meter = held(Amount(60), SLIDING, now_ms=500)
    settled, _ = settle(meter, "a", Amount(10), 30_000)
    assert settled.used == Amount(10)
    assert expire(settled, 61_000).used == NOTHING
    renewed = renew(meter, ["a"], 59_000, LEASE_MS)
    assert settle(renewed, "a", Amount(10), 61_000)[0].used == NOTHING


def test_a_refusal_says_when_enough_buckets_will_have_left() -> None:
    meter = held(Amount(50), held(Amount(30), SLIDING, "a", 5_000), "b", 7_500)
    assert ask(meter, "c", Amount(50), 8_000)[1] == Refused({(0, "tokens"): 66_000})
    assert ask(meter, "c", Amount(51), 8_000)[1] == Refused({(0, "tokens"): 68_000})
    assert ask(meter, "c", Amount(500), 8_000)[1] == Refused({(0, "tokens"): 69_000})


def test_when_the_clock_is_set_back_a_hold_is_charged_to_the_oldest_bucket_that_counts() -> None:
    meter = held(Amount(60), expire(SLIDING, 200_000), now_ms=3_000)
    assert meter.used == Amount(60)
    assert expire(meter, 200_000).used == Amount(60)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30_000)), min_size=1, max_size=30),
    st.integers(0, 60_000),
)
def test_no_stretch_of_the_length_of_a_sliding_window_ever_contains_more_than_the_limit(
    asked: list[tuple[int, int]], offset_ms: int
) -> None:
    meter, now_ms, granted = SLIDING, 1_000_000, []
    for number, (tokens, pause_ms) in enumerate(asked):
        now_ms += pause_ms
        meter, answer = ask(meter, str(number), Amount(tokens), now_ms)
        if isinstance(answer, Held):
            granted.append((now_ms, tokens))
    for begin_ms in [at_ms - offset_ms for at_ms, _ in granted]:
        assert sum(tokens for at_ms, tokens in granted if begin_ms <= at_ms < begin_ms + 60_000) <= 100


@pytest.mark.parametrize("kind", ["minute", "hour", "day", "week", "month"])
def test_no_more_buckets_are_kept_than_count(kind: str) -> None:
    meter = meter_of(WindowRule(kind, "sliding"))  # type: ignore[arg-type]  # one of the kinds
    assert meter.bucket_ms is not None
    for number in range(3 * BUCKETS):
        meter, _ = ask(meter, str(number), Amount(1), number * meter.bucket_ms)
    assert len(meter.charges) == BUCKETS + 1


# a memory that was lost


def test_what_is_told_to_an_empty_meter_counts_as_settled_once() -> None:
    told = restore(restore(Meter(), Amount(60, 1), 0), Amount(60, 1), 0)
    assert (told.settled, told.reserved) == (Amount(60, 1), NOTHING)


def test_who_knows_more_adds_the_rest_and_what_was_spent_since_stays() -> None:
    since = held(Amount(10), restore(Meter(), Amount(60, 5), 0))
    assert restore(restore(since, Amount(70, 1), 0), Amount(20, 2), 0).used == Amount(80, 5)


@given(st.permutations([Amount(10, 9), Amount(30, 3), Amount(20, 20)]))
def test_in_which_order_it_is_told_makes_no_difference(known: list[Amount]) -> None:
    meter = Meter()
    for amount in known:
        meter = restore(meter, amount, 0)
    assert meter.settled == Amount(30, 20)
