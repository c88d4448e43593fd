"""The hot routes: bytes → a parsed, authenticated call → the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.core.embeddings import parse_embeddings
from gateway.core.options import parse_options
from gateway.core.pricing import to_nano
from gateway.dialects.served.chat import read_chat
from gateway.flow.call import Call
from gateway.flow.embeddings import Embeddings, EmbeddingsCall
from gateway.flow.pipeline import Pipeline
from gateway.http.auth import Keyring
from gateway.http.exchange import Exchange
from gateway.http.front import Route
from gateway.http.respond import respond, usd
from gateway.ports import Clock


@dataclass(frozen=True, slots=True)
class HotRoutes:
    """Chat completions and embeddings, with and without `/v1`."""

    pipeline: Pipeline
    embeddings: Embeddings
    keyring: Keyring
    clock: Clock
    max_body_bytes: int

    def by_path(self) -> Mapping[str, Route]:
        return {
            "/v1/chat/completions": Route(self.chat),
            "/chat/completions": Route(self.chat),
            "/v1/embeddings": Route(self.embed),
            "/embeddings": Route(self.embed),
        }

    async def chat(self, exchange: Exchange) -> None:
        started_s, asked_at_s = self.clock.monotonic_s(), self.clock.unix_s()
        service = self.keyring.service(exchange.headers)
        body = await exchange.json(self.max_body_bytes)
        options = parse_options(exchange.headers, body)
        served = read_chat(body, exchange.headers, exchange.id)
        call = Call(exchange.id, service, served.chat, options, started_s, asked_at_s)
        await respond(exchange, self.pipeline, call, served.rendering)

    async def embed(self, exchange: Exchange) -> None:
        started_s, asked_at_s = self.clock.monotonic_s(), self.clock.unix_s()
        service = self.keyring.service(exchange.headers)
        request = parse_embeddings(await exchange.json(self.max_body_bytes))
        call = EmbeddingsCall(exchange.id, service, request, started_s, asked_at_s)
        async with exchange.departure() as departure:
            embedded = await self.embeddings.serve(call)
            departure.disarm()
            headers = {
                "content-type": "application/json",
                "x-thriftgate-model": embedded.model.name,
                "x-thriftgate-provider": embedded.model.provider,
                "x-thriftgate-cache": "bypass",
                "x-thriftgate-cost-usd": usd(to_nano(embedded.cost_usd)),
            }
            await exchange.respond(200, headers, orjson.dumps(embedded.body))
