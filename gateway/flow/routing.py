"""Finds out what a plan wants to know of a request, has it made, and remembers where conversations were answered.

What is found out costs: a forecast half a millisecond, so only policies that go by it have one; latencies ten
microseconds, so only those who put a price on waiting. A long question is judged in a thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Turn, turn_of
from gateway.core.explanation import Explanation, explained
from gateway.core.features import Features, features_of, wants_schema
from gateway.core.forecast import Foresee
from gateway.core.options import Options
from gateway.core.plan import AUTO, Catalog, Plan
from gateway.core.planning import NOTHING, Known, is_open, make_plan
from gateway.core.policy import UNJUDGED, Judged, RecentScores
from gateway.core.service import Service
from gateway.core.tiers import Classified, Classify
from gateway.core.tiers import classify as by_rules
from gateway.core.warmth import Warm, WarmPrefixes, cached_tokens
from gateway.flow.call import Trail
from gateway.flow.kept_prompts import KeptPrompts
from gateway.ports import Clock

_LONG_CHARS = 1_000
"""From here on a forecast takes more than a millisecond."""


_MOST_READ = 2_000
"""Prompts whose features are remembered: 5 MB at most, for a question is cut at 2,000 characters."""


@dataclass(slots=True)
class _Read:
    """What is in a prompt, and its tier once somebody has asked for it: both follow from its words alone."""

    features: Features
    classified: Classified | None = None


@dataclass(frozen=True, slots=True)
class RoutingMemory:
    """What a reload does not forget: where prefixes are cached, and how hard each service's prompts were lately."""

    prefixes: WarmPrefixes = field(default_factory=WarmPrefixes)
    recent: dict[str, RecentScores] = field(default_factory=lambda: defaultdict(RecentScores))


class Routing:
    """One generation's. `latencies_s` says how long each model takes to begin, by name; `foresee` may take milliseconds
    the first time, when it reads its weights."""

    def __init__(
        self,
        catalog: Catalog,
        latencies_s: Callable[[], Mapping[str, float]],
        foresee: Foresee,
        memory: RoutingMemory,
        clock: Clock,
        classify: Classify = by_rules,
        kept: KeptPrompts | None = None,
    ) -> None:
        self._catalog = catalog
        self._latencies_s = latencies_s
        self._foresee = foresee
        self._classify = classify
        self._kept = kept
        self._memory = memory
        self._clock = clock
        self._pinned: dict[tuple[str, str], Plan] = {}
        self._read: OrderedDict[tuple[bytes, bool], _Read] = OrderedDict()

    async def plan(self, chat: ChatRequest, options: Options, service: Service, unix_s: float) -> Plan:
        """As `planning.make_plan`; for `auto` with all that is known."""
        pinned = self._pinned.get((service.name, chat.model))
        if pinned is not None:
            return pinned
        if not chat.model.startswith(AUTO):
            return self._of_model(chat, options, service, unix_s)
        known = await self._known(chat, options, service)
        if known.judged.forecast is not None:
            self._memory.recent[service.name].add(known.judged.forecast.gain)
        return make_plan(chat, options, service, self._catalog, unix_s, known)

    async def explain(self, chat: ChatRequest, options: Options, service: Service, unix_s: float) -> Explanation:
        """What `plan` would do now, and why. Asks nobody and changes nothing; raises as `plan` does."""
        known = await self._known(chat, options, service) if chat.model.startswith(AUTO) else NOTHING
        plan = make_plan(chat, options, service, self._catalog, unix_s, known)
        features = known.features or features_of(chat)
        foreseen = await asyncio.to_thread(self._foresee, features, True)
        told = replace(known, latency_s=self._latencies_s())  # also where the policy does not price them
        return explained(plan, chat, features, foreseen, told, service, self._catalog, unix_s)

    def landed(self, trail: Trail) -> None:
        """An answer has ended: its provider may now have the conversation cached."""
        if self._kept is not None:
            self._kept.landed(trail)
        plan, model = trail.plan, trail.model
        if plan is None or plan.turn is None or model is None or trail.outcome != "ok":
            return
        tokens = cached_tokens(model, trail.answered)
        if tokens:
            until_s = self._clock.monotonic_s() + model.profile.prompt_cache_s
            self._memory.prefixes.keep(plan.turn.key, Warm(model.name, tokens, plan.turn.number), until_s)

    def _of_model(self, chat: ChatRequest, options: Options, service: Service, unix_s: float) -> Plan:
        """Nothing else of a request is in the plan for a model that it names, so there are few of these."""
        plan = self._pinned[service.name, chat.model] = make_plan(chat, options, service, self._catalog, unix_s)
        return plan

    async def _known(self, chat: ChatRequest, options: Options, service: Service) -> Known:
        turn = turn_of(chat, service.name)
        read = self._reading(chat, turn)
        features = read.features
        opened = is_open(chat, options)
        return Known(
            features,
            await self._judged(features, service) if opened else UNJUDGED,
            self._latencies_s() if service.policy.value_of_second_usd else {},
            turn,
            self._warm(turn),
            await self._classifier(read) if opened else self._classify,
        )

    def _reading(self, chat: ChatRequest, turn: Turn) -> _Read:
        """What is asked again, as every exact hit is, was read before. Its turn is a hash of all that is read but one
        field."""
        key = turn.key, wants_schema(chat.body)
        read = self._read.get(key)
        if read is None:
            read = self._read[key] = _Read(features_of(chat))
            if len(self._read) > _MOST_READ:
                self._read.popitem(last=False)
        else:
            self._read.move_to_end(key)
        return read

    async def _classifier(self, read: _Read) -> Classify:
        """The learned one reads a long question in a thread; the plan is then given what was found there."""
        if read.classified is None and self._classify is not by_rules and read.features.question_chars > _LONG_CHARS:
            read.classified = await asyncio.to_thread(self._classify, read.features)

        def classified(features: Features) -> Classified:
            if read.classified is None:
                read.classified = self._classify(features)
            return read.classified

        return classified

    def _warm(self, turn: Turn) -> Warm | None:
        return self._memory.prefixes.find(turn.before, self._clock.monotonic_s())

    async def _judged(self, features: Features, service: Service) -> Judged:
        if not service.policy.wants_forecast:
            return UNJUDGED
        if features.question_chars > _LONG_CHARS:
            foreseen = await asyncio.to_thread(self._foresee, features, False)
        else:
            foreseen = self._foresee(features, False)
        if foreseen is None:
            return UNJUDGED
        return Judged(foreseen, self._memory.recent[service.name].place(foreseen.gain))
