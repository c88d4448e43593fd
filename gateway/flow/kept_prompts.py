"""Keeps what answered prompts looked like, as numbers, for training on feedback that comes later."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.events import PromptKept
from gateway.core.features import Features, features_of
from gateway.flow.call import Trail
from gateway.ports import Observer


class KeptPrompts:
    """`pack` makes the numbers of a prompt a text. Only what `auto` answered well is told: a pinned model teaches the
    router nothing, and hits have the numbers of their original. Half a millisecond a request, on the event loop."""

    def __init__(self, pack: Callable[[Features], str], observer: Observer) -> None:
        self._pack = pack
        self._observer = observer

    def landed(self, trail: Trail) -> None:
        plan, model, call = trail.plan, trail.model, trail.call
        if plan is None or plan.pinned or model is None or trail.outcome != "ok":
            return
        numbers = self._pack(features_of(call.chat))
        self._observer.tell(PromptKept(call.id, call.service.name, model.tier, model.name, numbers))
