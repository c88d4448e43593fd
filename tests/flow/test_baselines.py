from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gateway.core.plan import Catalog, Model, Plan
from gateway.core.pricing import Change, Price, Rates
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.flow.baselines import Baselines, Compared


def model(name: str, tier: Tier, usd: int, *, routed: bool = True) -> Model:
    return Model(name, "p", name, tier, Price(Rates(Decimal(usd), Decimal(usd))), routed=routed)


LIGHT, HEAVY = model("light", Tier.LIGHT, 1), model("heavy", Tier.HEAVY, 10)
SPARE = model("spare", Tier.HEAVY, 99, routed=False)
CATALOG = Catalog((LIGHT, HEAVY, SPARE))
ROUTED = Plan((LIGHT, HEAVY), "tier:light", Tier.LIGHT, pinned=False, reasons=())
PINNED = Plan((LIGHT,), "model:light", Tier.LIGHT, pinned=True, reasons=())


def baseline(service: Service, plan: Plan = ROUTED) -> Model | None:
    return Baselines(CATALOG).of(service, plan, 0.0).baseline


def test_it_is_the_dearest_that_the_router_may_use_for_the_service() -> None:
    assert baseline(Service("all")) is HEAVY
    assert baseline(Service("light only", tiers=frozenset({Tier.LIGHT}))) is LIGHT


def test_it_is_the_one_that_the_service_names_even_if_nobody_is_routed_to_it() -> None:
    assert baseline(Service("s", baseline_model="spare")) is SPARE


def test_a_model_that_was_asked_for_is_its_own() -> None:
    assert baseline(Service("s", baseline_model="heavy"), PINNED) is LIGHT


def test_the_model_of_last_month_stands_beside_it_while_it_is_known_and_still_there() -> None:
    used: dict[str, str] = {}
    baselines = Baselines(CATALOG, lambda service, unix_s: used.get(service))
    assert baselines.of(Service("s"), ROUTED, 0.0) == Compared(HEAVY, None)
    used["s"] = "light"
    assert baselines.of(Service("s"), PINNED, 0.0) == Compared(LIGHT, LIGHT)
    used["s"] = "gone"
    assert baselines.of(Service("s"), ROUTED, 0.0) == Compared(HEAVY, None)


def test_a_price_that_changes_makes_another_model_the_dearest_from_the_next_day_on() -> None:
    day_s = 86_400.0
    falling = replace(HEAVY, price=replace(HEAVY.price, changes=(Change(day_s / 2, Price(Rates())),)))
    baselines, moments = Baselines(Catalog((LIGHT, falling))), (0.0, day_s * 0.9, day_s)
    found = [baselines.of(Service("s"), ROUTED, at_s).baseline for at_s in moments]
    assert found == [falling, falling, LIGHT]
