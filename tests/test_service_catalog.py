from __future__ import annotations

import hashlib
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.core.budget import Budget, Payer, counter_of
from gateway.core.ladder import Ladder
from gateway.core.limits import NO_LIMITS, Limits
from gateway.core.review import Terms
from gateway.core.service import CacheTerms, Service
from gateway.core.tiers import Tier
from gateway.core.window import WindowRule
from gateway.service_catalog import build_services, key_digests
from gateway.settings import Loaded, load
from gateway.yaml_source import ConfigError

ROOT = Path(__file__).parent.parent
LEAST = """\
providers:
  local: {kind: llamacpp, model: m}
models:
  m: {provider: local, tier: light, price: free}
"""
SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def loaded(file: Path, services: str, groups: str = "[]") -> Loaded:
    file.write_text(f"{LEAST}services: {services}\ngroups: {groups}\n")
    return load(file, {})


def service(file: Path, said: str, groups: str = "[]") -> Service:
    (only,) = build_services(loaded(file, f"[{{name: a, {said}}}]", groups)).values()
    return only


def budget(file: Path, said: str) -> Budget:
    (only,) = service(file, f"budget: {{{said}}}").budgets
    return only


def test_a_name_is_enough(file: Path) -> None:
    a = service(file, "key: k")
    assert a == Service("a", cache_scope="service:a", ledger_tag="a")
    assert a.payer == Payer("a", "a", (counter_of("a"),))


def test_a_service_is_what_the_configuration_says(file: Path) -> None:
    said = "models: [m, auto], tiers: [light], baseline_model: m, cache: {ttl_s: 9}, tags: {team: search, cost: '7'}"
    a = service(file, said)
    assert (a.models, a.tiers, a.baseline_model) == (frozenset({"m", "auto"}), frozenset({Tier.LIGHT}), "m")
    assert a.cache == CacheTerms(ttl_s=9)
    assert a.tags == {"team": "search", "cost": "7"}


def test_a_budget_is_a_month_of_utc_and_hard_unless_it_says_otherwise(file: Path) -> None:
    plain = budget(file, "usd: 0.000000001")
    assert plain == Budget("a", WindowRule("month", "calendar", UTC), None, 1, ladder=Ladder(0.8, 0.9, 1.0))
    assert (plain.hard, plain.away, plain.pace_burst, plain.rate) == (True, "closed", None, False)


def test_a_budget_is_all_that_it_says(file: Path) -> None:
    said = (
        "tokens: 5, usd: 2.5, window: week, time_zone: Europe/Berlin, ladder: {warn: 0.5, cheaper: null, local: 0.9}, "
        "pacing: {burst: 0.25}, when_unavailable: local"
    )
    rule = WindowRule("week", "calendar", ZoneInfo("Europe/Berlin"))
    ladder = Ladder(0.5, None, 0.9)
    assert budget(file, said) == Budget("a", rule, 5, 2_500_000_000, ladder=ladder, pace_burst=0.25, away="local")


def test_a_soft_budget_is_open_while_the_state_is_away(file: Path) -> None:
    soft = budget(file, "tokens: 5, enforcement: soft")
    assert (soft.hard, soft.away) == (False, "open")


@pytest.mark.parametrize("style", ["fixed", "sliding"])
def test_a_window_is_cut_as_its_style_says(file: Path, style: str) -> None:
    assert budget(file, f"tokens: 5, window: hour, style: {style}").rule.name == f"{style}-hour"


def test_one_budget_and_several_go_together(file: Path) -> None:
    a = service(
        file,
        "budget: {usd: 1, window: day}, budgets: [{usd: 9, window: week}, {tokens: 5, window: day, style: sliding}]",
    )
    assert [own.rule.name for own in a.budgets] == ["day", "week", "sliding-day"]


NESTED = (
    "[{name: team, group: acme, budgets: [{usd: 10}]}, {name: acme, budgets: [{usd: 90}, {tokens: 9, window: day}]}]"
)


