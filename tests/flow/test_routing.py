from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gateway.core.features import Features
from gateway.core.forecast import Forecast
from gateway.core.options import DEFAULT, Options
from gateway.core.plan import Catalog, Model
from gateway.core.policy import Policy, TierShares, bounds_for
from gateway.core.pricing import Price, Rates
from gateway.core.profile import Profile
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.core.usage import Usage
from gateway.flow.call import Call, Trail
from gateway.flow.routing import Routing, RoutingMemory
from tests.core.asking import asked
from tests.flow.test_hosts import HandClock

CACHES = Profile(prompt_cache="automatic", min_cache_tokens=1, prompt_cache_s=60.0)
RATES = Rates(Decimal(1), Decimal(1), Decimal("0.1"))
SMALL = Model("small", "p", "small", Tier.LIGHT, Price(RATES), CACHES)
LARGE = Model("large", "p", "large", Tier.HEAVY, Price(replace(RATES, input_usd=Decimal(2))), CACHES)
AIMING = Service("s", policy=Policy(0.9, bounds=bounds_for(0.9, lambda target: 1 - target), version="v"))
BY_RULES = Service("s")


@dataclass
class Foreseen:
    """Stands where the router does: always the same gain, and where it was asked."""

    gain: float = 0.0
    threads: list[threading.Thread] = field(default_factory=list)

    def __call__(self, features: Features, explained: bool) -> Forecast | None:
        self.threads.append(threading.current_thread())
        return Forecast(self.gain, 0.5, 1.0, ("easier: length",) if explained else ())


@dataclass
class Stage:
    foreseen: Foreseen = field(default_factory=Foreseen)
    clock: HandClock = field(default_factory=HandClock)
    memory: RoutingMemory = field(default_factory=RoutingMemory)
    latencies: int = 0

    def latencies_s(self) -> dict[str, float]:
        self.latencies += 1
        return {"small": 100.0}

    @property
    def routing(self) -> Routing:
        """A new generation's, each time."""
        return Routing(Catalog((SMALL, LARGE)), self.latencies_s, self.foreseen, self.memory, self.clock)

    async def first(
        self, said: str, service: Service = BY_RULES, options: Options = DEFAULT, model: str = "auto"
    ) -> str:
        return (await self.routing.plan(asked(said, model=model), options, service, 0.0)).attempts[0].name


async def test_only_a_policy_that_goes_by_it_has_a_forecast_made() -> None:
    stage = Stage()
    for service, options, model in (
        (BY_RULES, DEFAULT, "auto"),
        (AIMING, DEFAULT, "small"),
        (AIMING, DEFAULT, "auto:light"),
        (AIMING, Options(tier=Tier.LIGHT), "auto"),
    ):
        await stage.first("Wombats?", service, options, model)
    assert stage.foreseen.threads == []
    assert await stage.first("Wombats?", AIMING) == "small"
    assert stage.foreseen.threads == [threading.current_thread()]


async def test_a_long_question_is_judged_in_a_thread() -> None:
    stage = Stage()
    await stage.first("word " * 300, AIMING)
    assert stage.foreseen.threads != [threading.current_thread()]


async def test_latencies_are_asked_by_who_prices_waiting() -> None:
    stage = Stage()
    await stage.first("Wombats?", AIMING)
    assert stage.latencies == 0
    hurried = replace(AIMING, policy=replace(AIMING.policy, value_of_second_usd=1.0))
    assert await stage.first("Wombats?", hurried) == "large"


async def test_recent_scores_outlive_a_generation_and_are_each_services_own() -> None:
    stage = Stage(Foreseen(0.5))
    shares = Service("a", policy=Policy(shares=TierShares(0.9, 0.0), version="v"))
    other = replace(shares, name="b")
    for _ in range(30):
        await stage.first("Wombats?", shares)
    stage.foreseen.gain = 0.9
    assert await stage.first("Wombats?", shares) == "large"
    assert stage.memory.recent["b"].place(0.9) is None
    assert await stage.first("Wombats?", other) == "large"  # by rules: medium, and there is none


async def test_an_explanation_tells_what_was_measured_also_where_nobody_prices_it() -> None:
    explanation = await Stage().routing.explain(asked("Wombats?"), DEFAULT, BY_RULES, 0.0)
    assert {each.model.name: each.latency_s for each in explanation.candidates} == {"small": 100.0, "large": 0.0}


async def test_an_explanation_leaves_no_trace_in_what_is_recent() -> None:
    stage = Stage()
    explanation = await stage.routing.explain(asked("Wombats?"), DEFAULT, AIMING, 0.0)
    assert explanation.forecast is not None
    assert explanation.forecast.reasons == ("easier: length",)
    assert "s" not in stage.memory.recent or stage.memory.recent["s"].place(0.0) is None


# conversations

ANSWER = {"role": "assistant", "content": "Yes."}


async def landed(stage: Stage, model: Model, tokens: int, outcome: str = "ok") -> None:
    """A first turn that this model has answered."""
    chat = asked("Wombats?")
    trail = Trail(Call("id", BY_RULES, chat, DEFAULT, 0.0, 0.0))
    trail.plan = await stage.routing.plan(chat, DEFAULT, BY_RULES, 0.0)
    trail.model, trail.answered, trail.outcome = model, Usage(tokens, 5), outcome  # type: ignore[assignment]  # the test's
    stage.routing.landed(trail)


async def reasons(stage: Stage, service: Service = BY_RULES) -> tuple[str, ...]:
    turn = asked("Wombats?", ANSWER, "Where?")
    return (await stage.routing.plan(turn, DEFAULT, service, 0.0)).reasons


async def test_the_next_turn_knows_where_the_last_was_answered() -> None:
    stage = Stage()
    await landed(stage, LARGE, 5_000)
    assert (await reasons(stage))[-1].startswith("stays with large and 5,000 cached tokens: small costs $")


async def test_what_has_grown_cold_is_forgotten() -> None:
    stage = Stage()
    await landed(stage, LARGE, 5_000)
    stage.clock.now_s += 60.0
    assert not any("cached" in reason for reason in await reasons(stage))


async def test_another_services_conversation_is_not_known() -> None:
    stage = Stage()
    await landed(stage, LARGE, 5_000)
    assert not any("cached" in reason for reason in await reasons(stage, Service("t")))


async def test_an_answer_that_failed_warms_nothing() -> None:
    stage = Stage()
    await landed(stage, LARGE, 5_000, "upstream_error")
    assert not any("cached" in reason for reason in await reasons(stage))


async def test_a_thousand_turns_at_once_are_planned_without_waiting_for_each_other() -> None:
    stage = Stage()
    names = await asyncio.gather(*(stage.first(f"Wombat {number}?", AIMING) for number in range(1_000)))
    assert set(names) == {"small"}
