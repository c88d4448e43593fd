"""The seams between the flow and the world. Adapters implement these; `app.py` chooses them.

Rules that types cannot say: `Cache` and `SemanticIndex` never raise (a broken cache is a miss, told once as
`Degraded`); `Ledger.hold` is atomic; `Provider.chat` raises only `UpstreamError`; nothing here blocks the loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.budget import Amount, Budget
from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk, Mend
from gateway.core.events import Event
from gateway.core.plan import Model
from gateway.core.service_key import ServiceKey

Vector = Sequence[float]


class Clock(Protocol):
    """Time, injected so that the flow can be tested without waiting."""

    def monotonic_s(self) -> float: ...
    def unix_s(self) -> float: ...


class Keys(Protocol):
    """The service keys that were minted."""

    def find(self, id: str) -> ServiceKey | None:
        """By the id that is part of the key; also one that is over. Never blocks for long, never raises."""


class Observer(Protocol):
    """Hears every event. Must return at once and never raise."""

    def tell(self, event: Event, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Upstream:
    """An accepted request: its chunks, what had to be dropped, and the provider's own id for it.

    `mend` is there when the gateway owes something the provider cannot do (a JSON schema, a forced tool): it turns the
    whole answer into what the client asked for, or raises UpstreamError. Nothing may be said before it has been called.
    """

    chunks: AsyncIterator[Chunk]
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
        """Entered means accepted. A request with `stream: false` also yields chunks. Leaving closes the upstream
        connection. Raises UpstreamError, and before anything is sent UnsupportedParameter for what the model cannot
        honour; if `strict`, also where it would only drop hints."""

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        """Forward an OpenAI embeddings request; returns the provider's OpenAI-shaped answer."""


class Cache(Protocol):
    """Whole answers by key: opaque bytes with a time to live. `owner` is whose they are, for `forget`."""

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


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation in the ledger, to be settled exactly once. `budget` None: nothing to guard, only to count."""

    id: str
    service: str
    amount: Amount
    budget: Budget | None
    window: str


class Ledger(Protocol):
    """What each service has spent and reserved in its window."""

    async def hold(self, id: str, service: str, budget: Budget | None, amount: Amount) -> Hold:
        """Reserve atomically. The same `id` again is the same answer.

        Raises BudgetExceeded (with `retry_after_s` to the window's end), or LedgerUnavailable for a budgeted
        service when the state cannot be reached.
        """

    async def settle(self, hold: Hold, actual: Amount) -> None:
        """Replace the reservation by what was used; a second call is a no-op. Never raises."""

    async def spent(self, service: str, budget: Budget | None) -> Amount:
        """Settled so far in the current window."""
