"""The seams between the flow and the world. Adapters implement these; `app.py` chooses them.

Rules that types cannot say: `Cache` and `SemanticIndex` never raise (a broken cache is a miss, told once as
`Degraded`); `Ledger.hold` is atomic; `Provider.chat` raises only `UpstreamError`; nothing here blocks the loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.budget import Amount, Bid, Budget, Payer
from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk, Completion, Mend
from gateway.core.events import Event
from gateway.core.frozen import value
from gateway.core.ladder import Rung
from gateway.core.limits import Rate
from gateway.core.plan import Model
from gateway.core.service import Service
from gateway.core.service_key import Minted, ServiceKey

Vector = Sequence[float]


class Clock(Protocol):
    """Time, injected so that the flow can be tested without waiting."""

    def monotonic_s(self) -> float: ...
    def unix_s(self) -> float: ...


class Keys(Protocol):
    """The service keys that were minted."""

    def find(self, id: str) -> ServiceKey | None:
        """By the id that is part of the key; also one that is over. Never blocks for long, never raises."""


class KeyDesk(Protocol):
    """Where minted keys are made and ended. Everything raises Unavailable while they cannot be read or written."""

    async def all(self) -> tuple[ServiceKey, ...]:
        """Also those that are over, oldest first."""

    async def create(self, service: str, name: str, lifetime_s: int | None) -> Minted: ...

    async def rotate(self, id: str, grace_s: int) -> Minted:
        """Another key in its place; it stays good for so long. Raises NotFound, and InvalidRequest if it is over."""

    async def revoke(self, id: str) -> ServiceKey:
        """From now on; twice is once. Raises NotFound."""


class Observer(Protocol):
    """Hears every event. Must return at once and never raise."""

    def tell(self, event: Event, /) -> None: ...


@value(frozen=True, slots=True)
class Upstream:
    """An accepted request: its chunks, in portions as they come, none of which is empty; what had to be dropped; and
    the provider's own id for it. A failure is raised after the chunks before it.

    `mend` is there when the gateway owes something the provider cannot do (a JSON schema, a forced tool): it turns the
    whole answer into what the client asked for, or raises UpstreamError. Nothing may be said before it has been called.
    """

    portions: AsyncIterator[Sequence[Chunk]]
    dropped: tuple[str, ...] = ()
    request_id: str | None = None
    mend: Mend | None = None


@value(frozen=True, slots=True)
class Answered:
    """A whole answer, with what `Upstream` says of one; `mend` has not been called."""

    completion: Completion
    dropped: tuple[str, ...] = ()
    request_id: str | None = None
    mend: Mend | None = None


class Provider(Protocol):
    """One configured provider. It owns nothing that must be stopped: a reload makes new ones, and the old are
    forgotten with their last request."""

    @property
    def name(self) -> str: ...

    @property
    def absence(self) -> str | None:
        """Why it can serve nothing at all (no key), or None. Constant."""

    @property
    def waiting_for(self) -> str | None:
        """What it is still starting (a model loading), or None when it can answer now."""

    def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AbstractAsyncContextManager[Upstream]:
        """A streamed request. Entered means accepted. Leaving closes the upstream connection. Raises UpstreamError, and
        before anything is sent UnsupportedParameter for what the model cannot honour; if `strict`, also where it would
        only drop hints."""

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> Answered:
        """A request with `stream: false`, to its end. Cancelling closes the upstream connection. Raises as `chat`."""

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        """Forward an OpenAI embeddings request; returns the provider's OpenAI-shaped answer."""


class Cache(Protocol):
    """Whole answers by key: opaque bytes with a time to live. `owner` is whose they are, for `forget`."""

    def at_hand(self, key: str) -> bytes | None:
        """As `get`, of what this process has: nothing is asked."""

    def may_have(self, key: str) -> bool:
        """False where `get` would surely find nothing."""

    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, ttl_s: int, owner: str = "") -> None: ...
    async def forget(self, owner: str | None = None, key: str | None = None) -> int | None:
        """Delete what is the owner's (None: anybody's) and under the key (None: any). How many there were; None when
        the shared part could not be reached, and only what is in this process is gone."""


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest stored question in a scope. `similarity` is a cosine; `key` finds the answer in the `Cache`."""

    key: str
    text: str
    similarity: float


class SemanticIndex(Protocol):
    """Questions by meaning. `scope` is a hash of everything but the question, and a hard filter."""

    async def nearest(self, scope: str, vector: Vector, threshold: float) -> Match | None: ...
    async def add(self, scope: str, vector: Vector, key: str, text: str, ttl_s: int, owner: str = "") -> bool:
        """Whether it was stored."""

    async def forget(self, owner: str | None = None, key: str | None = None) -> bool:
        """Delete as `Cache.forget` does. False when the index could not be reached."""


class Embedder(Protocol):
    """Texts to unit vectors, off the event loop."""

    @property
    def engine(self) -> str:
        """Engine and model (`onnx-all-MiniLM-L6-v2`): part of the collection's name, so vectors never mix."""

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """The window: longer texts are cut, so the semantic cache does not ask for them."""

    def count_tokens(self, text: str) -> int: ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...


class TokenCounter(Protocol):
    """Local token counts, for answers whose provider reported none."""

    async def count(self, text: str) -> int: ...


@value(frozen=True, slots=True)
class Standing:
    """How a budget stands in the window of now. `used` is settled and reserved together, this call's own included."""

    budget: Budget
    window_end_s: float
    used: Amount


@value(frozen=True, slots=True)
class Hold:
    """A reservation in the ledger, to be settled exactly once.

    `account` is the service that pays and `tag` the payer's. `output_tokens` is what was granted to all choices
    together. `meters` are the ids of what it is counted in, one for each of `budgets` (`search/day:2026-11-23`), and
    `standings` how those stand with it; where no budget has a limit there are none. `at_s` is the ledger's own clock.
    """

    id: str
    account: str
    tag: str
    amount: Amount
    output_tokens: int
    at_s: float
    budgets: tuple[Budget, ...] = ()
    meters: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()

    @property
    def is_reserved(self) -> bool:
        """Whether the ledger keeps the amount from others; without a limit it is only counted, once it is spent."""
        for budget in self.budgets:  # noqa: SIM110 - asked three times a request, and a generator is half a microsecond
            if budget.is_limited:
                return True
        return False


class Ledger(Protocol):
    """What each account has spent and reserved in its windows."""

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        """Reserve in all of the payer's budgets or in none, atomically. The same `id` again is the same answer.

        `rung` is the attempt's place on each budget's ladder, which may let it fill less than the limit. From here on
        until it is settled the ledger keeps the lease alive; nobody has to. Raises BudgetExceeded (with `retry_after_s`
        to when there is room again), or LedgerUnavailable for a payer with a limit when the state cannot be reached.
        """

    async def settle(self, hold: Hold, actual: Amount) -> None:
        """Replace the reservation by what was used; a second call is a no-op. Never raises."""

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        """How each of the payer's budgets stands now. Raises LedgerUnavailable."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that has come in. `rate` None: its service may make any number of requests a minute."""

    id: str
    service: str
    rate: Rate | None = None


class Door(Protocol):
    """The limits of services. One that has none costs nothing here."""

    async def enter(self, id: str, service: Service) -> Entry:
        """Raises LimitExceeded, which names the limit and says when to come again. Without its state it goes by what
        this process alone has let in."""

    def leave(self, entry: Entry) -> None:
        """Once for each entry. Returns at once and never raises; the slot is given back behind."""
