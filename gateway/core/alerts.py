"""What somebody should hear of at once, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.core.events import BudgetLevel, Event, Overshoot, SemanticClosed


@dataclass(frozen=True, slots=True)
class Alert:
    """`name` is the event's, in snake case; `text` a sentence for a person; `facts` the event's fields."""

    name: str
    text: str
    facts: Mapping[str, Any]


def alert_of(event: Event) -> Alert | None:
    """None for what need not wake anybody: metrics and the log have it all."""
    match event:
        case BudgetLevel():
            used = f"{event.used_share:.0%} of its budget for this {event.window_kind}"
            return Alert("budget_level", f"{event.account} has used {used}{_MEANS[event.level]}", asdict(event))
        case Overshoot():
            spent = f"{event.tokens} tokens and {event.nano_usd} nano-dollars"
            return Alert("budget_overshoot", f"{event.service} went over its budget by {spent}.", asdict(event))
        case SemanticClosed():
            rate = f"{event.false_hit_rate:.1%} of {event.checks} checked hits were wrong"
            return Alert("semantic_closed", f"{event.service} goes without the semantic cache: {rate}.", asdict(event))
        case _:
            return None


_MEANS = {
    "warn": ".",
    "cheaper": ": `auto` now takes cheaper models.",
    "local": ": only caches and local models answer `auto` now.",
    "spent": ": it is spent.",
}
