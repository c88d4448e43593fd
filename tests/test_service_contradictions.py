from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import load
from gateway.yaml_source import ConfigError, Problem

LEAST = """\
providers:
  local: {kind: llamacpp, model: m}
models:
  m: {provider: local, tier: light, price: free}
  n: {provider: local, tier: heavy, price: free, routed: false}
"""
SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def problems(file: Path, *lines: str) -> tuple[Problem, ...]:
    file.write_text(LEAST + "\n".join(lines) + "\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    return caught.value.problems


def told(file: Path, *lines: str) -> Problem:
    (only,) = problems(file, *lines)
    assert only.where == f"{file}:{5 + len(lines)}", "the last line is the wrong one"
    assert only.mend
    return only


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("group: nobody", "there is no group `nobody`"),
        ("models: [auto, gpt-7]", "no model gpt-7"),
        ("models: [local/x]", "no model local/x"),
        ("baseline_model: gpt-7", "no `baseline_model` gpt-7"),
        ("tiers: [medium]", "`auto` has no model of `tiers` medium"),
        ("tiers: [heavy]", "`auto` has no model of `tiers` heavy"),
        ("budget: {}", "`budget` limits nothing"),
        ("budget: {window: day}", "`budget` limits nothing"),
        ("budget: {usd: 1, ladder: {warn: 0.95}}", "`budget.ladder` does not rise"),
        ("budget: {usd: 1, ladder: {cheaper: null, local: 0.5}}", "`budget.ladder` does not rise"),
        (
            "budget: {usd: 1, window: minute, pacing: {burst: 0.1}}",
            "`budget.pacing` cannot be kept in calendar minutes",
        ),
        ("budget: {usd: 1, style: sliding, pacing: {burst: 0.1}}", "`budget.pacing` cannot be kept in sliding months"),
        ("budget: {usd: 1, enforcement: soft, pacing: {burst: 0.1}}", "`budget.pacing` has no effect on a soft budget"),
        ("budget: {usd: 1, enforcement: soft, when_unavailable: closed}", "`budget.when_unavailable` must be `open`"),
        ("budget: {usd: 1, time_zone: Europe/Berln}", "`budget.time_zone` is no time zone"),
        ("budget: {usd: 1, time_zone: Europe}", "`budget.time_zone` is no time zone"),
        ("budget: {usd: 1, time_zone: ../../etc/passwd}", "`budget.time_zone` is no time zone"),
        ("budget: {usd: 1, time_zone: ''}", "`budget.time_zone` is no time zone"),
        (
            "budget: {usd: 1, style: fixed, time_zone: Europe/Berlin}",
            "`budget.time_zone` has no effect on fixed months",
        ),
        ("budget: {usd: 1, window: hour, time_zone: Asia/Kolkata}", "no effect on calendar hours"),
        ("budgets: [{usd: 1}, {tokens: 5}]", "`budgets.1` is a second budget of calendar months"),
        ("budget: {usd: 1}, budgets: [{tokens: 5}]", "`budgets.0` is a second budget of calendar months"),
        ("budgets: [{usd: 1, time_zone: Asia/Tokyo}, {usd: 1}]", "`budgets.1` is a second budget"),
        (
            "limits: {tokens_per_minute: 5}, budgets: [{tokens: 9, window: minute, style: sliding}]",
            "`limits.tokens_per_minute` and a budget of sliding minutes limit the same",
        ),
    ],
)
def test_what_does_not_go_together_in_a_service_is_told(file: Path, service: str, message: str) -> None:
    found = told(file, f"services: [{{name: a, {service}}}]")
    assert found.message.startswith("service `a`: ")
    assert message in found.message


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("group: nobody", "there is no group `nobody`"),
        ("group: g", "is in itself"),
        ("budgets: [{window: day}]", "`budgets.0` limits nothing"),
        ("budgets: [{usd: 1}, {usd: 2}]", "`budgets.1` is a second budget of calendar months"),
        ("budgets: [{usd: 1, time_zone: nowhere}]", "`budgets.0.time_zone` is no time zone"),
    ],
)
def test_what_does_not_go_together_in_a_group_is_told(file: Path, group: str, message: str) -> None:
    found = told(file, f"groups: [{{name: g, {group}}}]")
    assert found.message.startswith("group `g`: ")
    assert message in found.message


def test_the_line_of_the_wrong_setting_is_told(file: Path) -> None:
    lines = [
        "services:",
        "- name: a",
        "  budgets:",
        "  - usd: 1",
        "    window: week",
        "  - usd: 9",
        "    time_zone: nowhere",
    ]
    assert "`budgets.1.time_zone`" in told(file, *lines).message


def test_every_group_of_a_circle_is_told(file: Path) -> None:
    circle = "groups: [{name: g, group: h}, {name: h, group: i}, {name: i, group: g}, {name: outside, group: g}]"
    found = problems(file, circle, "services: [{name: a, group: outside}]")
    assert [problem.message for problem in found] == [f"group `{name}`: is in itself" for name in "ghi"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["services: [{name: a}, {name: a}]"], "service `a` is configured twice"),
        (["groups: [{name: a}, {name: a}]"], "group `a` is configured twice"),
        (["groups: [{name: a}]", "services: [{name: a}]"], "service `a` has the name of a group"),
    ],
)
def test_no_two_accounts_have_the_same_name(file: Path, lines: list[str], message: str) -> None:
    assert told(file, *lines).message == message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("key: k", "keys: [j, k]"),
        (f"key_sha256: {SHA256}", f"keys: ['sha256:{SHA256}']"),
        ("keys: [k]", "keys: [k]"),
    ],
)
def test_no_two_services_have_the_same_key(file: Path, first: str, second: str) -> None:
    found = told(file, f"services: [{{name: a, {first}}}, {{name: b, {second}}}]")
    assert found.message == "service `b` has another service's key"


def test_a_service_may_write_a_key_twice(file: Path) -> None:
    file.write_text(LEAST + "services: [{name: a, key: k, keys: [k]}]\n")
    assert len(set(load(file, {}).settings.services[0].digests)) == 1


def test_what_does_go_together_is_taken(file: Path) -> None:
    file.write_text(
        LEAST
        + """\
groups:
- {name: acme, budgets: [{usd: 2000, time_zone: Europe/Berlin, pacing: {burst: 0.1}}]}
- {name: team, group: acme, budgets: [{usd: 90, window: day, time_zone: UTC}, {usd: 90, window: day, style: sliding}]}
services:
- name: a
  group: team
  tiers: [light, medium]
  limits: {tokens_per_minute: 5}
  budget: {tokens: 5, window: minute, when_unavailable: local}
  budgets: [{usd: 1, enforcement: soft, when_unavailable: open, ladder: {warn: 0.9, cheaper: null, local: 0.9}}]
"""
    )
    assert len(load(file, {}).settings.groups) == 2
