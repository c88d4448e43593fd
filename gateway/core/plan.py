"""The models there are, and a plan: those to try for one request, in order, with the reasons. `planning` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.conversation import Turn
from gateway.core.deadlines import Deadlines
from gateway.core.pricing import FREE, Price
from gateway.core.profile import Profile
from gateway.core.tiers import Tier

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the catalog. `name` is ours (what clients send, what metrics show); `upstream` is the provider's.
    `deadlines` None: those of its provider. Not `routed`: only who names it gets it, `auto` never does. `local`: on
    hardware of one's own, which no budget counts."""

    name: str
    provider: str
    upstream: str
    tier: Tier
    price: Price = FREE
    profile: Profile = field(default_factory=Profile)
    deadlines: Deadlines | None = None
    routed: bool = True
    local: bool = False

    @property
    def pinned_name(self) -> str:
        """The `provider/model` spelling."""
        return f"{self.provider}/{self.upstream}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """All the names by which a client or a configuration may mean this model."""
        return self.name, self.pinned_name, f"{self.provider}/{self.name}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every configured chat model, and why some of them cannot be used (provider name → reason)."""

    models: tuple[Model, ...]
    absent: Mapping[str, str] = field(default_factory=dict)
    _routed: tuple[Model, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_routed", tuple(model for model in self.present() if model.routed))

    def present(self) -> tuple[Model, ...]:
        return tuple(model for model in self.models if model.provider not in self.absent)

    def routed(self) -> tuple[Model, ...]:
        """What `auto` chooses from."""
        return self._routed

    def find(self, name: str) -> Model | None:
        """By catalog name, or by `provider/model` in either the catalog's or the provider's spelling."""
        for model in self.models:
            if name in model.spellings:
                return model
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """`resolved` goes into cache keys: the tier for `auto`, the model when pinned. `attempts` is never empty.

    `stand_ins` are the names of those that would cost less than the first and may answer in its place when a budget
    runs low: of what the router chose, never of a tier or model that was asked for. `turn` is what the conversation's
    next turn will find this one by, where the router is asked: on that turn too. `reviewed`: the answer is looked at
    before it is given, and a model of a higher tier is asked if it will not do.
    """

    attempts: tuple[Model, ...]
    resolved: str
    tier: Tier
    pinned: bool
    reasons: tuple[str, ...]
    stand_ins: frozenset[str] = frozenset()
    turn: Turn | None = None
    reviewed: bool = False
