"""The Lua in a real server against its twin, `core/budget.py`: any order of events, the same sums and answers."""

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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway.adapters.redis_client import connect
from gateway.adapters.redis_keys import meter_keys
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core import budget as model
from gateway.core.budget import LATE_MS, SETTLED_KEPT_MS, Amount, Bid, Budget, BudgetState, Kind, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import Overshoot
from gateway.core.window import WindowRule
from gateway.ports import Hold
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S

T = TypeVar("T")

LEASE_MS = 60_000
START_MS = int(datetime(2100, 6, 15, tzinfo=UTC).timestamp() * 1000)
IDS = st.sampled_from("abcdef")
# In half of the runs numbers are as large as limits get, where Lua writes 1e+15; doubles are still exact there.
UNITS = st.sampled_from([1, 10**13])
SIZES = st.integers(0, 60)
# Long enough for leases to end, for settled ids and late settles to be forgotten, and for windows to turn.
JUMPS_MS = st.sampled_from([1, LEASE_MS - 1, LEASE_MS, SETTLED_KEPT_MS, LATE_MS, 6 * 3_600_000])

_runs = itertools.count()


class LedgerModel(RuleBasedStateMachine):
    """One service with a daily budget of 100 units of each kind, and a second gateway that shares it."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.client = connect(self.url, timeout_s=PATIENT_S)
        self.now_ms = START_MS
        self.told = EventList()
        self.clock = HandClock(START_MS / 1000)
        self.gateways = [self.ledger(), self.ledger()]
        self.service = f"service {next(_runs)}"
        self.states: dict[str, BudgetState] = {}
        self.overshoots: list[Overshoot] = []

    def ledger(self) -> RedisLedger:
        return RedisLedger(
            self.client,
            self.clock,
            self.told,
            lease_s=LEASE_MS / 1000,
            timeout_s=PATIENT_S,
            server_ms=lambda: self.now_ms,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def window(self) -> str:
        return self.budget.meter(self.now_ms / 1000)

    @initialize(unit=UNITS)
    def choose_the_unit(self, unit: int) -> None:
        self.unit = unit
        self.budget = Budget(self.service, WindowRule("day"), tokens=100 * unit, nano_usd=100 * unit)
        self.payer = Payer(self.service, self.service, (self.budget,))

    def amount(self, tokens: int, nano_usd: int) -> Amount:
        return Amount(tokens * self.unit, nano_usd * self.unit)

    @rule(id=IDS, tokens=SIZES, nano_usd=SIZES, gateway=st.integers(0, 1))
    def hold(self, id: str, tokens: int, nano_usd: int, gateway: int) -> None:
        """A new hold, the same hold again, or one of an id that is over: whichever the id happens to be."""
        amount, window = self.amount(tokens, nano_usd), self.window
        before = self.states.get(window, BudgetState())
        state, expected = model.hold(before, id, amount, self.budget, self.now_ms, LEASE_MS)
        hold, answer = self.run(self.answer(self.gateways[gateway], id, amount))
        assert answer == expected
        if hold is not None:
            assert (hold.id, hold.meters) == (id, (window,))
        self.states[window] = state

    async def answer(self, ledger: RedisLedger, id: str, amount: Amount) -> tuple[Hold | None, str | Kind]:
        try:
            return await ledger.hold(id, self.payer, Bid(amount)), "held"
        except BudgetExceeded as refusal:
            return None, "tokens" if "token budget" in refusal.message else "nano_usd"
        except LedgerUnavailable:
            return None, "settled"

    @rule(id=IDS, tokens=st.integers(0, 90), nano_usd=st.integers(0, 90), data=st.data())
    def settle(self, id: str, tokens: int, nano_usd: int, data: st.DataObject) -> None:
        """In part, in full, too much, twice, late, in an old window, or of what was never held or was refused."""
        window = data.draw(st.sampled_from([*sorted(self.states), self.window]))
        actual = self.amount(tokens, nano_usd)
        state, over = model.settle(self.states.get(window, BudgetState()), id, actual, self.budget, self.now_ms)
        at_s = datetime.strptime(window.rpartition(":")[2], "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
        hold = Hold(id, self.service, self.service, Amount(), 0, at_s, (self.budget,), (window,))
        self.run(self.gateways[0].settle(hold, actual))
        self.states[window] = state
        if over != Amount():
            self.overshoots.append(Overshoot(self.service, over.tokens, over.nano_usd))

    @rule(jump_ms=JUMPS_MS)
    def time_passes_and_whoever_held_has_crashed(self, jump_ms: int) -> None:
        self.now_ms += jump_ms

    @rule()
    def a_gateway_restarts(self) -> None:
        self.gateways[1] = self.ledger()

    @rule()
    def ask_what_was_spent(self) -> None:
        state = model.expire(self.states.get(self.window, BudgetState()), self.now_ms)
        self.states[self.window] = state
        assert self.run(self.gateways[1].standing(self.payer))[0].used == state.settled

    @invariant()
    def the_server_has_the_sums_of_the_model(self) -> None:
        for window, state in self.states.items():
            assert self.run(self.stored(window)) == (state.settled, state.reserved)

    async def stored(self, window: str) -> tuple[Amount, Amount]:
        """Amounts, which cannot be negative."""
        fields = ["settled_tokens", "settled_nano_usd", "reserved_tokens", "reserved_nano_usd"]
        sums = await self.client.hmget(meter_keys(self.service, window).sums, fields)
        settled_tokens, settled_nano_usd, *reserved = (int(n or 0) for n in sums)
        return Amount(settled_tokens, settled_nano_usd), Amount(*reserved)

    @invariant()
    def nothing_is_over_a_limit_but_by_what_was_told(self) -> None:
        assert self.told.events == self.overshoots
        over = sum(state.excess(kind, self.budget) for state in self.states.values() for kind in _KINDS)
        assert over <= sum(event.tokens + event.nano_usd for event in self.overshoots)

    def teardown(self) -> None:
        self.run(self.client.aclose())
        self.runner.close()


_KINDS: tuple[Kind, ...] = ("tokens", "nano_usd")


def test_the_ledger_is_its_model_whatever_happens_in_whatever_order(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LedgerModel, "url", redis_url, raising=False)
    run_state_machine_as_test(
        LedgerModel,
        settings=settings(
            max_examples=300, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
