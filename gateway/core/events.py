"""What happened, told once. Metrics, ledger and log listen to the same events, so their numbers agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from gateway.core.false_hits import Verdict
from gateway.core.frozen import value
from gateway.core.pricing import from_nano
from gateway.core.savings import CauseSaved, Overhead
from gateway.core.trace_context import TraceParent
from gateway.core.usage import Usage
from gateway.core.window import WindowKind

CacheVerdict = Literal["hit", "semantic-hit", "joined", "miss", "bypass", "refresh"]
Outcome = Literal["ok", "client_error", "refused", "upstream_error", "client_disconnect", "internal_error"]

Component = Literal[
    "exact_cache", "semantic_cache", "embedder", "ledger", "ledger_file", "provider", "observer", "keys", "limits"
]
"""A part that can be broken while requests go on."""

Endpoint = Literal["chat", "embeddings", "messages", "responses", "completions"]
"""A closed set: it is a label of metrics."""


@value(frozen=True, slots=True)
class RequestFinished:
    """Exactly one per authenticated request, in the pipeline's `finally`. Durations in seconds, money in nano-dollars.

    `model` and `provider` are catalog names, None when no model was chosen. `usage` is what was charged; for a
    cache hit, and for a request that `joined` another's flight, it is the original answer's and `cost_nano_usd` is 0.
    `baseline` is the model that this is compared with, None when there is none, and `baseline_nano_usd` what it
    would have cost: less `cost_nano_usd` it is the sum of `savings` less that of `overheads` (`core.savings`), and
    `saved_nano_usd`, which is below zero when the request cost more. `saved_by` is the cause of the largest saving.
    `last_month` is a second baseline, the model that the service used most in the last calendar month; None while that
    is not known.
    `trace_parent` is what the client said of its own trace.
    `review` is a `core.review.Reviewed` as text, "" where the answer was not reviewed.
    """

    request_id: str
    endpoint: Endpoint
    service: str
    outcome: Outcome
    status: int
    stream: bool
    tier: str | None
    model: str | None
    provider: str | None
    cache: CacheVerdict
    attempts: int
    usage: Usage
    cost_nano_usd: int
    saved_nano_usd: int
    saved_by: str | None
    duration_s: float
    first_token_s: float | None
    error_code: str | None = None
    reasons: tuple[str, ...] = field(default=())
    baseline: str | None = None
    baseline_nano_usd: int = 0
    savings: tuple[CauseSaved, ...] = ()
    overheads: tuple[Overhead, ...] = ()
    last_month: str | None = None
    last_month_nano_usd: int = 0
    trace_parent: TraceParent | None = None
    review: str = ""

    @property
    def cost_usd(self) -> Decimal:
        return from_nano(self.cost_nano_usd)

    @property
    def saved_usd(self) -> Decimal:
        return from_nano(self.saved_nano_usd)

    @property
    def overhead_usd(self) -> Decimal:
        """Paid beside the answer, or above its baseline."""
        return from_nano(sum(overhead.nano_usd for overhead in self.overheads))


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt at one model failed; the request may still succeed elsewhere."""

    request_id: str
    model: str
    provider: str
    error_code: str


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """A model has failed so often at a host of its provider, in a row, that it is not asked there for `open_s`; told
    once, however often it is tried and fails again. `host` has no key in it; `error_code` is the last failure's."""

    provider: str
    model: str
    host: str
    error_code: str
    open_s: float


@dataclass(frozen=True, slots=True)
class BreakerClosed:
    """The counterpart of `BreakerOpened`: the model has begun to answer there."""

    provider: str
    model: str
    host: str


