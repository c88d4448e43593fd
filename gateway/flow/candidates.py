"""The plan's models in the order in which they are asked now."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.plan import Model, Plan
from gateway.flow.hosts import Hosts


def candidates(plan: Plan, hosts: Mapping[str, Hosts]) -> tuple[tuple[Model, ...], tuple[str, ...]]:
    """A model whose queue is too long comes after those that answer sooner, and the reasons say so. It is still asked
    if they fail, and where there is no other."""
    waits_s = {model.name: hosts[model.provider].too_long_s() for model in plan.attempts}
    sooner = tuple(model for model in plan.attempts if waits_s[model.name] is None)
    later = tuple(model for model in plan.attempts if waits_s[model.name] is not None)
    if not sooner:
        return plan.attempts, ()
    return (*sooner, *later), tuple(f"{model.name} has a queue of {waits_s[model.name]:.1f} s" for model in later)
