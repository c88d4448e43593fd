"""Whether looking a question up by meaning is worth its wait.

Theory of operation
-------------------
A look-up by meaning keeps every question waiting, and pays only when it hits. So it is done where

    P(hit) x (1 - 2 x P(false)) x what an answer costs  >=  wait x (value of a second + price of a CPU second)

P(hit) is the service's own running rate, P(false) the share of its hits that live checks found wrong: a false hit
saves nothing, and what it seemed to save is lost once more when the caller asks again. (That a wrong answer may be
believed has no price here; `core/false_hits` closes the layer for that.) What an answer costs is dollars, and seconds
at their value: running means of what the model has given this service. The wait is the embedder's running pace times
the tokens that are before it, the question's own among them; the CPU is busy for about as long. Tokens are guessed
from characters: this is asked for nearly every request, so it must not take a hundredth of one.

A free local model costs no dollars and still costs seconds, so its answers are worth looking up as long as they take
longer than the look-up by the odds of a hit.

Storing follows looking up: to embed a question costs ten times what the rest of a request costs the gateway, and where
look-ups do not pay, nobody would find it. So such a question is neither looked up nor stored.

Odds that are too low end the look-ups that would show better ones, and at first there are none. So some questions that
do not pay are looked up and stored all the same: explored. What that may cost is put into a purse, one for each service
and model, and each is paid for from there, a long question with more than a short one:

- A purse begins with what one answer costs, and holds no more. While there is more than half of that, everything is
  explored; so a new service finds out at once, the more thoroughly the dearer its answers are.
- Each request that does not pay adds `explore_share` of what it takes anyway: of its CPU, and of a ten-thousandth of
  its answer's cost. What is explored is then the share of the questions that this pays for.

Were those drawn at random, an asked question would hardly ever meet its stored like (the square of that share); so they
are drawn by what they ask (`_subject`), and questions that ask the same are drawn together. Every `EXPLORE_TURN` of
them others are drawn. Nothing is random, so the same requests give the same decisions.

What would come too late is left alone, whatever its odds. The pace may have been a moment's, so some of it is tried.

Rates and means forget: each new figure weighs 1 / memory. They start from priors and live as long as the process.
"""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import dataclass
from math import inf
from typing import Literal
from zlib import crc32

from gateway.core.frozen import value
from gateway.core.plan import Model
from gateway.core.usage import Usage

TRIED_AT_FIRST = 20.0
"""Look-ups without a hit that every service begins with, so that a lucky one says little. Most traffic repeats itself
less than Banking77, of which 15 % of 8,000 requests hit at 0.95 (SEMANTIC_CACHE study, 2026-11-23)."""
HIT_MEMORY_LOOKS = 500
FIXED_WAIT_S = 0.002
PRIOR_TOKEN_S = 0.0004
"""On one core 20 tokens take 9.5 ms and 200 take 69 (2026-11-23); the fixed part is the search and the threads."""
PRIOR_ANSWER_S = 1.0
PRIOR_USAGE = Usage(200, 200)
MEMORY = 20
REQUEST_S = 0.0003
"""Half of the CPU time that a request takes (0.6 ms, 2026-11-24), because a text is embedded on two cores at once."""
ANSWER_SHARE = 0.0001
EXPLORE_TURN = 64
LATE_EVERY = 50
CHARS_PER_TOKEN = 4.0
CHARS_PER_FOREIGN_TOKEN = 2.0
"""MiniLM's vocabulary is English; of other languages it knows syllables and letters."""
_DRAWS = 2**32
_WORDS = bytes(byte if chr(byte).isalnum() or byte > 127 else ord(" ") for byte in range(256))
_NO_DIGITS = bytes({*range(256)} - {*b"0123456789"})


@dataclass(frozen=True, slots=True)
class WorthRules:
    """US dollars a second somebody waits, and a second one CPU core works. config/README.md has the arithmetic."""

    value_of_second_usd: float = 0.0001
    cpu_second_usd: float = 0.00001
    explore_share: float = 0.02


Verdict = Literal["pays", "explored", "tried", "unpaid", "late"]


@value(frozen=True, slots=True)
class Weighed:
    """The decision and its two sides, in US dollars. `explored`: it does not pay, and is looked up to learn the odds.
    `tried`: it would pay, and surely come too late, and is looked up to learn the pace."""

    verdict: Verdict
    wait_s: float
    worth_usd: float
    cost_usd: float

    @property
    def reason(self) -> str:
        """For a header and the log; empty when the look-up simply pays."""
        if self.verdict == "pays":
            return ""
        if self.verdict == "tried":
            return "semantic tried although it may come too late"
        sides = f"worth ${self.worth_usd:.7f} < cost ${self.cost_usd:.7f}"
        return f"semantic explored although {sides}" if self.verdict == "explored" else f"semantic skipped: {sides}"


class Odds:
    """How often look-ups hit, recent ones weighing more."""

    __slots__ = ("_happened", "_tried", "rate")

    def __init__(self) -> None:
        self._happened = 0.0
        self._tried = TRIED_AT_FIRST
        self.rate = 0.0

    def saw(self, hit: bool) -> None:
        kept = 1 - 1 / HIT_MEMORY_LOOKS
        self._happened = self._happened * kept + hit
        self._tried = self._tried * kept + 1
        self.rate = self._happened / self._tried


