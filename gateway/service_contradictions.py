"""What no single field of a service or a group can know: names, keys, groups and budgets that do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.model_settings import ModelSettings
from gateway.service_settings import BudgetSettings, GroupSettings, ServiceSettings, upward, zone_named
from gateway.yaml_source import KeyPath, Problem, Source

_ZONED = ("day", "week", "month")


def service_problems(
    services: Sequence[ServiceSettings],
    groups: Sequence[GroupSettings],
    models: Mapping[str, ModelSettings],
    source: Source,
) -> Iterator[Problem]:
    """Everything wrong with services and groups, each with its place and its mend."""
    accounts = list(_accounts(services, groups))
    yield from _name_problems(accounts, source)
    yield from _key_problems(services, source)
    for account in accounts:
        yield from _group_problems(account, groups, source)
        yield from _same_window_problems(account, source)
        for path, budget in account.budgets:
            yield from _budget_problems(account, path, budget, source)
    for at, service in enumerate(services):
        yield from _model_problems(at, service, models, source)


@dataclass(frozen=True, slots=True)
class _Account:
    """Whoever budgets belong to, and where it and they are written. `kind` is `service` or `group`."""

    kind: str
    path: KeyPath
    name: str
    group: str | None
    budgets: tuple[tuple[KeyPath, BudgetSettings], ...]
    token_rate: int | None = None

    def problem(self, source: Source, path: KeyPath, message: str, mend: str) -> Problem:
        return Problem(source.where(path), f"{self.kind} `{self.name}`: {message}", mend)

    def key(self, path: KeyPath) -> str:
        """A key of its own, as it is written below it: `budgets.1.ladder`."""
        return ".".join(map(str, path[len(self.path) :]))


def _accounts(services: Sequence[ServiceSettings], groups: Sequence[GroupSettings]) -> Iterator[_Account]:
    for at, group in enumerate(groups):
        yield _Account("group", ("groups", at), group.name, group.group, _listed(("groups", at), group.budgets))
    for at, service in enumerate(services):
        path: KeyPath = ("services", at)
        one = () if service.budget is None else (((*path, "budget"), service.budget),)
        budgets = (*one, *_listed(path, service.budgets))
        yield _Account("service", path, service.name, service.group, budgets, service.limits.tokens_per_minute)


def _listed(path: KeyPath, budgets: Sequence[BudgetSettings]) -> tuple[tuple[KeyPath, BudgetSettings], ...]:
    return tuple(((*path, "budgets", at), budget) for at, budget in enumerate(budgets))


def _name_problems(accounts: Sequence[_Account], source: Source) -> Iterator[Problem]:
    """Budgets are counted under their account's name, so no two accounts may have the same one."""
    kinds: dict[str, str] = {}
    for account in accounts:
        before = kinds.setdefault(account.name, account.kind)
        where = source.where(account.path)
        if before != account.kind:
            yield Problem(where, f"service `{account.name}` has the name of a group", "rename one of the two")
        elif account is not next(first for first in accounts if first.name == account.name):
            yield Problem(where, f"{account.kind} `{account.name}` is configured twice", "rename one")


def _key_problems(services: Sequence[ServiceSettings], source: Source) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for at, service in enumerate(services):
        for digest in service.digests:
            owner = owners.setdefault(digest, service.name)
            if owner != service.name:
                where = source.where(("services", at))
                yield Problem(where, f"service `{service.name}` has another service's key", "give each its own")


def _group_problems(account: _Account, groups: Sequence[GroupSettings], source: Source) -> Iterator[Problem]:
    if account.group is None:
        return
    path = (*account.path, "group")
    chain = upward(groups, account.group)
    if not chain:
        known = ", ".join(group.name for group in groups) or "none"
        yield account.problem(source, path, f"there is no group `{account.group}`", f"use one of `groups:` ({known})")
    elif account.kind == "group" and account.name in (group.name for group in chain):
        yield account.problem(source, path, "is in itself", "remove the circle of `group:`")


def _same_window_problems(account: _Account, source: Source) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for path, budget in account.budgets:
        if (budget.window, budget.style) in seen:
            words = f"`{account.key(path)}` is a second budget of {budget.style} {budget.window}s"
            yield account.problem(source, path, words, "make one of the two, with `tokens` and `usd`")
        seen.add((budget.window, budget.style))
    if account.token_rate is not None and ("minute", "sliding") in seen:
        path = (*account.path, "limits", "tokens_per_minute")
        words = "`limits.tokens_per_minute` and a budget of sliding minutes limit the same"
        yield account.problem(source, path, words, "remove one of the two")


def _budget_problems(account: _Account, path: KeyPath, budget: BudgetSettings, source: Source) -> Iterator[Problem]:
    def problem(key: str, words: str, mend: str) -> Problem:
        place = (*path, key) if key else path
        return account.problem(source, place, f"`{account.key(place)}` {words}", mend)

    if budget.tokens is None and budget.usd is None:
        yield problem("", "limits nothing", "add `tokens`, `usd` or both")
    rungs = budget.ladder.rungs
    if rungs != sorted(rungs):
        yield problem("ladder", "does not rise", "order it: warn <= cheaper <= local; null leaves a rung out")
    if budget.pacing is not None and (budget.style == "sliding" or budget.window == "minute"):
        yield problem("pacing", f"cannot be kept in {budget.style} {budget.window}s", "remove it, or use calendar days")
    if budget.enforcement == "soft" and budget.pacing is not None:
        yield problem("pacing", "has no effect on a soft budget, which refuses nothing", "remove it")
    if budget.enforcement == "soft" and budget.when_unavailable not in (None, "open"):
        yield problem("when_unavailable", "must be `open` for a soft budget, which refuses nothing", "remove it")
    if budget.time_zone is not None and (budget.style != "calendar" or budget.window not in _ZONED):
        words = f"has no effect on {budget.style} {budget.window}s"
        yield problem("time_zone", words, "remove it; calendar days, weeks and months have a time zone")
    if zone_named(budget.time_zone) is None:
        yield problem("time_zone", "is no time zone", "use a name of the IANA database, such as Europe/Berlin")


def _model_problems(
    at: int, service: ServiceSettings, models: Mapping[str, ModelSettings], source: Source
) -> Iterator[Problem]:
    path, words = ("services", at), f"service `{service.name}`"
    unknown = [name for name in service.models or [] if not _is_askable(name, models)]
    if unknown:
        where = source.where((*path, "models"))
        yield Problem(where, f"{words}: no model {', '.join(unknown)}", "use names from `models:`")
    if service.baseline_model is not None and service.baseline_model not in models:
        where = source.where((*path, "baseline_model"))
        yield Problem(where, f"{words}: no `baseline_model` {service.baseline_model}", "see `models:`")
    routed = {model.tier for model in models.values() if model.mode == "chat" and model.routed}
    if service.tiers is not None and routed.isdisjoint(service.tiers):
        where = source.where((*path, "tiers"))
        mend = "add a tier, or a model of one of these with `routed: true`"
        yield Problem(where, f"{words}: `auto` has no model of `tiers` {', '.join(service.tiers)}", mend)


def _is_askable(name: str, models: Mapping[str, ModelSettings]) -> bool:
    if name.partition(":")[0] == "auto" or name in models:
        return True
    provider, _, upstream = name.partition("/")
    return any(model.provider == provider and upstream in (key, model.upstream) for key, model in models.items())
