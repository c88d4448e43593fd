"""Asks the caches before anybody is paid, and keeps what was paid for.

Exact first: one hash, usually answered in process. Then by meaning (`flow/meaning`). A broken or slow cache is a miss.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any

import orjson

from gateway.core.chunks import Completion
from gateway.core.events import CacheVerdict, NotByMeaning, Stored
from gateway.core.fingerprint import exact_key
from gateway.core.frozen import value
from gateway.core.plan import Plan
from gateway.core.pricing import NANO_PER_USD
from gateway.core.usage import Usage
from gateway.flow.call import Call
from gateway.flow.meaning import Asked, Meaning, Passed
from gateway.flow.tasks import Tasks
from gateway.ports import Cache, Clock, Observer

_COUNTS = tuple(field.name for field in fields(Usage))
_COUNTS_OF = attrgetter(*_COUNTS)


@value(frozen=True, slots=True)
class Entry:
    """A stored answer: its JSON, the catalog name of the model that gave it, what that used, the hints it was given
    without, and whether it calls tools. `key` and `stored_at_s` (Unix time) say where and when it was kept.

    Its bytes are a line of facts and then the answer, so that a hit is sent as it lies there: only the line is read.
    """

    body: bytes
    model: str
    usage: Usage
    dropped: tuple[str, ...] = ()
    calls_tools: bool = False
    key: str = ""
    stored_at_s: float = 0.0

    @property
    def completion(self) -> Completion:
        """Read anew each time, so it is the caller's own."""
        completion: Completion = orjson.loads(self.body)
        return completion

    def to_bytes(self) -> bytes:
        facts = (self.model, _COUNTS_OF(self.usage), self.dropped, self.calls_tools, self.key, self.stored_at_s)
        return b"%b\n%b" % (orjson.dumps(facts), self.body)

    @classmethod
    def from_bytes(cls, value: bytes) -> Entry | None:
        """None for what another version wrote: a miss, not an error."""
        facts, _, body = value.partition(b"\n")
        if not body:
            return None
        try:
            model, counts, dropped, calls_tools, key, stored_at_s = orjson.loads(facts)
            if len(counts) != len(_COUNTS):
                return None
            return cls(body, model, Usage(*counts), tuple(dropped), calls_tools, key, stored_at_s)
        except (TypeError, ValueError):
            return None


@value(frozen=True, slots=True)
class Found:
    """A look-up's outcome, and what `keep` needs to store the answer if there was none. `reason` is the semantic
    layer's, empty when there is nothing to explain; `waited_s` is what it cost a miss."""

    verdict: CacheVerdict
    key: str
    entry: Entry | None = None
    similarity: float | None = None
    asked: Asked | None = None
    reason: str = ""
    waited_s: float = 0.0