@dataclass(frozen=True, slots=True)
class Degraded:
    """A part is broken and is being worked around; told when it breaks, not at each request.

    `detail` is for an operator's log: no prompts, no keys.
    """

    component: Component
    detail: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The counterpart of `Degraded`."""

    component: Component


@value(frozen=True, slots=True)
class Stored:
    """An answer went into a cache layer."""

    layer: Literal["exact", "semantic"]
    service: str


SemanticPassed = Literal["unpaid", "late", "long", "backlog", "stuck", "closed"]
"""Why a question was left alone by the semantic layer; config/README.md explains each."""


@value(frozen=True, slots=True)
class NotByMeaning:
    """A question was neither looked up nor stored by its meaning."""

    why: SemanticPassed
    service: str


@dataclass(frozen=True, slots=True)
class Overshoot:
    """A request cost more than it reserved and pushed its service over a limit, by this much: 0 for a kind within it.

    Never told while a reservation is a true upper bound; alert on it.
    """

    service: str
    tokens: int
    nano_usd: int


@dataclass(frozen=True, slots=True)
class Unguarded:
    """An attempt was made while no budget could be asked about it, because all of its service's budgets let it go then;
    this is what it has used."""

    service: str
    tokens: int
    nano_usd: int


@dataclass(frozen=True, slots=True)
class PutAside:
    """What this gateway now keeps of a service's budgets, to spend without asking about them; all 0: nothing."""

    service: str
    tokens: int
    nano_usd: int


Level = Literal["warn", "cheaper", "local", "spent"]
"""The rungs of `core.ladder.Ladder`, and the limit itself."""


@dataclass(frozen=True, slots=True)
class BudgetLevel:
    """A budget's use has reached a rung of its ladder, or with `spent` its limit: told once a window by each process.

    `account` is a service or a group; `used_share` is settled and reserved, of the limit that is nearer.
    """

    account: str
    window_kind: WindowKind
    level: Level
    used_share: float


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read again, at `unix_s`. `ok`: it serves now, and `detail` says what it is; else it was
    refused, the old one goes on serving, and `detail` has every problem (no values: they may be secrets)."""

    ok: bool
    detail: str
    unix_s: float


@dataclass(frozen=True, slots=True)
class HitChecked:
    """An answer was asked for again behind it, and the two compared: a semantic hit's, or (`of` light) a light one of a
    heavier model. There `different` says that the heavier one's was better and `light_better` that the light one's was,
    and the rate and its interval say nothing.

    `model` is the catalog name of the one asked; `likeness` the cosine of the two answers, None if there was no second
    one; `judged` whether a judge model decided. `cost_nano_usd` is what the check cost, on top of every request's, and
    `judge_nano_usd` the judge's part of it.
    `false_hit_rate` and its 95 % interval are the service's, since the start, with this check in them.
    """

    request_id: str
    service: str
    model: str
    verdict: Verdict
    judged: bool
    likeness: float | None
    cost_nano_usd: int
    false_hit_rate: float
    low: float
    high: float
    judge_nano_usd: int = 0
    of: Literal["hit", "light"] = "hit"
    light_better: bool = False


@dataclass(frozen=True, slots=True)
class SemanticClosed:
    """A service has had too many false hits, surely: its questions go without the semantic layer until a restart."""

    service: str
    checks: int
    false_hit_rate: float
    low: float
    limit: float


@dataclass(frozen=True, slots=True)
class Rated:
    """Who asked says what the answer to a request was worth, 0 to 1; of several the last counts. Whether the request
    was the service's own is seen where the two are joined."""

    request_id: str
    service: str
    score: float
    verdict: Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class PromptKept:
    """What an answered prompt looked like: `numbers` as `prompt_numbers.packed` writes them, without its text. `tier`
    and `model` are of who answered."""

    request_id: str
    service: str
    tier: str
    model: str
    numbers: str


Event = (
    RequestFinished
    | AttemptFailed
    | BreakerOpened
    | BreakerClosed
    | Degraded
    | Recovered
    | Stored
    | NotByMeaning
    | Overshoot
    | Unguarded
    | PutAside
    | BudgetLevel
    | Reloaded
    | HitChecked
    | SemanticClosed
    | Rated
    | PromptKept
)
