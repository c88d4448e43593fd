"""Embeddings: from the gateway's own embedder, or forwarded to the provider of the named model. Never cached."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.core.bid import input_bound
from gateway.core.budget import Amount, Bid
from gateway.core.embeddings import EmbeddingsRequest, embeddings_answer
from gateway.core.errors import Forbidden, InvalidRequest, ModelNotFound, ThriftgateError, Unavailable, UpstreamError
from gateway.core.estimate import CHARS_PER_TOKEN
from gateway.core.events import RequestFinished
from gateway.core.plan import Catalog, Model
from gateway.core.savings import Account, Overhead
from gateway.core.service import Service
from gateway.core.usage import Usage
from gateway.flow.call import outcome_of, status_of
from gateway.flow.hosts import Hosts
from gateway.flow.tasks import shielded
from gateway.ports import Clock, Embedder, Ledger, Observer


@dataclass(frozen=True, slots=True)
class EmbeddingsCall:
    """A parsed and authenticated request. `started_s` is monotonic, `asked_at_s` Unix time."""

    id: str
    service: Service
    request: EmbeddingsRequest
    started_s: float
    asked_at_s: float


@dataclass(frozen=True, slots=True)
class Embedded:
    """The answer in OpenAI's shape, and what it took."""

    body: dict[str, Any]
    model: Model
    nano_usd: int


@dataclass(slots=True)
class _Bill:
    """What a call has cost so far, and at which model: the ledger and the event tell the same."""

    model: Model | None = None
    usage: Usage = field(default_factory=Usage)
    nano_usd: int = 0


class Embeddings:
    """`catalog` holds the embedding models; the one whose provider is `embedded` is the gateway's own."""

    OWN = "embedded"

    def __init__(
        self,
        catalog: Catalog,
        hosts: Mapping[str, Hosts],
        ledger: Ledger,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._hosts = hosts
        self._ledger = ledger
        self._observer = observer
        self._clock = clock
        self._embedder: Embedder | None = None

    def attach(self, embedder: Embedder) -> None:
        """The own embedder, once its model is loaded."""
        self._embedder = embedder

    async def serve(self, call: EmbeddingsCall) -> Embedded:
        """Raises the errors of `core.errors`. Tells exactly one RequestFinished."""
        bill = _Bill()
        failure: BaseException | None = None
        try:
            model = bill.model = self._model(call)
            body = await self._held(call, model, bill)
            return Embedded(body, model, bill.nano_usd)
        except BaseException as error:
            failure = error
            raise
        finally:
            self._observer.tell(self._finished(call, bill, failure))

    async def _held(self, call: EmbeddingsCall, model: Model, bill: _Bill) -> dict[str, Any]:
        """Reserve, embed, settle. What upstream had accepted is charged by an estimate if it did not answer."""
        size_bytes = len(orjson.dumps(call.request.body))
        likely = Usage(size_bytes // CHARS_PER_TOKEN, source="estimated")
        payer = call.service.unmetered if model.local else call.service.payer
        hold = await self._ledger.hold(call.id, payer, Bid(input_bound(model, size_bytes, call.asked_at_s)))
        try:
            body = await self._embed(call.request, model)
            bill.usage = Usage.from_openai(body["usage"]) if body.get("usage") else likely
            return body
        except UpstreamError as error:
            bill.usage = likely if error.reached else Usage()
            raise
        except asyncio.CancelledError:
            bill.usage = likely
            raise
        finally:
            bill.nano_usd = model.price.charge(bill.usage, call.asked_at_s)
            await shielded(self._ledger.settle(hold, Amount(bill.usage.total_tokens, bill.nano_usd)))

    async def _embed(self, request: EmbeddingsRequest, model: Model) -> dict[str, Any]:
        if model.provider != self.OWN:
            return await self._hosts[model.provider].embed(request.body, model)
        embedder = self._embedder
        if embedder is None:
            raise Unavailable("The embedder is still loading.", retry_after_s=1.0)
        texts = [item for item in request.inputs if isinstance(item, str)]
        if len(texts) != len(request.inputs):
            raise InvalidRequest(f"`input` must be text for `{model.name}`: tokens are another model's.", param="input")
        if request.dimensions not in (None, embedder.dimensions):
            message = f"`dimensions` must be {embedder.dimensions} for `{model.name}`, or be left out."
            raise InvalidRequest(message, param="dimensions")
        counted = [embedder.count_tokens(text) for text in texts]
        if max(counted) > embedder.max_tokens:
            message = f"An `input` has {max(counted)} tokens; `{model.name}` takes {embedder.max_tokens}."
            raise InvalidRequest(message, param="input")
        return embeddings_answer(request, await embedder.embed(texts), model.name, sum(counted))

    def _model(self, call: EmbeddingsCall) -> Model:
        asked = call.request.model
        model = self._catalog.find(asked)
        if model is None:
            known = ", ".join(model.name for model in self._catalog.present()) or "none"
            raise ModelNotFound(f"There is no embedding model `{asked}`. Here are: {known}.", param="model")
        if not call.service.may_ask(*model.spellings):
            raise Forbidden(f"Service `{call.service.name}` may not use model `{asked}`.", param="model")
        if model.provider in self._catalog.absent:
            reason = self._catalog.absent[model.provider]
            raise ModelNotFound(f"Model `{asked}` needs provider `{model.provider}`: {reason}.", param="model")
        return model

    def _finished(self, call: EmbeddingsCall, bill: _Bill, failure: BaseException | None) -> RequestFinished:
        error = failure if isinstance(failure, ThriftgateError) else None
        outcome = outcome_of(failure) if failure else "ok"
        account = _account(bill, answered=failure is None)
        return RequestFinished(
            request_id=call.id,
            endpoint="embeddings",
            service=call.service.name,
            outcome=outcome,
            status=status_of(error, outcome),
            stream=False,
            tier=None,
            model=bill.model.name if bill.model else None,
            provider=bill.model.provider if bill.model else None,
            cache="bypass",
            attempts=1,
            usage=bill.usage,
            cost_nano_usd=bill.nano_usd,
            saved_nano_usd=0,
            saved_by=None,
            duration_s=self._clock.monotonic_s() - call.started_s,
            first_token_s=None,
            error_code=(error.code or error.type) if error else None,
            baseline=account.baseline,
            baseline_nano_usd=account.baseline_nano_usd,
            overheads=account.overheads,
        )


def _account(bill: _Bill, *, answered: bool) -> Account:
    """The model that was named is its own baseline: nothing is saved, and what a failure cost is an overhead."""
    nano_usd = bill.nano_usd
    if bill.model is None:
        return Account()
    if answered:
        return Account(bill.model.name, nano_usd)
    return Account(bill.model.name, overheads=(Overhead("failed_attempt", nano_usd),) if nano_usd else ())
