"""The plan's models in the order in which they are asked now."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.plan import Model, Plan
from gateway.flow.hosts import Hosts


def candidates(plan: Plan, hosts: Mapping[str, Hosts]) -> tuple[tuple[Model, ...], tuple[str, ...]]:
    """A model whose queue is too long comes after those that answer sooner, and the reasons say so. It is still asked
    if they fail, and where there is no other."""
    waits_s = {}
    for model in plan.attempts:
        wait_s = hosts[model.provider].too_long_s()
        if wait_s is not None:
            waits_s[model.name] = wait_s
    if not waits_s or len(waits_s) == len(plan.attempts):
        return plan.attempts, ()
    sooner = (model for model in plan.attempts if model.name not in waits_s)
    later = (model for model in plan.attempts if model.name in waits_s)
    return (*sooner, *later), tuple(f"{name} has a queue of {wait_s:.1f} s" for name, wait_s in waits_s.items())
