from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.core.options import DEFAULT, Options, parse_options
from gateway.core.tiers import Tier


def from_headers(**headers: str) -> Options:
    return parse_options({f"x-thriftgate-{name.replace('_', '-')}": value for name, value in headers.items()}, {})


def from_body(field: object) -> Options:
    return parse_options({}, {"thriftgate": field})


def test_nothing_said_is_the_default() -> None:
    assert parse_options({"content-type": "application/json"}, {"model": "auto"}) is DEFAULT
    assert parse_options({}, "not even an object") is DEFAULT


def test_everything_can_be_said_in_headers() -> None:
    said = from_headers(
        cache="read-only",
        cache_ttl="60",
        cache_namespace="blue",
        cache_threshold="0.97",
        tier="heavy",
        no_fallback="true",
    )
    assert said == Options("read-only", 60, "blue", 0.97, Tier.HEAVY, fallback=False)


def test_everything_can_be_said_in_the_body() -> None:
    cache = {"mode": "read-only", "ttl": 60, "namespace": "blue", "threshold": 0.97}
    said = from_body({"cache": cache, "tier": "heavy", "no_fallback": True})
    assert said == Options("read-only", 60, "blue", 0.97, Tier.HEAVY, fallback=False)


def test_the_cache_mode_may_stand_alone_in_the_body() -> None:
    assert from_body({"cache": "off"}).cache == "off"


def test_a_header_wins_over_the_body() -> None:
    said = parse_options({"x-thriftgate-tier": "light"}, {"thriftgate": {"tier": "heavy", "no_fallback": True}})
    assert (said.tier, said.fallback) == (Tier.LIGHT, False)


def test_keeping_tool_calls_is_said_in_a_header_or_in_the_body() -> None:
    assert from_headers(cache_tools="true").tools
    assert from_body({"cache": {"tools": True}}).tools
    assert not from_headers(cache_tools="false").tools


def test_a_timeout_is_seconds_in_a_header_or_in_the_body() -> None:
    assert from_headers(timeout="2.5").timeout_s == 2.5
    assert from_body({"timeout_s": 30}).timeout_s == 30
    with pytest.raises(InvalidRequest, match="x-thriftgate-timeout"):
        from_headers(timeout="nan")


def test_strict_is_said_in_a_header_or_in_the_body() -> None:
    assert parse_options({"x-thriftgate-strict": "true"}, {}).strict
    assert parse_options({}, {"thriftgate": {"strict": True}}).strict
    assert not parse_options({"x-thriftgate-strict": "false"}, {"thriftgate": {"strict": True}}).strict


@pytest.mark.parametrize(
    ("value", "mode"),
    [("no-store", "off"), ("no-cache", "refresh"), ("No-Cache, max-age=0", "refresh"), ("max-age=60", "on")],
)
def test_cache_control_is_understood_as_http_has_it(value: str, mode: str) -> None:
    assert parse_options({"cache-control": value}, {}).cache == mode


def test_the_gateways_own_header_wins_over_cache_control() -> None:
    assert parse_options({"cache-control": "no-store", "x-thriftgate-cache": "on"}, {}).cache == "on"


@pytest.mark.parametrize(
    ("mode", "reads", "writes"),
    [("on", True, True), ("off", False, False), ("refresh", False, True), ("read-only", True, False)],
)
def test_a_cache_mode_says_what_is_read_and_written(mode: str, reads: bool, writes: bool) -> None:
    said = from_headers(cache=mode)
    assert (said.reads_cache, said.writes_cache) == (reads, writes)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("cache", "maybe"),
        ("cache-ttl", "0"),
        ("cache-ttl", "-5"),
        ("cache-ttl", "1.5"),
        ("cache-ttl", ""),
        ("cache-ttl", "٣"),
        ("cache-ttl", "31536001"),
        ("cache-ttl", "00000000019999999999"),
        ("cache-ttl", "9" * 5_000),
        ("cache-namespace", "n" * 129),
        ("cache-threshold", "1.01"),
        ("cache-threshold", "-0.1"),
        ("cache-threshold", "nan"),
        ("cache-threshold", "high"),
        ("tier", "huge"),
        ("no-fallback", "yes"),
        ("strict", "yes"),
    ],
)
def test_a_wrong_header_is_named(header: str, value: str) -> None:
    name = f"x-thriftgate-{header}"
    with pytest.raises(InvalidRequest) as caught:
        parse_options({name: value}, {})
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("off", "thriftgate"),
        (["off"], "thriftgate"),
        ({"cache": 1}, "thriftgate.cache"),
        ({"cache": {"mode": []}}, "thriftgate.cache.mode"),
        ({"cache": {"ttl": True}}, "thriftgate.cache.ttl"),
        ({"cache": {"ttl": 60.0}}, "thriftgate.cache.ttl"),
        ({"cache": {"namespace": 7}}, "thriftgate.cache.namespace"),
        ({"cache": {"threshold": True}}, "thriftgate.cache.threshold"),
        ({"cache": {"threshold": [0.9]}}, "thriftgate.cache.threshold"),
        ({"cache": {"threshold": 10**400}}, "thriftgate.cache.threshold"),
        ({"tier": {}}, "thriftgate.tier"),
        ({"timeout_s": 0}, "thriftgate.timeout_s"),
        ({"timeout_s": True}, "thriftgate.timeout_s"),
        ({"timeout_s": 1e9}, "thriftgate.timeout_s"),
        ({"timeout_s": 10**400}, "thriftgate.timeout_s"),
        ({"timeout_s": []}, "thriftgate.timeout_s"),
        ({"no_fallback": 1}, "thriftgate.no_fallback"),
        ({"strict": "maybe"}, "thriftgate.strict"),
        ({"no_fallback": []}, "thriftgate.no_fallback"),
    ],
)
def test_a_wrong_field_is_named(field: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        from_body(field)
    assert caught.value.param == param


@given(st.integers())
def test_a_time_to_live_is_at_least_a_second_and_at_most_a_year(ttl_s: int) -> None:
    try:
        assert from_headers(cache_ttl=str(ttl_s)).ttl_s == ttl_s
        accepted = True
    except InvalidRequest:
        accepted = False
    assert accepted == (1 <= ttl_s <= 31_536_000)
