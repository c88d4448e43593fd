from __future__ import annotations

from gateway.core.plan import Model, Plan
from gateway.core.tiers import Tier
from gateway.flow.candidates import candidates
from gateway.flow.fleet import BreakerRules, Fleet
from gateway.flow.hosts import Hosts
from tests.fixtures.semantic import EventList
from tests.flow.asking import Script
from tests.flow.test_hosts import HandClock

LOCAL = Model("local", "gpu", "m", Tier.LIGHT)
CLOUD = Model("cloud", "far", "m", Tier.LIGHT)


def queue(in_flight: int, max_wait_s: float | None, *, slots: int | None = 1) -> Hosts:
    """One host, where an answer takes ten seconds."""
    fleet = Fleet(BreakerRules(), HandClock(), EventList())
    host = fleet.host("h", "h")
    host.queue.answered(10.0, 0, 1)
    host.in_flight = in_flight
    return Hosts(fleet, [(host, Script())], lambda: slots, max_wait_s)


def plan(*models: Model) -> Plan:
    return Plan(models, "tier:light", Tier.LIGHT, pinned=False, reasons=())


FREE = queue(0, None)


def test_a_queue_that_is_too_long_comes_last_and_the_reasons_say_so() -> None:
    order, reasons = candidates(plan(LOCAL, CLOUD), {"gpu": queue(2, max_wait_s=15.0), "far": FREE})
    assert order == (CLOUD, LOCAL)
    assert reasons == ("local has a queue of 20.0 s",)


def test_a_queue_that_is_short_enough_keeps_its_place() -> None:
    assert candidates(plan(LOCAL, CLOUD), {"gpu": queue(1, max_wait_s=15.0), "far": FREE}) == ((LOCAL, CLOUD), ())


def test_without_a_bound_or_without_known_slots_nobody_is_too_slow() -> None:
    for hosts in (queue(99, None), queue(99, 1.0, slots=None)):
        assert candidates(plan(LOCAL, CLOUD), {"gpu": hosts, "far": FREE})[0] == (LOCAL, CLOUD)


def test_where_there_is_no_other_the_queue_is_waited_for() -> None:
    assert candidates(plan(LOCAL), {"gpu": queue(99, max_wait_s=1.0)}) == ((LOCAL,), ())
