"""Whether looking a question up by meaning is worth its wait.

Theory of operation
-------------------
A look-up by meaning keeps every question waiting, and pays only when it hits. So it is done where

    P(hit) x (1 - 2 x P(false)) x (model's dollars + model's seconds x value of a second)  >=
        wait x value of a second + wait x price of a CPU second

P(hit) is the service's own running rate, P(false) the share of its hits that live checks found wrong: a false hit
saves nothing, and what it seemed to save is lost once more when the caller asks again. (That a wrong answer may be
believed has no price here; `core/false_hits` closes the layer for that.) The model is the one that would be asked
first; its seconds and the length of its answers are running means, its prompt's length is the usual estimate. The wait
is the embedder's running pace times the tokens that are before it, the question's own among them; the CPU is busy for
about as long.

A free local model costs no dollars and still costs seconds, so its answers are worth looking up as long as they take
longer than the look-up by the odds of a hit.

Storing follows looking up: to embed a question costs ten times what the rest of a request costs the gateway, and where
look-ups do not pay, nobody would find it. So such a question is neither looked up nor stored.

Odds that are too low end the look-ups that would show better ones. So one in `explore_every` of the questions that do
not pay is looked up and stored all the same. Were those drawn at random, an asked question would hardly ever meet its
stored like (one in `explore_every` squared); so they are drawn by what they ask (`_subject`), and questions that ask
the same are drawn together. Every `EXPLORE_TURN` such questions others are drawn, or a service whose questions have one
subject would be explored always or never. Nothing is random, so the same requests give the same decisions.

Rates and means forget: each new figure weighs 1 / memory. They start from priors and live as long as the process.
"""

from __future__ import annotations

import re
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field
from zlib import crc32

from gateway.core.chat import ChatRequest
from gateway.core.estimate import output_limit, prompt_likely
from gateway.core.plan import Model
from gateway.core.usage import Usage

PRIOR_HIT_RATE = 0.1
"""15 % of 8,000 Banking77 requests hit at 0.95 (SEMANTIC_CACHE study, 2026-11-23), and the verifier keeps 85 % of
those; rounded down, because Banking77 is kinder than most traffic."""
PRIOR_LOOKS = 20.0
HIT_MEMORY_LOOKS = 500
FIXED_WAIT_S = 0.002
PRIOR_TOKEN_S = 0.0004
"""On one core 20 tokens take 9.5 ms and 200 take 69 (2026-11-23); the fixed part is the search and the threads."""
PRIOR_ANSWER_S = 1.0
PRIOR_OUTPUT_TOKENS = 200.0
MEMORY = 20
EXPLORE_TURN = 1_000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class WorthRules:
    """US dollars a second somebody waits, and a second one CPU core works. config/README.md has the arithmetic."""

    value_of_second_usd: float = 0.0001
    cpu_second_usd: float = 0.00001
    explore_every: int = 50


@dataclass(frozen=True, slots=True)
class Weighed:
    """The decision and its two sides, in US dollars. `explored`: it does not pay, and is made to learn the odds."""

    look: bool
    worth_usd: float
    cost_usd: float
    explored: bool = False

    @property
    def reason(self) -> str:
        """For a header and the log; empty when the look-up simply pays."""
        if self.look and not self.explored:
            return ""
        sides = f"worth ${self.worth_usd:.7f} < cost ${self.cost_usd:.7f}"
        return f"semantic explored although {sides}" if self.explored else f"semantic skipped: {sides}"


@dataclass(slots=True)
class Odds:
    """How often something happens, recent times weighing more, starting at a prior that fades as it is tried."""

    happened: float = PRIOR_HIT_RATE * PRIOR_LOOKS
    tried: float = PRIOR_LOOKS

    def saw(self, happened: bool) -> None:
        kept = 1 - 1 / HIT_MEMORY_LOOKS
        self.happened = self.happened * kept + happened
        self.tried = self.tried * kept + 1

    @property
    def rate(self) -> float:
        return self.happened / self.tried


@dataclass(slots=True)
class Mean:
    """A running mean that starts at a prior."""

    value: float

    def saw(self, figure: float) -> None:
        self.value += (figure - self.value) / MEMORY


