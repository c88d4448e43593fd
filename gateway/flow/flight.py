"""One attempt at one model, from the reservation to the settlement.

Theory of operation. A flight holds three things at once: a reservation in the ledger, an open upstream, and the answer
so far. `take_off` succeeds when the first chunk with substance is there: until then nothing was said to the client and
another model may be tried; a bare role chunk is no commitment (Anthropic sends one and may still be overloaded).
`land` ends all three exactly once, whatever happened: it closes the upstream, then charges. A whole answer lands as
soon as its last chunk has been taken and before the client has seen the end, so an answer that a client has whole is
always in the ledger. A cut one is charged for what upstream had produced, a failed one for the prompt if upstream
had accepted it, a refused one for nothing.

An answer that is not streamed is there whole at take-off, and never becomes chunks unless somebody wants them. Where
the provider could not do what was asked (`mend`), or the answer is to be reviewed, a streamed one is taken whole too,
mended, and only then is any of it said; an answer that cannot be mended is charged, and another may be tried.

An answer whose provider reported no usage ends with the gateway's own count, so that a client always finds one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.core.budget import Amount
from gateway.core.chunks import Assembler, Chunk, Completion, Mend, assembled, split
from gateway.core.errors import OutOfTime, UnsupportedParameter, UpstreamError, UpstreamMalformed
from gateway.core.estimate import prompt_likely
from gateway.core.options import Options
from gateway.core.plan import Model
from gateway.core.usage import Usage
from gateway.flow.call import Trail
from gateway.flow.hosts import Hosts
from gateway.flow.tasks import shielded
from gateway.ports import Answered, Hold, Ledger, TokenCounter


@dataclass(frozen=True, slots=True)
class Ground:
    """What every flight needs and none owns."""

    ledger: Ledger
    counter: TokenCounter


class Flight:
    """See the theory of operation above. Single use, one owner."""

    def __init__(self, ground: Ground, trail: Trail, model: Model, hold: Hold) -> None:
        self.model = model
        self.whole: Completion | None = None
        """The answer, if it was there at once."""
        self.dropped: tuple[str, ...] = ()
        self.estimated = False
        self._ground = ground
        self._trail = trail
        self._hold = hold
        self._assembler = Assembler()
        self._upstream: AsyncExitStack | None = None
        self._seen: Completion | None = None
        self._portions: AsyncIterator[Sequence[Chunk]] | None = None
        self._first: list[Chunk] = []  # what has come and nobody has taken yet
        self._billable = True
        self._answers = False
        self._landed = False

    async def take_off(self, hosts: Hosts, max_output_tokens: int | None, *, whole: bool = False) -> None:
        """With `whole` the answer is there to its end. Raises UpstreamError, or UnsupportedParameter; the flight must
        then still `land`."""
        try:
            call, asked = self._trail.call, self._trail.asked
            if call.chat.stream:
                await self._begin(hosts, max_output_tokens, whole)
            else:
                said = await hosts.answer(
                    call.chat, self.model, max_output_tokens, strict=call.options.strict, asked=asked
                )
                self._hear(said)
            self._answers = True
        except UpstreamError as error:
            self._billable = error.reached
            raise
        except UnsupportedParameter:
            self._billable = False
            raise

    async def more(self) -> Sequence[Chunk]:
        """What has come of a streamed answer since, at least one chunk; none at its natural end, when the flight has
        landed."""
        if self._first:
            first, self._first = self._first, []
            return first
        if self._landed:
            return ()
        if self._portions is not None:
            try:
                portion = await (self._portions.__anext__() if self._trail.ends_at_s is None else self._in_time())
            except StopAsyncIteration:
                self._portions = None
            else:
                self._take(portion)
                return portion
        return await self._ended()

    async def completion(self) -> Completion:
        """The whole answer, of a streamed one what has not been taken yet included; the flight has landed."""
        if self.whole is None:
            while await self.more():
                pass
            return self._assembler.completion()
        if self.whole.get("usage") is not None:
            await self.land()  # nothing in it waits but the ledger, which minds a cancellation itself
        else:
            await shielded(self.land())
            self.estimated = True
            self.whole["usage"] = self._trail.answered.to_openai()
        return self.whole

    async def land(self) -> None:
        """Close and charge, once."""
        if self._landed:
            return
        self._landed = True
        try:
            if self._upstream is not None:
                await self._upstream.aclose()
        finally:
            usage = await self._used()
            nano_usd = self.model.price.charge(usage, self._trail.call.asked_at_s)
            self._trail.charged(usage, nano_usd, answer=self._answers)
            await self._ground.ledger.settle(self._hold, Amount(usage.total_tokens, nano_usd))

    @property
    def landed(self) -> bool:
        return self._landed

    def so_far(self) -> Completion:
        """What has come of the answer."""
        return self._assembler.completion() if self.whole is None else self.whole

    def _hear(self, answered: Answered) -> None:
        self.dropped = answered.dropped
        self._seen = answered.completion
        whole = answered.completion if answered.mend is None else answered.mend(answered.completion)
        if not whole.get("created"):
            whole["created"] = int(self._trail.call.asked_at_s)
        self.whole = whole

    async def _begin(self, hosts: Hosts, max_output_tokens: int | None, whole: bool) -> None:
        call, asked = self._trail.call, self._trail.asked
        self._upstream = AsyncExitStack()
        upstream = await self._upstream.enter_async_context(
            hosts.chat(call.chat, self.model, max_output_tokens, strict=call.options.strict, asked=asked)
        )
        self.dropped = upstream.dropped
        self._portions = upstream.portions
        if whole or upstream.mend is not None:
            await self._take_whole(upstream.mend)
        else:
            await self._wait_for_substance()

    async def _in_time(self) -> Sequence[Chunk]:
        """The next portion, if it comes while the client waits."""
        assert self._portions is not None
        try:
            async with asyncio.timeout_at(self._trail.ends_at_s):
                return await anext(self._portions)
        except TimeoutError as error:
            raise out_of_time(self._trail.call.options) from error

    async def _ended(self) -> Sequence[Chunk]:
        await shielded(self.land())
        self.estimated = self._assembler.usage is None
        if not self.estimated:
            return ()
        counted = [self._assembler.usage_chunk(self._trail.answered)]
        self._take(counted)
        return counted

    async def _wait_for_substance(self) -> None:
        assert self._portions is not None
        async for portion in self._portions:
            self._take(portion)
            self._first += portion
            if any(map(has_substance, portion)):
                return
        self._portions = None
        if not self._first:
            raise UpstreamMalformed(f"{self.model.provider} sent an empty answer.", reached=True)

    async def _take_whole(self, mend: Mend | None) -> None:
        """The answer as the client asked for it, in place of the provider's own."""
        assert self._portions is not None
        async for portion in self._portions:
            self._take(portion)
        self._portions = None
        completion = self._assembler.completion()
        if not completion["choices"]:
            raise UpstreamMalformed(f"{self.model.provider} sent an empty answer.", reached=True)
        if mend is not None:
            completion = mend(completion)
        self._assembler = Assembler()
        self._first = split(completion)
        self._take(self._first)

    def _take(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            if "created" not in chunk or not chunk["created"]:
                chunk["created"] = int(self._trail.call.asked_at_s)
            self._assembler.add(chunk)

    async def _used(self) -> Usage:
        """Upstream's own word where it gave one, else what was seen, counted here and marked as an estimate."""
        reported = self._seen.get("usage") if self._seen is not None else self._assembler.usage
        if reported is not None:
            return Usage.from_openai(reported)
        if not self._billable:
            return Usage()
        seen = self._assembler if self._seen is None else assembled(split(self._seen))
        produced = await self._ground.counter.count(seen.text())
        return Usage(prompt_likely(self._trail.call.chat), produced, source="estimated")


def out_of_time(options: Options) -> OutOfTime:
    return OutOfTime(f"The request's own time of {options.timeout_s:g} s is over.", param="thriftgate.timeout_s")


def has_substance(chunk: Chunk) -> bool:
    """Whether a chunk says anything beyond who is speaking."""
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if choice.get("finish_reason") or any(value for key, value in delta.items() if key != "role"):
            return True
    return False
