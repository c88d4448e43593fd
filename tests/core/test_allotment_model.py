"""Several gateways that lose sight of the ledger and of each other whenever they like, and that spend of what they have
leased without asking it: no window is ever overspent, and nobody is refused for more than what they have not used.

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

from gateway.core.allotment import NO_ROOM, Allotment, Portions, lease, least_of, portion, spare, usable
from gateway.core.budget import NOTHING, Amount, Bid, Budget, Payer
from gateway.core.meter import Asked, Held, Meter, hold, meter_of, settle
from gateway.core.window import LENGTH_S, WindowRule

LIMIT = 300
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
    reserved: Amount
    is_over: bool = False

    @property
    def rest(self) -> int:
        return self.reserved.beyond(self.allotment.used).tokens

    @property
    def is_settled(self) -> bool:
        return self.is_over and not self.allotment.held


@dataclass
class Attempt:
    """One in the air, held from what was put aside or, without, in the ledger. `used` is None until it has landed."""

    id: str
    at_s: int
    meter: str
    reserved: Amount
    aside: Aside | None
    used: Amount | None = None

    @property
    def counts(self) -> int:
        return (self.reserved if self.used is None else self.used).tokens


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
        self.fresh: dict[int, Aside] = {}
        self.asides: list[Aside] = []
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

    @rule(gateway=GATEWAYS, part=st.sampled_from([0.05, 0.5, 1.0]), leased=st.sampled_from([0.0, 1 / 64, 0.5, 1.0]))
    def ask_for_one(self, gateway: int, part: float, leased: float) -> None:
        """The new one first; what happens until the answer is heard is part of the history."""
        self.reserve(gateway, part, leased)

    @rule(gateway=GATEWAYS)
    def hear_of_it(self, gateway: int) -> None:
        self.exchange(gateway)

    def reserve(self, gateway: int, part: float, leased: float) -> None:
        if gateway in self.fresh:
            return
        used, old = self.meters.get(self.meter(), meter_of(self.RULE)).used, self.kept.get(gateway)
        carried = old.allotment.in_the_air if old is not None and old.meter == self.meter() else NOTHING
        left = spare([self.budget], [used], self.now_s)
        portions = Portions(
            usable(least_of((portion(self.payer, part, {}), left))) if part < 1 else NO_ROOM,
            usable(lease(self.payer, [used], self.now_s, leased, {})),
            carried if left.excess(carried) == NOTHING else NOTHING,
        )
        id, until_s = next(self.ids), self.budget.window(self.now_s).end_s
        if portions.amount != NOTHING and self.held(id, Bid(portions.amount)):
            self.fresh[gateway] = Aside(id, self.meter(), portions.allotment(until_s), portions.amount)
            self.asides.append(self.fresh[gateway])

    def exchange(self, gateway: int) -> None:
        """Then the old one is given back; what attempts in the air hold of it goes over."""
        old, fresh = self.kept.pop(gateway, None), self.fresh.pop(gateway, None)
        if fresh is not None:
            self.kept[gateway] = fresh
        if old is None:
            return
        if fresh is not None and fresh.meter == old.meter and fresh.allotment.take_over(old.allotment):
            for attempt in self.attempts:
                if attempt.aside is old and attempt.used is None:
                    attempt.aside = fresh
        self.give_back(old)

    @rule(gateway=GATEWAYS, leased=st.sampled_from([1 / 64, 0.5]))
    def lease_some(self, gateway: int, leased: float) -> None:
        """Both at once."""
        self.reserve(gateway, 1.0, leased)
        self.exchange(gateway)

    @rule(tokens=TOKENS)
    def ask_the_ledger(self, tokens: int) -> None:
        id = next(self.ids)
        if self.held(id, Bid(Amount(tokens))):
            self.attempts.append(Attempt(id, self.now_s, self.meter(), Amount(tokens), None))
        else:
            self.is_refused_for_want_of(tokens)

    def is_refused_for_want_of(self, tokens: int) -> None:
        """Only what was used, held, or reserved by gateways and not used, keeps anybody from it."""
        if self.RULE.style == "sliding":
            return  # its bucket counts a while longer than what was used in it
        used = sum(attempt.counts for attempt in self.attempts if attempt.meter == self.meter())
        rests = sum(aside.rest for aside in self.asides if aside.meter == self.meter() and not aside.is_settled)
        assert used + rests + tokens > LIMIT

    @rule(gateway=GATEWAYS, tokens=TOKENS, share=st.sampled_from([0.9, 1.0]))
    def ask_while_it_is_away(self, gateway: int, tokens: int, share: float) -> None:
        aside, id = self.kept.get(gateway), next(self.ids)
        if aside is None or aside.allotment.hold(id, Bid(Amount(tokens)), share, self.now_s) is None:
            return
        self.attempts.append(Attempt(id, self.now_s, aside.meter, Amount(tokens), aside))

    @rule(gateway=GATEWAYS, tokens=st.integers(1, 30))
    def ask_nobody(self, gateway: int, tokens: int) -> None:
        aside, id = self.kept.get(gateway), next(self.ids)
        if aside is None or aside.allotment.lease(id, Bid(Amount(tokens)), self.now_s) is None:
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
        assert sum(each.counts for each in counted) <= LIMIT

    def teardown(self) -> None:
        """In the end the ledger has heard of everything, once."""
        for attempt in self.attempts:
            if attempt.used is None:
                self.land_one(attempt, attempt.reserved)
        for aside in (*self.kept.values(), *self.fresh.values()):
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
