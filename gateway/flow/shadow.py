"""Checks a share of the semantic hits behind the answer: would the model have said the same?

Theory of operation. A hit is chosen by a hash of its request's id, so neither chance nor the question has a say. The
request is asked again, unchanged, at the model that would have answered first, with a reservation of its own on the
service's budget: a check never spends what the service has not got. Then the fresh answer is compared with the one
that was served, by a judge model where one is configured, else by the cosine of their vectors. Answers to one question
differ in their words, so the cosine only finds an answer about another thing (see AGREE for what was measured); a
wrong figure in the same sentence takes a judge to see. A judge that does not say yes or no leaves it to the vectors.

At most MAX_CHECKS run at once; a hit that comes while they do is not checked. What could not be asked (no budget, no
provider) is `unknown` and counts for nothing but its cost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gateway.core.chat import ChatRequest, parse_chat, text_of
from gateway.core.chunks import Completion
from gateway.core.errors import ThriftgateError
from gateway.core.events import HitChecked, SemanticClosed
from gateway.core.false_hits import FalseHits, Verdict
from gateway.core.plan import Model, Plan
from gateway.core.sampling import is_chosen
from gateway.flow.call import Call, Trail
from gateway.flow.dispatch import Dispatch
from gateway.flow.meaning import Meaning
from gateway.flow.tasks import Tasks
from gateway.ports import Observer

MAX_CHECKS = 4
AGREE = 0.45
"""Least cosine at which two answers are taken for the same. Measured 2026-11-23 on 20 questions, each asked of SmolLM2
twice at temperature 0.7: 2 of the 20 pairs of answers to one question were below (a larger or cooler model varies
less), and 376 of 380 pairs of answers to two questions, among them the capitals of France and Italy (0.15), losing
and gaining weight (0.36), rain and snow (0.38); not recursion in Python and in Java (0.74)."""

_JUDGE = """Two answers were given to the same question. Would either of them serve the person who asked? Answer only
with yes or no: yes if both say the same in substance, no if they differ in any fact, number, name or conclusion.

Question:
{question}

First answer:
{served}

Second answer:
{fresh}"""
_JUDGE_TOKENS = 512
"""One word is wanted; models that think first need room to."""


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """`share` of the semantic hits, 0 to 1. `judge` None: the answers' vectors decide."""

    share: float = 0.01
    judge: Model | None = None


class Shadow:
    """Owns nothing but the count of what is running; `tasks` owns the checks."""

    def __init__(
        self,
        rules: ShadowRules,
        dispatch: Dispatch,
        meaning: Meaning,
        false_hits: FalseHits,
        observer: Observer,
        tasks: Tasks,
    ) -> None:
        self._rules = rules
        self._dispatch = dispatch
        self._meaning = meaning
        self._false_hits = false_hits
        self._observer = observer
        self._tasks = tasks
        self._running = 0

    def consider(self, call: Call, plan: Plan, served: Completion) -> None:
        """A semantic hit was served: check it behind the answer, if it is chosen and there is room."""
        if self._running < MAX_CHECKS and is_chosen(call.id, self._rules.share):
            self._running += 1
            self._tasks.start(self._check(call, plan, served))

    async def _check(self, call: Call, plan: Plan, served: Completion) -> None:
        model = plan.attempts[0]
        again = Trail(replace(call, id=f"{call.id}.shadow"))
        check = _Check("unknown")
        try:
            fresh = await self._dispatch.answer(again, model)
            check = await self._compared(call, served, fresh)
        except ThriftgateError:
            pass  # Dispatch has told which attempt failed; the verdict stays unknown
        finally:
            self._running -= 1
            self._tell(call, model, check, again.cost_nano_usd + check.nano_usd)

    async def _compared(self, call: Call, served: Completion, fresh: Completion) -> _Check:
        one, two = said(served), said(fresh)
        likeness = await self._meaning.likeness(one, two)
        by_vectors: Verdict = "unknown" if likeness is None else "same" if likeness >= AGREE else "different"
        if self._rules.judge is None:
            return _Check(by_vectors, likeness)
        trail = Trail(replace(call, id=f"{call.id}.judge", chat=_judge_chat(self._rules.judge, call.chat, one, two)))
        try:
            judged = read_verdict(said(await self._dispatch.answer(trail, self._rules.judge)))
        except ThriftgateError:
            judged = "unknown"
        return _Check(by_vectors if judged == "unknown" else judged, likeness, judged != "unknown", trail.cost_nano_usd)

    def _tell(self, call: Call, model: Model, check: _Check, nano_usd: int) -> None:
        service = call.service.name
        closed = self._false_hits.checked(service, check.verdict)
        tally = self._false_hits.tally(service)
        low, high = tally.interval
        self._observer.tell(
            HitChecked(
                request_id=call.id,
                service=service,
                model=model.name,
                verdict=check.verdict,
                judged=check.judged,
                likeness=check.likeness,
                cost_nano_usd=nano_usd,
                false_hit_rate=tally.rate,
                low=low,
                high=high,
                judge_nano_usd=check.nano_usd,
            )
        )
        if closed:
            self._observer.tell(SemanticClosed(service, tally.decided, tally.rate, low, self._false_hits.limit))


@dataclass(frozen=True, slots=True)
class _Check:
    """`nano_usd` is the judge's."""

    verdict: Verdict
    likeness: float | None = None
    judged: bool = False
    nano_usd: int = 0


def said(completion: Completion) -> str:
    """The text of the first choice."""
    choices = completion.get("choices") or [{}]
    return text_of((choices[0].get("message") or {}).get("content"))


def read_verdict(judgement: str) -> Verdict:
    """The last yes or no of what a judge said: some think aloud first."""
    words = re.findall(r"\b(yes|no)\b", judgement.lower())
    if not words:
        return "unknown"
    return "same" if words[-1] == "yes" else "different"


def _judge_chat(judge: Model, asked: ChatRequest, served: str, fresh: str) -> ChatRequest:
    question = text_of(asked.messages[-1].get("content"))
    prompt = _JUDGE.format(question=question, served=served, fresh=fresh)
    messages = [{"role": "user", "content": prompt}]
    return parse_chat({"model": judge.name, "messages": messages, "max_tokens": _JUDGE_TOKENS})