def test_a_service_spends_from_its_own_budgets_and_then_from_those_of_its_groups_outward(file: Path) -> None:
    a = service(file, "group: team, budget: {usd: 1}", NESTED)
    assert [(own.account, own.rule.kind) for own in a.budgets] == [
        ("a", "month"),
        ("team", "month"),
        ("acme", "month"),
        ("acme", "day"),
    ]


def test_all_that_is_counted_together_is_kept_under_the_outermost_group(file: Path) -> None:
    services = "[{name: a, group: team}, {name: b, group: acme}, {name: c}]"
    tags = {name: found.payer.tag for name, found in build_services(loaded(file, services, NESTED)).items()}
    assert tags == {"a": "acme", "b": "acme", "c": "c"}


def test_tokens_a_minute_are_a_budget_that_is_refused_as_a_rate(file: Path) -> None:
    a = service(file, "limits: {tokens_per_minute: 500, requests_per_minute: 60, concurrency: 4}")
    (rate,) = a.budgets
    assert (rate.tokens, rate.rule.name, rate.rate, rate.away) == (500, "sliding-minute", True, "open")
    assert rate.ladder.level(0.99) is None
    assert a.limits == Limits(requests_per_minute=60, concurrency=4)


def test_without_limits_nothing_is_limited(file: Path) -> None:
    assert service(file, "key: k").limits == NO_LIMITS


@pytest.mark.parametrize(
    ("said", "terms"),
    [
        ("key: k", Terms()),
        ("review: off", Terms()),
        ("review: whole", Terms("whole")),
        ("review: {mode: off}", Terms()),
        (
            "review: {mode: buffered, without: [code, sums], min_logprob: -1.5, arithmetic: 0.95}",
            Terms("buffered", frozenset({"code", "sums"}), -1.5, 0.95),
        ),
    ],
)
def test_what_is_reviewed_is_said_by_its_mode_alone_or_in_full(file: Path, said: str, terms: Terms) -> None:
    assert service(file, said).review == terms


def test_a_service_that_says_nothing_is_reviewed_as_all_are(file: Path) -> None:
    both = "[{name: a, key: k}, {name: b, key: l, review: off}]"
    file.write_text(f"{LEAST}review: whole\nservices: {both}\n")
    services = build_services(load(file, {}))
    assert (services["a"].review.mode, services["b"].review.mode) == ("whole", "off")


@pytest.mark.parametrize("review", ["sometimes", "{mode: whole, without: [spelling]}", "{arithmetic: 0.5}"])
def test_a_review_that_there_is_not_is_refused_by_its_name(file: Path, review: str) -> None:
    with pytest.raises(ConfigError, match=r"services\.0\.review"):
        service(file, f"review: {review}")


def test_services_of_a_cache_group_share_answers_and_a_groups_name_reaches_into_no_service(file: Path) -> None:
    services = "[{name: a}, {name: b, cache_group: x}, {name: c, cache_group: x}, {name: d, cache_group: a}]"
    a, b, c, d = (found.cache_scope for found in build_services(loaded(file, services)).values())
    assert b == c
    assert len({a, b, d}) == 3


def test_every_key_of_the_configuration_is_kept_as_its_digest(file: Path) -> None:
    services = (
        f"[{{name: a, key: one, keys: [two, 'sha256:{SHA256}']}}, {{name: b, key_sha256: {'f' * 64}}}, {{name: c}}]"
    )
    one, two = (hashlib.sha256(key).hexdigest() for key in (b"one", b"two"))
    assert key_digests(loaded(file, services)) == {one: "a", two: "a", SHA256: "a", "f" * 64: "b"}


def test_the_shipped_configuration_has_no_services() -> None:
    shipped = load(ROOT / "config/gateway.yaml", {})
    assert not build_services(shipped)
    assert not key_digests(shipped)
