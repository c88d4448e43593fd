from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget import AMPLE_OUTPUT_TOKENS, MAX_LIMIT, UNLIMITED, Amount, Bid, Budget, Limits, Payer, granted
from gateway.core.ladder import Ladder
from gateway.core.window import WindowRule

DAY = WindowRule("day")
MIDNIGHT_S = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
LADDER = Ladder(cheaper=0.5, local=0.75)
PACED = Budget("search", DAY, tokens=1_000, nano_usd=10, pace_burst=0.1)
LIMITS = st.one_of(st.none(), st.integers(-10, 2_000_000))
ROOMS = st.lists(st.builds(Limits, LIMITS, LIMITS), max_size=3)


@st.composite
def bids(draw: st.DrawFn) -> Bid:
    least, more = draw(st.integers(0, 20_000)), draw(st.integers(0, 200_000))
    prompt = Amount(draw(st.integers(0, 1_000_000)), draw(st.integers(0, 1_000_000)))
    return Bid(prompt, draw(st.integers(0, 100)), least, least + more)


# limits


@pytest.mark.parametrize("limit", [-1, MAX_LIMIT + 1])
def test_a_limit_that_a_double_cannot_hold_exactly_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="nano_usd limit"):
        Budget("search", DAY, nano_usd=limit)
    with pytest.raises(ValueError, match="tokens limit"):
        Budget("search", DAY, tokens=limit)
    assert Budget("search", DAY, MAX_LIMIT, MAX_LIMIT).limits() == (("tokens", MAX_LIMIT), ("nano_usd", MAX_LIMIT))


def test_a_double_tells_one_over_the_largest_limit_from_the_limit() -> None:
    assert float(MAX_LIMIT) != float(MAX_LIMIT + 1)


def test_an_amount_is_never_negative() -> None:
    with pytest.raises(ValueError, match="never negative"):
        Amount(1) - Amount(2)


def test_a_payer_is_limited_by_any_budget_that_has_a_limit() -> None:
    counted, soft = Budget("a", DAY), Budget("team", DAY, tokens=5, hard=False)
    assert not Payer("a", "a", (counted,)).is_limited
    assert not Payer("a", "a").is_limited
    assert Payer("a", "team", (counted, soft)).is_limited


# walls


def test_a_share_of_a_limit_is_rounded_down() -> None:
    assert Budget("search", DAY, tokens=999, nano_usd=10, ladder=LADDER).wall(MIDNIGHT_S, "cheaper") == Limits(749, 7)


def test_a_soft_budget_has_no_wall() -> None:
    assert Budget("search", DAY, tokens=1, hard=False).wall(MIDNIGHT_S) == UNLIMITED


@pytest.mark.parametrize(("hours", "tokens"), [(0, 100), (12, 550), (23.99, 999)])
def test_a_paced_limit_begins_with_the_burst_and_grows_to_the_whole(hours: float, tokens: int) -> None:
    assert PACED.wall(MIDNIGHT_S + hours * 3_600).tokens == tokens


def test_pace_and_share_hold_together() -> None:
    assert replace(PACED, ladder=LADDER).wall(MIDNIGHT_S + 12 * 3_600, "wanted") == Limits(275, 2)


@given(st.floats(0.1, 1), st.floats(0, 86_399))
def test_a_window_comes_to_a_share_when_it_says_it_will(part: float, elapsed_s: float) -> None:
    at_s = PACED.paced_at_s(part, MIDNIGHT_S + elapsed_s)
    assert MIDNIGHT_S <= at_s <= MIDNIGHT_S + 86_400
    if at_s < MIDNIGHT_S + 86_400:
        assert PACED.paced(at_s) == pytest.approx(part)


def test_a_share_that_never_comes_is_waited_for_until_the_window_ends() -> None:
    assert PACED.paced_at_s(1.1, MIDNIGHT_S) == MIDNIGHT_S + 86_400


def test_the_share_used_is_of_the_limit_that_is_nearer() -> None:
    assert Budget("search", DAY, tokens=100, nano_usd=10).used_share(Amount(50, 8)) == 0.8
    assert Budget("search", DAY).used_share(Amount(50, 8)) == 0
    assert Budget("search", DAY, tokens=0).used_share(Amount()) == 1


def test_what_slides_counts_no_more_when_its_last_bucket_has_left() -> None:
    assert Budget("search", DAY).resets_at_s(MIDNIGHT_S) == MIDNIGHT_S + 86_400
    assert Budget("search", WindowRule("minute", "sliding")).resets_at_s(MIDNIGHT_S + 0.5) == MIDNIGHT_S + 61


# granting


def test_a_bid_that_names_its_limit_gets_it_or_nothing() -> None:
    bid = Bid(Amount(100), least_output_tokens=9_000, most_output_tokens=9_000)
    assert granted(bid, [Limits(9_100)]) == 9_000
    assert granted(bid, [Limits(9_099)]) is None


def test_a_bid_without_a_limit_gets_an_ample_answer_and_not_all_there_is() -> None:
    bid = Bid(Amount(100), least_output_tokens=1_024, most_output_tokens=128_000)
    assert granted(bid, [Limits(20_100)]) == AMPLE_OUTPUT_TOKENS
    assert granted(bid, [Limits(80_100)]) == 10_000
    assert granted(bid, [Limits(3_100)]) == 3_000
    assert granted(bid, [Limits(1_123)]) is None


def test_where_nothing_limits_a_bid_gets_the_most_it_asks_for() -> None:
    assert granted(Bid(Amount(100), 1, 1_024, 128_000), [UNLIMITED]) == 128_000


def test_the_prompt_alone_may_be_too_much_in_either_kind() -> None:
    assert granted(Bid(Amount(100, 5)), [Limits(99)]) is None
    assert granted(Bid(Amount(100, 5)), [Limits(100, 4)]) is None
    assert granted(Bid(Amount(100, 5)), [Limits(100, 5)]) == 0


@given(bids(), ROOMS)
def test_what_is_granted_fits_into_every_room_and_is_within_the_bid(bid: Bid, rooms: list[Limits]) -> None:
    output_tokens = granted(bid, rooms)
    if output_tokens is not None:
        assert bid.least_output_tokens <= output_tokens <= bid.most_output_tokens
        assert all(room.excess(bid.amount(output_tokens)) == Amount() for room in rooms if _is_positive(room))


@given(bids(), ROOMS)
def test_a_bid_is_refused_exactly_when_its_least_does_not_fit(bid: Bid, rooms: list[Limits]) -> None:
    fits = all(
        (room.tokens is None or bid.least.tokens <= room.tokens)
        and (room.nano_usd is None or bid.least.nano_usd <= room.nano_usd)
        for room in rooms
    )
    assert (granted(bid, rooms) is not None) == fits


@given(bids(), ROOMS, LIMITS, LIMITS)
def test_one_more_room_never_grants_more(bid: Bid, rooms: list[Limits], tokens: int | None, nano: int | None) -> None:
    without, with_it = granted(bid, rooms), granted(bid, [*rooms, Limits(tokens, nano)])
    assert with_it is None or (without is not None and with_it <= without)


def _is_positive(room: Limits) -> bool:
    return all(left is None or left >= 0 for left in (room.tokens, room.nano_usd))
