from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from gateway.core.budget import Budget
from gateway.core.ladder import Ladder
from gateway.core.limits import Limits
from gateway.core.review import Terms
from gateway.core.service import Service
from gateway.core.service_key import ServiceKey
from gateway.core.tiers import Tier
from gateway.core.window import WindowRule
from gateway.service_report import budget_in_words, review_in_words, services_in_words

BARE = Ladder(None, None, None)
DAY = WindowRule("day")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget("a", DAY, 5_000_000, 20_000_000_000, ladder=BARE), "5,000,000 tokens and $20 a day"),
        (Budget("a", WindowRule("hour"), nano_usd=500_000_000, ladder=BARE), "$0.5 an hour"),
        (Budget("a", DAY, nano_usd=1, ladder=BARE), "$0.000000001 a day"),
        (
            Budget("a", WindowRule("week", "calendar", ZoneInfo("Europe/Berlin")), 5, ladder=BARE),
            "5 tokens a week (Europe/Berlin)",
        ),
        (Budget("a", WindowRule("day", "calendar", UTC), 5, ladder=BARE), "5 tokens a day"),
        (Budget("a", WindowRule("month", "fixed"), 5, ladder=BARE), "5 tokens every 30 days"),
        (Budget("a", WindowRule("minute", "sliding"), 5, ladder=BARE), "5 tokens in any 60 s"),
        (Budget("a", DAY, 5), "5 tokens a day, told at 80 %, cheaper models at 90 %, local models only at 100 %"),
        (Budget("a", DAY, 5, ladder=Ladder(None, 0.625, None)), "5 tokens a day, cheaper models at 62.5 %"),
        (Budget("a", DAY, 5, ladder=BARE, pace_burst=0.1), "5 tokens a day, 10 % at once and the rest evenly"),
        (Budget("a", DAY, 5, hard=False), "5 tokens a day, told at 80 %, soft: counted and never refused"),
        (
            Budget("a", DAY, 5, ladder=BARE, away="local"),
            "5 tokens a day, served from what was put aside while the state is away",
        ),
        (Budget("a", DAY, 5, ladder=BARE, away="open"), "5 tokens a day, not limited while the state is away"),
    ],
)
def test_a_budget_in_words(budget: Budget, words: str) -> None:
    assert budget_in_words(budget) == words


def told(service: Service, *keys: ServiceKey, digests: dict[str, str] | None = None) -> list[str]:
    return list(services_in_words({service.name: service}, digests or {}, keys, now_s=1_000.0))


def test_a_service_without_a_key_is_told_how_to_get_one() -> None:
    assert told(Service("shop")) == [
        "service shop: no key yet (`thriftgate keys create shop`); every model",
        "    no budget that refuses",
    ]


def test_the_keys_of_a_service_are_counted_without_those_that_are_over() -> None:
    mine = [ServiceKey(f"abcd123{at}", "", "shop", "", 0, expires_s=at or None) for at in range(2)]
    others = ServiceKey("abcd1239", "", "search", "", 0)
    (headline, _) = told(Service("shop"), *mine, others, digests={"1": "shop", "2": "shop", "3": "search"})
    assert headline == "service shop: 2 keys in the configuration and 1 minted key; every model"


def test_what_a_service_may_ask_for_is_told_in_order() -> None:
    service = Service("shop", frozenset({"b", "auto"}), frozenset({Tier.HEAVY, Tier.LIGHT}))
    assert told(service)[0].endswith("; auto, b; auto: light, heavy")
    assert told(Service("shop", frozenset()))[0].endswith("; no model")


def test_a_review_is_told_with_what_it_leaves_out() -> None:
    terms = Terms("buffered", without=frozenset({"sums", "code"}), arithmetic=0.95)
    assert told(Service("shop", review=terms))[1] == (
        "    light answers of auto reviewed (streamed ones wait for it), without code, sums, worked sums to 95 % of a "
        "strong model's quality"
    )
    assert told(Service("shop", review=Terms("whole")))[1] == "    light answers of auto reviewed"
    assert review_in_words(Terms()) == "no answer is reviewed"


def test_limits_and_budgets_are_told_with_the_groups_they_are_shared_with() -> None:
    rate = Budget("shop", WindowRule("minute", "sliding"), 500, ladder=BARE, away="open", rate=True)
    budgets = (rate, Budget("shop", DAY, 5, ladder=BARE), Budget("acme", DAY, 9, ladder=BARE))
    assert told(Service("shop", budgets=budgets, limits=Limits(requests_per_minute=1_000, concurrency=4)))[1:] == [
        "    1,000 requests in any minute",
        "    4 requests at once",
        "    500 tokens in any 60 s, not limited while the state is away",
        "    5 tokens a day",
        "    with group acme: 9 tokens a day",
    ]
