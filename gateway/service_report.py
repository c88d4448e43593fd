"""Services as `thriftgate check` tells them: what each may ask for, how often, and what it may spend, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.core.budget import Budget
from gateway.core.pricing import from_nano
from gateway.core.review import CHECKS, Terms
from gateway.core.service import Service
from gateway.core.service_key import ServiceKey
from gateway.core.tiers import Tier
from gateway.core.window import WindowRule

_FIXED = {"minute": "60 s", "hour": "60 minutes", "day": "24 hours", "week": "7 days", "month": "30 days"}
_AWAY = {"closed": "refused", "local": "served from what was put aside", "open": "not limited"}


def services_in_words(
    services: Mapping[str, Service], digests: Mapping[str, str], minted: Sequence[ServiceKey], now_s: float
) -> Iterator[str]:
    """A headline for each service, and below it a line for each limit and budget."""
    for service in services.values():
        yield f"service {service.name}: {_keys(service, digests, minted, now_s)}; {_models(service)}"
        if service.policy.wants_forecast:
            yield f"    routing by {service.policy}"
        yield from (f"    {line}" for line in _limits(service))


def budget_in_words(budget: Budget) -> str:
    """`5,000,000 tokens and $20 a day (Europe/Berlin), told at 80 %, cheaper models at 90 %`."""
    words = [f"{_sums(budget)} {_window(budget.rule)}", *_ladder(budget)]
    if budget.pace_burst is not None:
        words.append(f"{_percent(budget.pace_burst)} at once and the rest evenly")
    if not budget.hard:
        words.append("soft: counted and never refused")
    elif budget.away != "closed":
        words.append(f"{_AWAY[budget.away]} while the state is away")
    return ", ".join(words)


def _keys(service: Service, digests: Mapping[str, str], minted: Sequence[ServiceKey], now_s: float) -> str:
    written = sum(name == service.name for name in digests.values())
    made = sum(key.service == service.name and key.lapse(now_s) is None for key in minted)
    counted = [_count(written, "key in the configuration", "keys in the configuration")] if written else []
    counted += [_count(made, "minted key", "minted keys")] if made else []
    return " and ".join(counted) or f"no key yet (`thriftgate keys create {service.name}`)"


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _models(service: Service) -> str:
    asked = "every model" if service.models is None else ", ".join(sorted(service.models)) or "no model"
    if service.tiers is None:
        return asked
    return f"{asked}; auto: {', '.join(tier for tier in Tier if tier in service.tiers)}"


def _limits(service: Service) -> Iterator[str]:
    limits = service.limits
    if limits.requests_per_minute is not None:
        yield f"{limits.requests_per_minute:,} requests in any minute"
    if limits.concurrency is not None:
        yield f"{limits.concurrency:,} requests at once"
    if service.review.mode != "off":
        yield review_in_words(service.review)
    for budget in service.budgets:
        owner = "" if budget.account == service.name else f"with group {budget.account}: "
        yield owner + budget_in_words(budget)
    if not any(budget.hard for budget in service.budgets if not budget.rate):
        yield "no budget that refuses"


def review_in_words(terms: Terms) -> str:
    """`light answers of auto reviewed (streamed ones wait for it), without code, worked sums to 95 % of …`."""
    if terms.mode == "off":
        return "no answer is reviewed"
    words = "light answers of auto reviewed"
    if terms.mode == "buffered":
        words += " (streamed ones wait for it)"
    if terms.without:
        words += ", without " + ", ".join(check for check in CHECKS if check in terms.without)
    if terms.arithmetic is not None:
        words += f", worked sums to {_percent(terms.arithmetic)} of a strong model's quality"
    return words


def _sums(budget: Budget) -> str:
    tokens = [] if budget.tokens is None else [f"{budget.tokens:,} tokens"]
    return " and ".join([*tokens, *([] if budget.nano_usd is None else [f"${from_nano(budget.nano_usd):f}"])])


def _window(rule: WindowRule) -> str:
    if rule.style == "fixed":
        return f"every {_FIXED[rule.kind]}"
    if rule.style == "sliding":
        return f"in any {_FIXED[rule.kind]}"
    zone = "" if str(rule.zone) == "UTC" else f" ({rule.zone})"
    return f"{'an' if rule.kind == 'hour' else 'a'} {rule.kind}{zone}"


def _ladder(budget: Budget) -> Iterator[str]:
    """What a soft budget does not guard, its ladder does not either: only the telling is left."""
    ladder = budget.ladder
    rungs = {"told": ladder.warn}
    if budget.hard:
        rungs |= {"cheaper models": ladder.cheaper, "local models only": ladder.local}
    for words, share in rungs.items():
        if share is not None:
            yield f"{words} at {_percent(share)}"


def _percent(share: float) -> str:
    return f"{share * 100:g} %"
