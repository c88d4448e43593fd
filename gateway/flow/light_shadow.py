"""Asks a share of what was answered lightly of a heavier model too, behind the answer: would it have been better?

Theory of operation. The answer is chosen by a hash of its request's id, as `shadow` chooses hits. The strongest model
of the plan is asked the same, and a judge model is shown both answers without being told whose they are, in an order
that the hash decides too: judges prefer the first. It may call them equal. Without a judge, or where it does not make
up its mind, vectors decide, and they only see an answer about another thing (`shadow.AGREE`). What comes of it is a
line of the ledger that `thriftgate train-router` learns from; it changes nothing by itself.

It is paid from the service's own budget, and never more than that has left. Of each service no new check is begun
once this process has spent `usd_a_day` on its checks since midnight (UTC); what is running then, MAX_CHECKS at most,
comes on top.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal

from gateway.core.chat import ChatRequest, parse_chat, text_of
from gateway.core.chunks import Completion
from gateway.core.errors import ThriftgateError
from gateway.core.events import HitChecked
from gateway.core.false_hits import Verdict
from gateway.core.plan import Model, Plan
from gateway.core.pricing import from_nano
from gateway.core.sampling import is_chosen
from gateway.core.tiers import Tier
from gateway.flow.call import Call, Trail
from gateway.flow.dispatch import Dispatch
from gateway.flow.meaning import Meaning
from gateway.flow.shadow import AGREE, said
from gateway.flow.tasks import Tasks
from gateway.ports import Clock, Observer

MAX_CHECKS = 4
_DAY_S = 86_400
_JUDGE = """Two answers were given to the same question. Which of them serves the person who asked better? Answer only
with 1, 2 or equal: equal if neither is clearly more correct, more complete or closer to what was asked for.

Question:
{question}

Answer 1:
{first}

Answer 2:
{second}"""
_JUDGE_TOKENS = 512
"""One word is wanted; models that think first need room to."""


@dataclass(frozen=True, slots=True)
class LightShadowRules:
    """`share` of the light answers, 0 to 1. `judge` None: the answers' vectors decide."""

    share: float = 0.0
    usd_a_day: Decimal = Decimal(0)
    judge: Model | None = None


class LightSpend:
    """What checks have cost each service today. Outlives a reload."""

    def __init__(self) -> None:
        self._day = 0
        self._usd: defaultdict[str, Decimal] = defaultdict(Decimal)

    def today_usd(self, service: str, unix_s: float) -> Decimal:
        day = int(unix_s // _DAY_S)
        if day != self._day:
            self._day = day
            self._usd.clear()
        return self._usd[service]

    def add(self, service: str, usd: Decimal, unix_s: float) -> None:
        self._usd[service] = self.today_usd(service, unix_s) + usd


class LightShadow:
    """One generation's; `tasks` owns the checks."""

    def __init__(
        self,
        rules: LightShadowRules,
        dispatch: Dispatch,
        meaning: Meaning,
        spend: LightSpend,
        observer: Observer,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._rules = rules
        self._dispatch = dispatch
        self._meaning = meaning
        self._spend = spend
        self._observer = observer
        self._clock = clock
        self._tasks = tasks
        self._running = 0

    def consider(self, call: Call, plan: Plan, model: Model, served: Completion) -> None:
        """A whole answer was given by this model: check it behind the answer, if it is light and chosen."""
        if plan.pinned or model.tier is not Tier.LIGHT or not is_chosen(call.id, self._rules.share):
            return
        strongest = max(plan.attempts, key=lambda candidate: candidate.tier.rank)
        spent_usd = self._spend.today_usd(call.service.name, self._clock.unix_s())
        if strongest.tier is Tier.LIGHT or spent_usd >= self._rules.usd_a_day or self._running >= MAX_CHECKS:
            return
        self._running += 1
        self._tasks.start(self._check(call, strongest, served))

    async def _check(self, call: Call, strongest: Model, served: Completion) -> None:
        again = Trail(replace(call, id=f"{call.id}.light"))
        judging = Trail(replace(call, id=f"{call.id}.judge"))
        check = _Check()
        try:
            fresh = said(await self._dispatch.answer(again, strongest))
            check = await self._compared(judging, said(served), fresh)
        except ThriftgateError:
            pass  # Dispatch has told which attempt failed; the verdict stays unknown
        finally:
            self._running -= 1
            self._tell(call, strongest, check, again.cost_nano_usd, judging.cost_nano_usd)

    async def _compared(self, judging: Trail, light: str, heavy: str) -> _Check:
        likeness = await self._meaning.likeness(light, heavy)
        by_vectors: Verdict = "unknown" if likeness is None else "same" if likeness >= AGREE else "different"
        judge = self._rules.judge
        try:
            by_judge = None if judge is None else await self._judged(judging, judge, light, heavy)
        except ThriftgateError:
            by_judge = None
        return replace(by_judge, likeness=likeness) if by_judge else _Check(by_vectors, likeness)

    def _tell(self, call: Call, strongest: Model, check: _Check, again_nano_usd: int, judge_nano_usd: int) -> None:
        service = call.service.name
        nano_usd = again_nano_usd + judge_nano_usd
        self._spend.add(service, from_nano(nano_usd), self._clock.unix_s())
        self._observer.tell(
            HitChecked(
                request_id=call.id,
                service=service,
                model=strongest.name,
                verdict=check.verdict,
                judged=check.judged,
                likeness=check.likeness,
                cost_nano_usd=nano_usd,
                false_hit_rate=0.0,
                low=0.0,
                high=1.0,
                judge_nano_usd=judge_nano_usd,
                of="light",
                light_better=check.light_better,
            )
        )

    async def _judged(self, trail: Trail, judge: Model, light: str, heavy: str) -> _Check | None:
        """None where the judge does not make up its mind."""
        light_first = _is_even(trail.call.id)
        first, second = (light, heavy) if light_first else (heavy, light)
        trail.call = replace(trail.call, chat=_judge_chat(judge, trail.call.chat, first, second))
        better = read_choice(said(await self._dispatch.answer(trail, judge)))
        if better is None:
            return None
        light_place, heavy_place = (1, 2) if light_first else (2, 1)
        verdict: Verdict = "different" if better == heavy_place else "same"
        return _Check(verdict, judged=True, light_better=better == light_place)


@dataclass(frozen=True, slots=True)
class _Check:
    verdict: Verdict = "unknown"
    likeness: float | None = None
    judged: bool = False
    light_better: bool = False


def read_choice(judgement: str) -> int | None:
    """1 or 2, 0 for equal: the last that a judge said, for some think aloud first. None: nothing of the kind."""
    words = re.findall(r"\b(1|2|equal)\b", judgement.lower())
    if not words:
        return None
    return 0 if words[-1] == "equal" else int(words[-1])


def _is_even(id: str) -> bool:
    return hashlib.sha256(id.encode()).digest()[-1] % 2 == 0


def _judge_chat(judge: Model, asked: ChatRequest, first: str, second: str) -> ChatRequest:
    question = text_of(asked.messages[-1].get("content"))
    prompt = _JUDGE.format(question=question, first=first, second=second)
    messages = [{"role": "user", "content": prompt}]
    return parse_chat({"model": judge.name, "messages": messages, "max_tokens": _JUDGE_TOKENS})