@dataclass(slots=True)
class Pace:
    """Of the embedder; `seen` is whether there is one, or only the prior."""

    token_s: float = PRIOR_TOKEN_S
    seen: bool = False
    late: float = 0.0
    """Look-ups left alone because they would come too late, since one was tried."""

    def tries(self, in_time: float) -> bool:
        """Whether to try what would be too late; fewer of what is so by far. `in_time` is deadline / wait."""
        self.late += in_time * in_time
        if self.late < LATE_EVERY:
            return False
        self.late = 0.0
        return True


@dataclass(slots=True)
class Trade:
    """What a model's answers cost one service, and what is left for exploring whether look-ups would save that. `draw`
    counts what was explored."""

    answer_usd: float
    answer_s: float = PRIOR_ANSWER_S
    purse_usd: float = inf
    draw: int = 0


class Worth:
    """Mutable, and without a clock, a lock or a task of its own. Services and models are the configuration's, so
    what is remembered is bounded."""

    def __init__(self, rules: WorthRules) -> None:
        self._odds: defaultdict[str, Odds] = defaultdict(Odds)
        self._trades: dict[tuple[str, str], Trade] = {}
        self._pace = Pace()
        self._go_by(rules)

    def under(self, rules: WorthRules) -> Worth:
        """What has been learned, weighed by other rules; both go on learning together."""
        other = copy(self)
        other._go_by(rules)
        return other

    def _go_by(self, rules: WorthRules) -> None:
        self._rules = rules
        self._wait_usd = rules.value_of_second_usd + rules.cpu_second_usd

    def wait_s(self, tokens: float) -> float:
        """How long a question waits when so many tokens are to be embedded, its own and those before it."""
        return FIXED_WAIT_S + tokens * self._pace.token_s

    def is_late(self, wait_s: float, deadline_s: float) -> bool:
        """Whether it would surely come too late. Nothing is sure until the embedder's pace was seen."""
        return wait_s > deadline_s and self._pace.seen

    def weigh(
        self,
        service: str,
        model: Model,
        text: str,
        *,
        false_rate: float,
        waiting_tokens: int,
        deadline_s: float,
        unix_s: float,
    ) -> Weighed:
        """`model` would answer first, `text` is what it asks, `false_rate` is the share of hits that are wrong,
        `waiting_tokens` are before it, and `unix_s` is for the price. What is explored must be told to `explored`."""
        trade = self._trades.get((service, model.name)) or self._first(service, model, unix_s)
        chars_per_token = CHARS_PER_TOKEN if text.isascii() else CHARS_PER_FOREIGN_TOKEN
        wait_s = self.wait_s(waiting_tokens + len(text) / chars_per_token)
        saved_usd = trade.answer_usd + trade.answer_s * self._rules.value_of_second_usd
        worth_usd = self._odds[service].rate * max(0.0, 1 - 2 * false_rate) * saved_usd
        cost_usd = wait_s * self._wait_usd
        late = self.is_late(wait_s, deadline_s)
        verdict: Verdict = "late" if late else "pays"
        if worth_usd < cost_usd:
            explores = self._explores(trade, text, saved_usd, cost_usd, late)
            verdict = "explored" if explores else "late" if late else "unpaid"
        elif late and self._pace.tries(deadline_s / wait_s):
            verdict = "tried"
        return Weighed(verdict, wait_s, worth_usd, cost_usd)

    def _first(self, service: str, model: Model, unix_s: float) -> Trade:
        trade = Trade(float(model.price.cost(PRIOR_USAGE, unix_s)))
        return self._trades.setdefault((service, model.name), trade)

    def _explores(self, trade: Trade, text: str, saved_usd: float, cost_usd: float, late: bool) -> bool:
        """Of what would be late, only what a full purse or the draw says: it can show the pace, and no hit."""
        earned_usd = self._rules.explore_share * (REQUEST_S * self._wait_usd + saved_usd * ANSWER_SHARE)
        trade.purse_usd = min(saved_usd, trade.purse_usd + earned_usd)
        if trade.purse_usd < cost_usd:
            return False
        if trade.purse_usd >= (saved_usd if late else saved_usd / 2):
            return True
        return _subject(text, trade.draw // EXPLORE_TURN) * cost_usd < earned_usd * _DRAWS

    def explored(self, service: str, model: Model, tokens: int) -> None:
        """A question of so many tokens is being looked up, or stored, to explore."""
        trade = self._trades[service, model.name]
        trade.purse_usd -= self.wait_s(tokens) * self._wait_usd
        trade.draw += 1

    def looked(self, service: str, *, hit: bool) -> None:
        """A look-up has ended, also one that came too late."""
        self._odds[service].saw(hit)

    def embedded(self, tokens: int, took_s: float) -> None:
        """A question got its vector, `took_s` after so many tokens, its own and those before it, were waiting."""
        pace = self._pace
        pace.token_s += (max(0.0, took_s - FIXED_WAIT_S) / max(1, tokens) - pace.token_s) / MEMORY
        pace.seen = True

    def answered(self, service: str, model: str, answer_s: float, answer_usd: float) -> None:
        """A model has given a whole answer, `answer_s` after it was asked."""
        trade = self._trades.get((service, model))
        if trade is not None:  # else it has not been weighed yet: it stood in for another
            trade.answer_s += (answer_s - trade.answer_s) / MEMORY
            trade.answer_usd += (answer_usd - trade.answer_usd) / MEMORY


def _subject(text: str, turn: int) -> int:
    """The same number below 2**32 for most questions that may share an answer: from its longest word, and its digits,
    because the verifier lets no two questions with other numbers share one. `turn` makes it another."""
    letters = text.casefold().encode()
    longest = max(letters.translate(_WORDS).split(), key=len, default=b"")
    return crc32(letters.translate(None, _NO_DIGITS), crc32(longest, turn))
