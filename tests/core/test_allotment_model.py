"""Several gateways that lose sight of the ledger and of each other whenever they like: no window is ever overspent.

The ledger is `core/meter.py`, which is held to the one in Redis elsewhere. What was really spent is kept apart, by the
moment at which each attempt was allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gateway.core.allotment import Allotment, least_of, portion, reserve_of, spare
from gateway.core.budget import NOTHING, Amount, Bid, Budget, Payer
from gateway.core.meter import Asked, Held, Meter, hold, meter_of, settle
from gateway.core.window import LENGTH_S, WindowRule

LIMIT = 100
EVENING_S = int(datetime(2026, 11, 28, 20, tzinfo=UTC).timestamp())
LEASE_MS = 1_000 * 86_400_000
"""So long that no lease ends, in a history of days: gateways that live renew theirs."""
GATEWAYS = st.integers(0, 1)
TOKENS = st.integers(30, 60)


@dataclass
class Aside:
    """What a gateway has put aside under this id, in the meter of that window."""

    id: str
    meter: str
    allotment: Allotment
    is_over: bool = False


@dataclass
class Attempt:
    """One in the air, held from what was put aside or, without, in the ledger. `used` is None until it has landed."""

    id: str
    at_s: int
    meter: str
    reserved: Amount
    aside: Aside | None
    used: Amount | None = None


class Outages(RuleBasedStateMachine):
    RULE = WindowRule("day")

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget("search", self.RULE, tokens=LIMIT, away="local")
        self.payer = Payer("search", "search", (self.budget,))
        self.now_s = EVENING_S
        self.ids = map(str, count())
        self.meters: dict[str, Meter] = {}
        self.kept: dict[int, Aside] = {}
        self.attempts: list[Attempt] = []

    @property
    def now_ms(self) -> int:
        return self.now_s * 1000

    def meter(self) -> str:
        return self.budget.meter(self.now_s)

    def held(self, id: str, bid: Bid) -> bool:
        """Whether the ledger grants it."""
        window, meter = self.budget.window(self.now_s), self.meters.get(self.meter(), meter_of(self.RULE))
        asked = Asked(meter, self.budget.wall(self.now_s), window.end_s * 1000)
        (self.meters[self.meter()],), answer = hold([asked], id, bid, self.now_ms, LEASE_MS)
        return isinstance(answer, Held)

    def settled(self, id: str, meter: str, used: Amount) -> None:
        self.meters[meter], _ = settle(self.meters[meter], id, used, self.now_ms)

    def give_back(self, aside: Aside) -> None:
        aside.is_over = True
        if not aside.allotment.held:
            self.settled(aside.id, aside.meter, aside.allotment.spent)

    @rule(gateway=GATEWAYS, part=st.sampled_from([0.05, 0.5, 1.0]))
    def put_aside(self, gateway: int, part: float) -> None:
        """The new one first, then the old one is given back."""
        used = self.meters.get(self.meter(), meter_of(self.RULE)).used
        most = least_of((portion(self.payer, part, {}), spare([self.budget], [used], self.now_s)))
        reserve, id = reserve_of(most), next(self.ids)
        old = self.kept.pop(gateway, None)
        if reserve is not None and self.held(id, Bid(reserve)):
            until_s = self.budget.window(self.now_s).end_s
            self.kept[gateway] = Aside(id, self.meter(), Allotment(most, until_s))
        if old is not None:
            self.give_back(old)

    @rule(tokens=TOKENS)
    def ask_the_ledger(self, tokens: int) -> None:
        id = next(self.ids)
        if self.held(id, Bid(Amount(tokens))):
            self.attempts.append(Attempt(id, self.now_s, self.meter(), Amount(tokens), None))

    @rule(gateway=GATEWAYS, tokens=TOKENS, share=st.sampled_from([0.9, 1.0]))
    def ask_while_it_is_away(self, gateway: int, tokens: int, share: float) -> None:
        aside, id = self.kept.get(gateway), next(self.ids)
        if aside is None or aside.allotment.hold(id, Bid(Amount(tokens)), share, self.now_s) is None:
            return
        self.attempts.append(Attempt(id, self.now_s, aside.meter, Amount(tokens), aside))

    @precondition(lambda self: any(attempt.used is None for attempt in self.attempts))
    @rule(choice=st.integers(0, 1_000), part=st.sampled_from([0.5, 1.0]))
    def land(self, choice: int, part: float) -> None:
        flying = [attempt for attempt in self.attempts if attempt.used is None]
        attempt = flying[choice % len(flying)]
        self.land_one(attempt, Amount(int(attempt.reserved.tokens * part)))

    def land_one(self, attempt: Attempt, used: Amount) -> None:
        attempt.used = used
        if attempt.aside is None:
            self.settled(attempt.id, attempt.meter, used)
            return
        attempt.aside.allotment.settle(attempt.id, used)
        if attempt.aside.is_over:
            self.give_back(attempt.aside)

    @rule(seconds=st.sampled_from([1, 61, 1_800]))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds

    @rule()
    def the_window_ends(self) -> None:
        self.now_s = self.budget.window(self.now_s).end_s

    @invariant()
    def no_window_is_overspent(self) -> None:
        """Also with all that is in the air. Of a sliding window, the one that ends now is as good as any."""
        sliding = self.RULE.style == "sliding"
        since_s = self.now_s - LENGTH_S[self.RULE.kind] + 1 if sliding else self.budget.window(self.now_s).start_s
        counted = [attempt for attempt in self.attempts if attempt.at_s >= since_s]
        assert sum((each.reserved if each.used is None else each.used).tokens for each in counted) <= LIMIT

    def teardown(self) -> None:
        """In the end the ledger has heard of everything, once."""
        for attempt in self.attempts:
            if attempt.used is None:
                self.land_one(attempt, attempt.reserved)
        for aside in self.kept.values():
            self.give_back(aside)
        if self.RULE.style == "sliding":
            return  # what has left the window is forgotten
        for name, meter in self.meters.items():
            spent = sum((attempt.used or NOTHING for attempt in self.attempts if attempt.meter == name), NOTHING)
            assert (meter.settled, meter.reserved) == (spent, NOTHING)


class SlidingOutages(Outages):
    RULE = WindowRule("hour", "sliding")


@pytest.mark.parametrize("machine", [Outages, SlidingOutages])
def test_no_window_is_overspent_whoever_cannot_see_the_ledger(machine: type[Outages]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=150, stateful_step_count=40))
