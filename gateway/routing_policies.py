"""From `routing:` to the domain: the trained weights, read once when something asks for them, and policies by them.

Rules need no weights, so numpy is imported with them: the slim image has none.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.features import Features
from gateway.core.forecast import Forecast
from gateway.core.policy import Policy, TierShares, bounds_for
from gateway.core.tiers import Classify
from gateway.core.tiers import classify as by_rules
from gateway.routing_settings import RoutingTerms
from gateway.settings import Loaded
from gateway.yaml_source import ConfigError, Problem

if TYPE_CHECKING:
    from gateway.core.router import RouterWeights

_VERSION_CHARS = 8


class Router:
    """A file that is named is read at once, the shipped one when it is needed. Raises ConfigError for one that cannot
    be read, or holds something else."""

    def __init__(self, loaded: Loaded, weights: Path | None = None) -> None:
        self._loaded = loaded
        self._named = weights or loaded.settings.routing.weights
        if self._named is not None:
            self.weights  # noqa: B018  # read now, kept for later

    @cached_property
    def weights(self) -> RouterWeights:
        """Of `routing.weights`, or the shipped ones. 20 ms."""
        try:
            from gateway.adapters.router_weights import SHIPPED, load
            from gateway.adapters.weights_file import WeightsError
        except ModuleNotFoundError as error:
            mend = f"install {error.name}, or route by rules: without `quality_target`, shares and `weights`"
            where = self._loaded.source.where(("routing",))
            raise ConfigError(Problem(where, f"`routing` needs {error.name}, which is not here", mend)) from error
        try:
            return load(self._named or SHIPPED)
        except (OSError, WeightsError) as error:
            where = self._loaded.source.where(("routing", "weights"))
            mend = "write the path of a file that `thriftgate train-router` made, or remove it for the shipped weights"
            raise ConfigError(Problem(where, f"`routing.weights`: {error}", mend)) from error

    @cached_property
    def version(self) -> str:
        """Of weights and settings together: whatever decides differently has another."""
        settings = self._loaded.settings
        terms = {service.name: service.routing for service in settings.services if service.routing}
        said = [self.weights.digest, settings.routing.model_dump_json(exclude={"weights"})]
        said += [f"{name}={routing.model_dump_json()}" for name, routing in sorted(terms.items())]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:_VERSION_CHARS]

    def policy(self, terms: RoutingTerms) -> Policy:
        """Only targets and shares need the weights."""
        second_usd = self._loaded.settings.routing.value_of_second_usd
        if terms.quality_target is not None:
            has_promises = len(self.weights.promises[0]) > 0
            bounds = bounds_for(terms.quality_target, self.weights.bound) if has_promises else {}
            return Policy(terms.quality_target, None, bounds, self.version, second_usd)
        if terms.has_shares:
            shares = TierShares(terms.light_share or 0.0, terms.medium_share or 0.0)
            return Policy(None, shares, {}, self.version, second_usd)
        return Policy(value_of_second_usd=second_usd)

    @cached_property
    def classify(self) -> Classify:
        """What names tiers: rules, or the learned classifier. Raises ConfigError where that cannot be read."""
        if self._loaded.settings.routing.classifier == "rules":
            return by_rules
        try:
            from gateway.adapters.tier_weights import classifier, load

            return classifier(load())
        except (ModuleNotFoundError, ValueError) as error:
            where = self._loaded.source.where(("routing", "classifier"))
            mend = "write `rules`, or install the gateway whole: the slim image has no numpy"
            raise ConfigError(Problem(where, f"`routing.classifier: learned`: {error}", mend)) from error

    def foresee(self, features: Features, explained: bool) -> Forecast | None:
        """None also where weights cannot be read here: who needs them has been refused by `policy`, and who only wants
        an explanation has one without a forecast."""
        try:
            weights = self.weights
        except ConfigError:
            return None
        from gateway.core.router import forecast

        return forecast(features, weights, explained=explained)
