"""What somebody should hear of at once, in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.core.events import BudgetLevel, Overshoot, SemanticClosed


@dataclass(frozen=True, slots=True)
class Alert:
    """`name` is the event's, in snake case; `text` a sentence for a person; `facts` the event's fields."""

    name: str
    text: str
    facts: Mapping[str, Any]


def _budget_level(event: BudgetLevel) -> Alert:
    used = f"{event.used_share:.0%} of its budget for this {event.window_kind}"
    return Alert("budget_level", f"{event.account} has used {used}{_MEANS[event.level]}", asdict(event))


def _budget_overshoot(event: Overshoot) -> Alert:
    spent = f"{event.tokens} tokens and {event.nano_usd} nano-dollars"
    return Alert("budget_overshoot", f"{event.service} went over its budget by {spent}.", asdict(event))


def _semantic_closed(event: SemanticClosed) -> Alert:
    rate = f"{event.false_hit_rate:.1%} of {event.checks} checked hits were wrong"
    return Alert("semantic_closed", f"{event.service} goes without the semantic cache: {rate}.", asdict(event))


ALERTS: Mapping[type[object], Callable[[Any], Alert]] = {
    BudgetLevel: _budget_level,
    Overshoot: _budget_overshoot,
    SemanticClosed: _semantic_closed,
}
"""Of each event that need wake anybody: its alert. Metrics and the log have all others."""

_MEANS = {
    "warn": ".",
    "cheaper": ": `auto` now takes cheaper models.",
    "local": ": only caches and local models answer `auto` now.",
    "spent": ": it is spent.",
}
