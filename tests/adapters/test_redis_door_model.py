"""The Lua in a real server against its twin, `core/limits.py`: any order of events, the same answers and state."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.adapters.redis_client import connect
from gateway.adapters.redis_door import RedisDoor
from gateway.adapters.redis_keys import door_keys
from gateway.core import limits as model
from gateway.core.errors import LimitExceeded
from gateway.core.limits import DoorState, Limits
from gateway.core.service import Service
from gateway.ports import Entry
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S

T = TypeVar("T")

LEASE_MS = 30_000
START_MS = int(datetime(2100, 6, 15, tzinfo=UTC).timestamp() * 1000)
IDS = st.sampled_from("abcdefgh")
GATEWAYS = st.integers(0, 1)
LIMITS = st.sampled_from([Limits(3), Limits(None, 2), Limits(4, 2), Limits(2, 3)])
# Within a second, to its edge, to the end of a lease and of a minute; and back.
JUMPS_MS = st.sampled_from([1, 400, 999, 1_000, LEASE_MS - 1, LEASE_MS, 59_000, 60_000, 61_000, -1_500, -90_000])

_runs = itertools.count()


class DoorModel(RuleBasedStateMachine):
    """One service whose limits change, and two gateways that share it."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.client = connect(self.url, timeout_s=PATIENT_S)
        self.now_ms = START_MS
        self.name = f"service {next(_runs)}"
        self.state = DoorState()
        self.told = EventList()
        self.gateways = [self.door(), self.door()]
        self.inside: list[dict[str, Entry]] = [{}, {}]

    def door(self) -> RedisDoor:
        return RedisDoor(
            self.client,
            HandClock(),
            self.told,
            lease_s=LEASE_MS / 1000,
            timeout_s=PATIENT_S,
            server_ms=lambda: self.now_ms,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @rule(id=IDS, limits=LIMITS, gateway=GATEWAYS)
    def enter(self, id: str, limits: Limits, gateway: int) -> None:
        """A new request, or the same one asking again, perhaps of the other gateway."""
        self.state, expected = model.enter(self.state, id, limits, self.now_ms, LEASE_MS)
        answer = self.run(self.answer(self.gateways[gateway], id, Service(self.name, limits=limits)))
        if isinstance(answer, Entry):
            assert (None, answer) == (expected.refused_by, Entry(id, self.name, expected.rate(limits)))
            self.inside[gateway][id] = answer
            return
        assert f"`limits.{expected.refused_by}`" in answer.message
        assert answer.rate == expected.rate(limits)
        if expected.refused_by == "requests_per_minute":
            assert answer.retry_after_s == expected.retry_ms / 1000

    async def answer(self, door: RedisDoor, id: str, service: Service) -> Entry | LimitExceeded:
        try:
            return await door.enter(id, service)
        except LimitExceeded as refusal:
            return refusal

    @rule(id=IDS, gateway=GATEWAYS)
    def leave(self, id: str, gateway: int) -> None:
        """One that is inside, or one that never was."""
        entry = self.inside[gateway].pop(id, None)
        self.gateways[gateway].leave(entry or Entry(id, self.name))
        self.run(self.gateways[gateway].give_back())
        if entry is not None:
            self.state = model.leave(self.state, [id])

    @rule(gateway=GATEWAYS)
    def renew(self, gateway: int) -> None:
        self.run(self.gateways[gateway].renew())
        self.state = model.keep(self.state, self.inside[gateway], self.now_ms, LEASE_MS)

    @rule(jump_ms=JUMPS_MS)
    def time_passes(self, jump_ms: int) -> None:
        self.now_ms += jump_ms

    @rule()
    def a_gateway_is_killed_and_starts_again(self) -> None:
        self.gateways[1], self.inside[1] = self.door(), {}

    @rule()
    def everything_is_forgotten(self) -> None:
        self.run(self.forget())
        self.state = DoorState()

    async def forget(self) -> None:
        await self.client.flushall()

    @invariant()
    def the_server_has_the_state_of_the_model(self) -> None:
        assert self.run(self.stored()) == self.state
        assert self.told.events == []

    async def stored(self) -> DoorState:
        keys = door_keys(self.name)
        admitted = await self.client.hgetall(keys.admitted)
        slots: Any = await self.client.zrange(keys.slots, 0, -1, withscores=True)
        return DoorState(
            {int(second): int(count) for second, count in admitted.items()},
            {id.decode(): int(until_ms) for id, until_ms in slots},
        )

    def teardown(self) -> None:
        self.run(self.client.aclose())
        self.runner.close()


@pytest.mark.parametrize(
    "histories", [70, pytest.param(2_000, marks=[pytest.mark.nightly, pytest.mark.timeout(2_000)])]
)
def test_the_door_is_its_model_whatever_happens_in_whatever_order(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, histories: int
) -> None:
    monkeypatch.setattr(DoorModel, "url", redis_url, raising=False)
    run_state_machine_as_test(
        DoorModel,
        settings=settings(
            max_examples=histories, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
