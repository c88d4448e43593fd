"""Which host is asked, and when none is: with hosts of the test's own and a clock that stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.core.chat import ChatRequest, parse_chat
from gateway.core.chunks import Chunk, assemble
from gateway.core.errors import (
    UpstreamCut,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
)
from gateway.core.events import BreakerClosed, BreakerOpened
from gateway.core.plan import Model
from gateway.flow.fleet import BreakerRules, Fleet
from gateway.flow.hosts import Hosts
from gateway.ports import Answered, Upstream
from tests.fixtures.semantic import EventList
from tests.flow.asking import MODEL, chunk

CHAT = parse_chat({"model": "m", "messages": [{"role": "user", "content": "Hello?"}]})


@dataclass
class HandClock:
    """`ports.Clock`: moves when the test says so."""

    now_s: float = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


@dataclass
class Answering:
    """`ports.Provider`: fails with `failure` before or (`late`) after its first chunk, or answers after `took_s`."""

    clock: HandClock
    failure: UpstreamError | None = None
    late: bool = False
    took_s: float = 0.1
    name: str = "p"
    absence: str | None = None
    waiting_for: str | None = None
    asked: int = 0

    @asynccontextmanager
    async def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AsyncIterator[Upstream]:
        self.asked += 1
        if self.failure is not None and not self.late:
            raise self.failure
        yield Upstream(self._portions())

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> Answered:
        async with self.chat(chat, model, max_output_tokens, strict=strict) as upstream:
            return Answered(assemble([chunk async for portion in upstream.portions for chunk in portion]))

    async def _portions(self) -> AsyncIterator[list[Chunk]]:
        self.clock.now_s += self.took_s
        yield [chunk({"content": "Hello"})]
        if self.failure is not None:
            raise self.failure

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return {"data": []}


@dataclass
class Stand:
    """Some hosts of one provider."""

    clock: HandClock = field(default_factory=HandClock)
    told: EventList = field(default_factory=EventList)

    failures: int = 2

    def __post_init__(self) -> None:
        self.fleet = Fleet(BreakerRules(self.failures, open_s=10.0), self.clock, self.told)

    def hosts(self, *providers: Answering) -> Hosts:
        return Hosts(self.fleet, [(self.fleet.host(str(at), f"host-{at}"), to) for at, to in enumerate(providers)])


async def ask(hosts: Hosts, asked: Counter[str] | None = None) -> None:
    seen = Counter[str]() if asked is None else asked
    async with hosts.chat(CHAT, MODEL, None, strict=False, asked=seen) as upstream:
        async for _ in upstream.portions:
            pass


async def refusal(hosts: Hosts, asked: Counter[str] | None = None) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await ask(hosts, asked)
    return caught.value


async def test_a_pause_holds_for_every_request_and_tells_the_time_that_is_left() -> None:
    stand = Stand()
    provider = Answering(stand.clock, UpstreamRateLimited("slow down", retry_after_s=7.0))
    hosts = stand.hosts(provider)
    await refusal(hosts)
    stand.clock.now_s += 5.0
    second = await refusal(hosts)
    assert (second.asked, second.retry_after_s, provider.asked) == (False, 2.0, 1)
    stand.clock.now_s += 2.0
    await refusal(hosts)
    assert provider.asked == 2


async def test_a_breaker_opens_once_lets_one_probe_through_and_closes_with_its_first_token() -> None:
    stand = Stand()
    provider = Answering(stand.clock, UpstreamError("x", upstream_status=500))
    hosts = stand.hosts(provider)
    for _ in range(4):
        await refusal(hosts)
    assert provider.asked == 2
    stand.clock.now_s += 10.0
    assert (await refusal(hosts)).asked, "the probe was sent, and failed"
    assert not (await refusal(hosts)).asked
    stand.clock.now_s += 10.0
    provider.failure = None
    await ask(hosts)
    await ask(hosts)
    opened = BreakerOpened("p", "m", "host-0", "upstream_error", 10.0)
    assert stand.told.events == [opened, BreakerClosed("p", "m", "host-0")]


async def test_a_probe_that_is_refused_for_what_it_asks_closes_the_breaker() -> None:
    stand = Stand(failures=1)
    provider = Answering(stand.clock, UpstreamCut("x"))
    hosts = stand.hosts(provider)
    await refusal(hosts)
    stand.clock.now_s += 10.0
    provider.failure = UpstreamRejected("no such parameter", upstream_status=400)
    assert (await refusal(hosts)).asked, "the probe"
    assert (await refusal(hosts)).asked, "and everybody after it"
    assert stand.told.events[1:] == [BreakerClosed("p", "m", "host-0")]


async def test_a_stream_that_was_left_before_it_began_takes_at_least_so_long() -> None:
    """Its host is not the one of which nothing is known, and so not the next to be asked."""
    stand = Stand()
    silent, quick = Answering(stand.clock), Answering(stand.clock)
    hosts = stand.hosts(silent, quick)
    async with hosts.chat(CHAT, MODEL, None, strict=False, asked=Counter()):
        stand.clock.now_s += 3.0
    assert hosts.latency_s(MODEL) == 0.0, "of the other"
    assert stand.fleet.host("0", "").lanes[MODEL.name].latency.expected_s(stand.clock.now_s) == 3.0
    for _ in range(3):
        await ask(hosts)
    assert (silent.asked, quick.asked) == (1, 3)


async def test_what_is_usual_is_known_of_streams_after_twenty_of_them() -> None:
    stand = Stand()
    provider = Answering(stand.clock, took_s=0.25)
    hosts = stand.hosts(provider)
    stream = parse_chat({"model": "m", "messages": [{"role": "user", "content": "Hello?"}], "stream": True})
    for chat in [CHAT] * 30 + [stream] * 19:
        async with hosts.chat(chat, MODEL, None, strict=False, asked=Counter()) as upstream:
            async for _ in upstream.portions:
                pass
    assert hosts.begins_within_s(MODEL, 0.95) is None
    provider.took_s = 0.5
    async with hosts.chat(stream, MODEL, None, strict=False, asked=Counter()) as upstream:
        async for _ in upstream.portions:
            pass
    assert hosts.begins_within_s(MODEL, 0.5) == pytest.approx(0.25)
    assert hosts.begins_within_s(MODEL, 0.95) == pytest.approx(0.5)


async def test_streams_that_break_open_the_breaker_too() -> None:
    stand = Stand()
    provider = Answering(stand.clock, UpstreamCut("x"), late=True)
    hosts = stand.hosts(provider)
    for _ in range(3):
        await refusal(hosts)
    assert provider.asked == 2


async def test_what_is_known_of_a_host_outlives_the_adapter_that_learned_it() -> None:
    stand = Stand()
    hosts = stand.hosts(Answering(stand.clock, UpstreamOverloaded("x", retry_after_s=60.0)))
    await refusal(hosts)
    after_a_reload = Answering(stand.clock)
    assert not (await refusal(stand.hosts(after_a_reload))).asked
    assert after_a_reload.asked == 0


async def test_a_request_asks_the_other_host_first_and_the_same_again_only_within_the_budget() -> None:
    stand = Stand(failures=1_000)
    providers = [Answering(stand.clock, UpstreamError("x", upstream_status=500)) for _ in range(2)]
    hosts = stand.hosts(*providers)
    asked = Counter[str]()
    await refusal(hosts, asked)
    await refusal(hosts, asked)
    assert [provider.asked for provider in providers] == [1, 1]
    repeats = [(await refusal(hosts, asked)).asked for _ in range(30)]
    assert repeats == [True] * 20 + [False] * 10, "ten for each host, which is the floor"


async def test_the_faster_host_is_asked() -> None:
    stand = Stand()
    slow, fast = Answering(stand.clock, took_s=2.0), Answering(stand.clock, took_s=0.1)
    hosts = stand.hosts(slow, fast)
    for _ in range(10):
        await ask(hosts)
    assert (slow.asked, fast.asked) == (1, 9)


async def test_a_busy_host_is_left_for_an_idle_one() -> None:
    stand = Stand()
    first, second = Answering(stand.clock, took_s=0.10), Answering(stand.clock, took_s=0.11)
    hosts = stand.hosts(first, second)
    await ask(hosts)
    await ask(hosts)
    async with hosts.chat(CHAT, MODEL, None, strict=False, asked=Counter()):
        await ask(hosts)
    assert (first.asked, second.asked) == (2, 2)


async def test_embeddings_stand_before_the_same_gate() -> None:
    stand = Stand()
    provider = Answering(stand.clock, UpstreamRateLimited("slow down", retry_after_s=7.0))
    hosts = stand.hosts(provider)
    for _ in range(3):
        with pytest.raises(UpstreamRateLimited):
            await hosts.embed({}, MODEL)
    assert provider.asked == 1


async def test_a_provider_is_waited_for_until_one_of_its_hosts_can_answer() -> None:
    stand = Stand()
    loading, ready = Answering(stand.clock, waiting_for="loading"), Answering(stand.clock)
    assert stand.hosts(loading).waiting_for == "loading"
    assert stand.hosts(loading, ready).waiting_for is None


async def test_a_host_is_busy_while_it_has_a_request_and_what_has_no_slot_waits() -> None:
    stand = Stand()
    hosts = Hosts(stand.fleet, [(stand.fleet.host("one", "host"), Answering(stand.clock))], slots=lambda: 1)
    async with hosts.chat(CHAT, MODEL, None, strict=False, asked=Counter()):
        stand.clock.now_s += 2
        async with hosts.chat(CHAT, MODEL, None, strict=False, asked=Counter()):
            stand.clock.now_s += 3
            assert hosts.in_queue() == 1
    stand.clock.now_s += 10
    assert (hosts.in_queue(), hosts.busy_s(), hosts.up_s()) == (0, 5, 15)


def test_nobody_waits_where_the_slots_are_not_known() -> None:
    stand = Stand()
    assert stand.hosts(Answering(stand.clock)).in_queue() is None


async def test_a_whole_answer_counts_as_begun_and_ended() -> None:
    stand = Stand()
    hosts = stand.hosts(answering := Answering(stand.clock))
    asked: Counter[str] = Counter()
    answered = await hosts.answer(CHAT, MODEL, None, strict=False, asked=asked)
    assert answered.completion["choices"][0]["message"]["content"] == "Hello"
    assert (answering.asked, sum(asked.values())) == (1, 1)
    assert hosts.latency_s(MODEL) == pytest.approx(0.1)
