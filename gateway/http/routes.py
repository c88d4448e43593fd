"""The hot routes: bytes → a parsed, authenticated call → the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import orjson

from gateway.core.embeddings import parse_embeddings
from gateway.core.errors import UnsupportedParameter
from gateway.core.estimate import countable
from gateway.core.events import Endpoint
from gateway.core.options import parse_options
from gateway.core.plan import Catalog
from gateway.core.planning import make_plan
from gateway.core.trace_context import trace_parent
from gateway.dialects.served.api import ANTHROPIC, OPENAI, Api
from gateway.dialects.served.chat import read_chat
from gateway.dialects.served.completions import read_completions
from gateway.dialects.served.messages import read_count, read_messages
from gateway.dialects.served.rendering import Read
from gateway.dialects.served.responses import read_responses
from gateway.flow.call import Call
from gateway.flow.embeddings import Embeddings, EmbeddingsCall
from gateway.flow.pipeline import Pipeline
from gateway.http.entrance import Entrance
from gateway.http.exchange import Exchange
from gateway.http.front import Route
from gateway.http.respond import respond, usd
from gateway.ports import Clock, TokenCounter

_SERVED: Mapping[str, tuple[Endpoint, Read, Api]] = {
    "/chat/completions": ("chat", read_chat, OPENAI),
    "/completions": ("completions", read_completions, OPENAI),
    "/messages": ("messages", read_messages, ANTHROPIC),
    "/responses": ("responses", read_responses, OPENAI),
}


@dataclass(frozen=True, slots=True)
class HotRoutes:
    """Everything that a model answers, with and without `/v1`."""

    pipeline: Pipeline
    embeddings: Embeddings
    catalog: Catalog
    counter: TokenCounter
    entrance: Entrance
    clock: Clock
    max_body_bytes: int

    def by_path(self) -> Mapping[str, Route]:
        routes = {path: Route(partial(self.serve, name, read), api) for path, (name, read, api) in _SERVED.items()}
        routes["/messages/count_tokens"] = Route(self.count_tokens, ANTHROPIC)
        routes["/embeddings"] = Route(self.embed)
        return {prefix + path: route for path, route in routes.items() for prefix in ("/v1", "")}

    async def serve(self, endpoint: Endpoint, read: Read, exchange: Exchange) -> None:
        """A chat, in whichever API it is asked."""
        started_s, asked_at_s = self.clock.monotonic_s(), self.clock.unix_s()
        service, entry = await self.entrance.enter(exchange, endpoint)
        try:
            body = await exchange.json(self.max_body_bytes)
            options = parse_options(exchange.headers, body)
            served = read(body, exchange.headers, exchange.id)
            if options.strict and served.dropped:
                words = f"Nothing here can take `{served.dropped[0]}`, and the request is strict."
                raise UnsupportedParameter(words, param=served.dropped[0])
            call = Call(
                exchange.id,
                service,
                served.chat,
                options,
                started_s,
                asked_at_s,
                endpoint=endpoint,
                dropped=served.dropped,
                trace_parent=trace_parent(exchange.headers),
            )
            await respond(exchange, self.pipeline, call, served.rendering)
        finally:
            self.entrance.leave(entry)

    async def count_tokens(self, exchange: Exchange) -> None:
        """An estimate: the tokenizer is ours, not the model's. Refuses what messages would refuse; costs nothing.

        Not limited either: no provider hears of it, and Anthropic counts it apart from messages as well."""
        service = self.entrance.service(exchange)
        body = await exchange.json(self.max_body_bytes)
        chat = read_count(body, exchange.headers)
        make_plan(chat, parse_options(exchange.headers, body), service, self.catalog, self.clock.unix_s())
        text, unseen_tokens = countable(chat)
        counted = {"input_tokens": await self.counter.count(text) + unseen_tokens}
        headers = {"content-type": "application/json", "x-thriftgate-estimated": "true"}
        await exchange.respond(200, headers, orjson.dumps(counted))

    async def embed(self, exchange: Exchange) -> None:
        started_s, asked_at_s = self.clock.monotonic_s(), self.clock.unix_s()
        service, entry = await self.entrance.enter(exchange, "embeddings")
        try:
            request = parse_embeddings(await exchange.json(self.max_body_bytes))
            call = EmbeddingsCall(exchange.id, service, request, started_s, asked_at_s)
            with exchange.departure() as departure:
                embedded = await self.embeddings.serve(call)
                departure.disarm()
                headers = {
                    "content-type": "application/json",
                    "x-thriftgate-model": embedded.model.name,
                    "x-thriftgate-provider": embedded.model.provider,
                    "x-thriftgate-cache": "bypass",
                    "x-thriftgate-cost-usd": usd(embedded.nano_usd),
                }
                await exchange.respond(200, headers, orjson.dumps(embedded.body))
        finally:
            self.entrance.leave(entry)