class Lookup:
    """Both cache layers, in their order. `cache` None: no cache at all. `ttl_s` is the exact layer's."""

    def __init__(
        self, cache: Cache | None, ttl_s: int, meaning: Meaning, observer: Observer, clock: Clock, tasks: Tasks
    ) -> None:
        self._cache = cache
        self._ttl_s = ttl_s
        self._meaning = meaning
        self._observer = observer
        self._clock = clock
        self._tasks = tasks

    def key(self, call: Call, plan: Plan) -> str:
        """What an answer to exactly this is stored under."""
        return exact_key(call.chat, _scope(call), plan.resolved)

    def reads(self, call: Call) -> bool:
        """Whether this request may have another's answer."""
        return self._cache is not None and call.options.reads_cache and call.service.cache.enabled

    def at_hand(self, call: Call, key: str) -> Entry | None:
        """The answer to exactly this, if this process has it: for most hits there is no more to do. For who `reads`."""
        value = None if self._cache is None else self._cache.at_hand(key)
        entry = None if value is None else Entry.from_bytes(value)
        return entry if entry is not None and (_allows_tools(call) or not entry.calls_tools) else None

    async def find(self, call: Call, plan: Plan, key: str) -> Found:
        """Never raises for a broken cache. `key` is the call's own."""
        options, terms = call.options, call.service.cache
        if self._cache is None or options.cache == "off" or not terms.enabled:
            return Found("bypass", key)
        if options.reads_cache and self._cache.may_have(key):
            entry = await self._entry(key)
            if entry is not None and (_allows_tools(call) or not entry.calls_tools):
                return Found("hit", key, entry)
        if not terms.semantic:
            return Found("miss" if options.reads_cache else "refresh", key, reason="semantic off for this service")
        asked = self._meaning.ask(call, _scope, plan)
        if isinstance(asked, Passed):
            if asked.why is not None:
                self._observer.tell(NotByMeaning(asked.why, call.service.name))
            return Found("miss" if options.reads_cache else "refresh", key, reason=asked.reason)
        if not options.reads_cache:
            return Found("refresh", key, asked=asked)
        return await self._by_meaning(call, key, asked)

    async def keep(
        self,
        call: Call,
        found: Found,
        completion: Completion,
        model: str,
        usage: Usage,
        nano_usd: int,
        dropped: tuple[str, ...],
    ) -> bytes | None:
        """Store a whole answer of that model: on return it is found here; elsewhere, and by its meaning, soon. The JSON
        of what was stored."""
        took_s = self._clock.monotonic_s() - call.started_s - found.waited_s
        # What it took and cost is what later look-ups are weighed with.
        self._meaning.worth.answered(call.service.name, model, took_s, nano_usd / NANO_PER_USD)
        if self._cache is None or not call.options.writes_cache or not call.service.cache.enabled:
            return None
        tools = _allows_tools(call)
        if not is_cacheable(completion, tools=tools):
            return None
        calls_tools = tools and any(_calls_tools(choice.get("message") or {}) for choice in completion["choices"])
        body = orjson.dumps(completion)
        entry = Entry(body, model, usage, dropped, calls_tools, found.key, self._clock.unix_s())
        await self._cache.put(found.key, entry.to_bytes(), _ttl_s(call) or self._ttl_s, call.service.cache_scope)
        self._observer.tell(Stored("exact", call.service.name))
        if found.asked and not calls_tools:
            self._tasks.start(self._keep_meaning(call, found.asked, found.key))
        return body

    async def forget(self, owner: str | None = None, key: str | None = None) -> int | None:
        """Delete answers in both layers, as `ports.Cache.forget`. None when a part of it could not be reached."""
        if self._cache is None:
            return 0
        deleted = await self._cache.forget(owner, key)  # first: a question without its answer is a miss
        return deleted if await self._meaning.forget(owner, key) else None

    async def _keep_meaning(self, call: Call, asked: Asked, key: str) -> None:
        if await self._meaning.add(asked, key, _ttl_s(call), call.service.cache_scope):
            self._observer.tell(Stored("semantic", call.service.name))

    async def _entry(self, key: str) -> Entry | None:
        assert self._cache is not None
        value = await self._cache.get(key)
        return None if value is None else Entry.from_bytes(value)

    async def _spoken(self, key: str) -> Entry | None:
        """What calls tools is had by its exact question only."""
        entry = await self._entry(key)
        return None if entry is None or entry.calls_tools else entry

    async def _by_meaning(self, call: Call, key: str, asked: Asked) -> Found:
        if asked.vector is None:
            return Found("miss", key, asked=asked, reason=asked.reason)
        near = await self._meaning.nearest(call, asked, self._spoken)
        verdict: CacheVerdict = "miss" if near.answer is None else "semantic-hit"
        return Found(verdict, key, near.answer, near.similarity, asked, near.reason, near.waited_s)


def _scope(call: Call) -> str:
    """Whose answers these are. A strict request must not get one that was given without some of its parameters."""
    return f"{call.service.cache_scope}\n{call.options.namespace}" + ("\nstrict" if call.options.strict else "")


def _ttl_s(call: Call) -> int | None:
    return call.options.ttl_s or call.service.cache.ttl_s


def _allows_tools(call: Call) -> bool:
    return call.options.tools or call.service.cache.tools


def is_cacheable(completion: Completion, *, tools: bool = False) -> bool:
    """Only whole, successful, unrefused answers: every choice ended by itself and said something. Tool calls count as
    said only if `tools` are allowed: an agent that asks again may want its tools chosen anew."""
    choices = completion.get("choices") or []
    for choice in choices:
        if not _is_sound(choice, tools):
            return False
    return bool(choices)


_ENDS, _ENDS_WITH_TOOLS = ("stop",), ("stop", "tool_calls", "function_call")


def _is_sound(choice: dict[str, Any], tools: bool) -> bool:
    message = choice.get("message") or {}
    if choice.get("finish_reason") not in (_ENDS_WITH_TOOLS if tools else _ENDS) or message.get("refusal"):
        return False
    if ("tool_calls" in message or "function_call" in message) and _calls_tools(message):
        return tools
    return bool(message.get("content"))


def _calls_tools(message: dict[str, Any]) -> bool:
    return bool(message.get("tool_calls") or message.get("function_call"))
