"""A classifier that was learned, in the place of the rules."""

from __future__ import annotations

import threading

import pytest

from gateway.core.features import Features
from gateway.core.options import DEFAULT, Options
from gateway.core.plan import Catalog
from gateway.core.tiers import Classified, Tier
from gateway.flow.routing import Routing, RoutingMemory
from tests.core.asking import asked
from tests.flow.test_hosts import HandClock
from tests.flow.test_routing import BY_RULES, LARGE, SMALL, Foreseen


class Learned:
    """Stands where the classifier does: always heavy, and where it was asked."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __call__(self, features: Features) -> Classified:
        self.threads.append(threading.current_thread())
        return Classified(Tier.HEAVY, ("learned",))


def routing(learned: Learned) -> Routing:
    return Routing(Catalog((SMALL, LARGE)), dict, Foreseen(), RoutingMemory(), HandClock(), learned)


@pytest.mark.parametrize("said", ["Wombats?", "word " * 300])
async def test_it_names_the_tier_once_and_says_why(said: str) -> None:
    learned = Learned()
    plan = await routing(learned).plan(asked(said), DEFAULT, BY_RULES, 0.0)
    assert (plan.tier, plan.reasons) == (Tier.HEAVY, ("learned",))
    assert len(learned.threads) == 1


async def test_a_long_question_is_read_in_a_thread_and_a_short_one_is_not() -> None:
    learned = Learned()
    await routing(learned).plan(asked("Wombats?"), DEFAULT, BY_RULES, 0.0)
    await routing(learned).plan(asked("word " * 300), DEFAULT, BY_RULES, 0.0)
    assert [thread is threading.current_thread() for thread in learned.threads] == [True, False]


async def test_a_tier_that_was_asked_for_is_not_learned() -> None:
    learned = Learned()
    plan = await routing(learned).plan(asked("word " * 300), Options(tier=Tier.LIGHT), BY_RULES, 0.0)
    assert plan.tier is Tier.LIGHT
    assert learned.threads == []


@pytest.mark.parametrize("said", ["Wombats?", "word " * 300])
async def test_a_question_that_is_asked_again_was_read_before(said: str) -> None:
    learned = Learned()
    router = routing(learned)
    plans = [await router.plan(asked(said), DEFAULT, BY_RULES, 0.0) for _ in range(3)]
    assert {(plan.tier, plan.reasons) for plan in plans} == {(Tier.HEAVY, ("learned",))}
    assert len(learned.threads) == 1


async def test_another_question_is_read_anew() -> None:
    learned = Learned()
    router = routing(learned)
    schema = {"type": "json_schema", "json_schema": {}}
    for chat in (asked("Wombats?"), asked("Wombats!"), asked("Wombats?", response_format=schema)):
        await router.plan(chat, DEFAULT, BY_RULES, 0.0)
    assert len(learned.threads) == 3