@dataclass(slots=True)
class Habits:
    """How long a model takes for a whole answer, and how long its answers are."""

    answer_s: Mean = field(default_factory=lambda: Mean(PRIOR_ANSWER_S))
    output_tokens: Mean = field(default_factory=lambda: Mean(PRIOR_OUTPUT_TOKENS))


class Worth:
    """Mutable, and without a clock, a lock or a task of its own. Services and models are the configuration's, so
    what is remembered is bounded."""

    def __init__(self, rules: WorthRules) -> None:
        self._rules = rules
        self._odds: defaultdict[str, Odds] = defaultdict(Odds)
        self._habits: defaultdict[str, Habits] = defaultdict(Habits)
        self._token_s = Mean(PRIOR_TOKEN_S)
        self._paced = False
        self._late = 0.0
        self._unpaid: defaultdict[str, int] = defaultdict(int)

    def under(self, rules: WorthRules) -> Worth:
        """What has been learned, weighed by other rules; both go on learning together."""
        other = copy(self)
        other._rules = rules
        return other

    def wait_s(self, tokens: int) -> float:
        """How long a question waits when so many tokens are to be embedded, its own and those before it."""
        return FIXED_WAIT_S + tokens * self._token_s.value

    def is_hopeless(self, tokens: int, deadline_s: float) -> bool:
        """Whether it would surely come too late. Nothing is sure until the embedder's pace was seen, and that may be a
        moment's: one in `explore_every` is tried all the same, and of what is beyond the deadline by far, fewer."""
        wait_s = self.wait_s(tokens)
        if not self._paced or wait_s <= deadline_s:
            return False
        self._late += (deadline_s / wait_s) ** 2
        if self._late < self._rules.explore_every:
            return True
        self._late = 0.0
        return False

    def weigh(
        self,
        service: str,
        chat: ChatRequest,
        model: Model,
        text: str,
        *,
        false_rate: float,
        wait_s: float,
        unix_s: float,
    ) -> Weighed:
        """`model` would answer first, `text` is what it asks, `false_rate` is the share of hits that are wrong, and
        `unix_s` is for the price."""
        habits = self._habits[model.name]
        expected = Usage(prompt_likely(chat), min(output_limit(chat, model.profile), round(habits.output_tokens.value)))
        saved_usd = float(model.price.cost(expected, unix_s)) + habits.answer_s.value * self._rules.value_of_second_usd
        worth_usd = self._odds[service].rate * max(0.0, 1 - 2 * false_rate) * saved_usd
        cost_usd = wait_s * (self._rules.value_of_second_usd + self._rules.cpu_second_usd)
        if worth_usd >= cost_usd:
            return Weighed(look=True, worth_usd=worth_usd, cost_usd=cost_usd)
        turn = self._unpaid[service] // EXPLORE_TURN
        self._unpaid[service] += 1
        explored = crc32(f"{turn} {_subject(text)}".encode()) % self._rules.explore_every == 0
        return Weighed(explored, worth_usd, cost_usd, explored)

    def looked(self, service: str, *, hit: bool) -> None:
        """A look-up has ended, also one that came too late."""
        self._odds[service].saw(hit)

    def embedded(self, tokens: int, took_s: float) -> None:
        """A question got its vector, `took_s` after so many tokens, its own and those before it, were waiting."""
        self._token_s.saw(max(0.0, took_s - FIXED_WAIT_S) / max(1, tokens))
        self._paced = True

    def answered(self, model: str, answer_s: float, output_tokens: int) -> None:
        """A model has given a whole answer, `answer_s` after it was asked."""
        self._habits[model].answer_s.saw(answer_s)
        self._habits[model].output_tokens.saw(output_tokens)


def _subject(text: str) -> str:
    """The same for most questions that may share an answer: its longest word, and whatever has a digit, because the
    verifier lets no two questions with other numbers share one."""
    words = _WORD.findall(text.casefold())
    longest = max(words, key=lambda word: (len(word), word), default="")
    return " ".join([longest, *sorted(word for word in words if not word.isalpha())])
