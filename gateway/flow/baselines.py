"""What each request is compared with: two models, by name, that might have answered in place of the one that did."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.frozen import value
from gateway.core.plan import Catalog, Model, Plan
from gateway.core.savings import dearest
from gateway.core.service import Service

MostUsed = Callable[[str, float], str | None]
"""Service and Unix time → the model it used most in the calendar month before; None while that is not known, or there
is none yet."""
_DAY_S = 86_400


@value(frozen=True, slots=True)
class Compared:
    """`baseline` is what savings are told against; `last_month`, the sober one, stands beside it. None: none."""

    baseline: Model | None = None
    last_month: Model | None = None


NOT_COMPARED = Compared()


class Baselines:
    """Of one catalog."""

    def __init__(self, catalog: Catalog, most_used: MostUsed = lambda service, unix_s: None) -> None:
        self._catalog = catalog
        self._most_used = most_used
        self._day = 0
        self._of_services: dict[str, Model | None] = {}
        self._by_name: dict[str, Model | None] = {}

    def of(self, service: Service, plan: Plan, asked_at_s: float) -> Compared:
        """A model that was asked for by name is its own baseline: it would have been asked without us too."""
        baseline = plan.attempts[0] if plan.pinned else self._of_service(service, asked_at_s)
        name = self._most_used(service.name, asked_at_s)
        return Compared(baseline, None if name is None else self._named(name))

    def _of_service(self, service: Service, asked_at_s: float) -> Model | None:
        """The one it names, or the dearest it may use: found anew each UTC day, so that it has one name a day whatever
        its price does in the hours."""
        day = int(asked_at_s // _DAY_S)
        if self._day != day:
            self._of_services, self._day = {}, day
        if service.name not in self._of_services:
            named = self._named(service.baseline_model) if service.baseline_model else None
            allowed = (model for model in self._catalog.routed() if service.may_route_to(model.tier))
            self._of_services[service.name] = named or dearest(allowed, asked_at_s)
        return self._of_services[service.name]

    def _named(self, name: str) -> Model | None:
        """Names are the configuration's and the ledger's, so they are few."""
        if name not in self._by_name:
            self._by_name[name] = self._catalog.find(name)
        return self._by_name[name]
