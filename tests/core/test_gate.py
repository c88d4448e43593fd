from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import Breaker
from gateway.core.errors import (
    UpstreamAuth,
    UpstreamContextLength,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamQueued,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamSchemaMismatch,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.core.gate import Gate, says_ill, says_well

ILL = [
    UpstreamUnreachable("x"),
    UpstreamTimeout("x"),
    UpstreamCut("x"),
    UpstreamMalformed("x"),
    UpstreamError("x", upstream_status=500),
    UpstreamOverloaded("x", upstream_status=529),
]
ABOUT_THE_REQUEST = [
    UpstreamRejected("x", upstream_status=400),
    UpstreamContextLength("x", upstream_status=400),
    UpstreamRateLimited("x", upstream_status=429),
    UpstreamAuth("x", upstream_status=401),
    UpstreamOverloaded("our account is empty", upstream_status=402),
    UpstreamSchemaMismatch("x"),
    UpstreamQueued("no slot came free"),
]


def gate(failures: int = 3, open_s: float = 10.0) -> Gate:
    return Gate(Breaker(failures, open_s))


@pytest.mark.parametrize("error", ILL, ids=lambda error: type(error).__name__)
def test_failures_of_the_service_open_it(error: UpstreamError) -> None:
    tried = gate()
    assert [tried.failed(error, 0.0) for _ in range(3)] == [False, False, True]
    refusal = tried.refusal(4.0)
    assert refusal is not None
    assert (refusal.status, refusal.retry_after_s, refusal.asked) == (503, 6.0, False)


@pytest.mark.parametrize("error", ABOUT_THE_REQUEST, ids=lambda error: type(error).__name__)
def test_what_is_about_the_request_never_does(error: UpstreamError) -> None:
    tried = gate()
    assert not any(tried.failed(error, 0.0) for _ in range(100))
    assert tried.refusal(0.0) is None


def test_a_pause_is_the_providers_own_error_with_the_time_that_is_left() -> None:
    tried = gate()
    tried.failed(UpstreamRateLimited("The provider's rate limit is reached.", retry_after_s=7.0), 100.0)
    refusal = tried.refusal(105.0)
    assert isinstance(refusal, UpstreamRateLimited)
    assert (refusal.message, refusal.retry_after_s) == ("The provider's rate limit is reached.", 2.0)
    assert tried.refusal(107.0) is None


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    tried = gate()
    tried.failed(UpstreamRateLimited("x", retry_after_s=30.0), 0.0)
    tried.failed(UpstreamRateLimited("x", retry_after_s=1.0), 0.0)
    assert tried.refusal(29.0) is not None


def test_half_open_it_lets_one_through() -> None:
    tried = gate(failures=1)
    tried.failed(UpstreamCut("x"), 0.0)
    assert tried.refusal(10.0) is None
    tried.enter(10.0)
    assert tried.refusal(10.0) is not None


def test_the_first_token_of_the_probe_closes_it_and_says_so_once() -> None:
    tried = gate(failures=1)
    tried.failed(UpstreamCut("x"), 0.0)
    tried.enter(10.0)
    assert [tried.answered(), tried.answered()] == [True, False]
    assert tried.refusal(10.0) is None


def test_a_whole_answer_starts_the_count_again_and_a_begun_one_does_not() -> None:
    tried = gate(failures=2)
    tried.failed(UpstreamCut("x"), 0.0)
    tried.ended()
    assert not tried.failed(UpstreamCut("x"), 0.0)
    tried.answered()
    assert tried.failed(UpstreamCut("x"), 0.0)


def test_an_answer_that_began_long_ago_does_not_close_it() -> None:
    tried = gate(failures=1)
    tried.failed(UpstreamCut("x"), 0.0)
    tried.ended()
    assert tried.refusal(0.0) is not None


@given(st.lists(st.tuples(st.floats(0, 20), st.none() | st.floats(0.01, 30)), max_size=40), st.floats(0, 30))
def test_nothing_goes_before_any_moment_that_the_provider_has_named(
    refusals: list[tuple[float, float | None]], later_s: float
) -> None:
    tried = gate()
    now_s, earliest_s = 0.0, 0.0
    for wait_s, retry_after_s in refusals:
        now_s += wait_s
        tried.failed(UpstreamRateLimited("x", retry_after_s=retry_after_s), now_s)
        earliest_s = max(earliest_s, now_s + (retry_after_s or 0.0))
    refusal = tried.refusal(now_s + later_s)
    assert (refusal is None) == (now_s + later_s >= earliest_s)
    if refusal is not None:
        assert refusal.retry_after_s == pytest.approx(earliest_s - now_s - later_s)


def test_every_error_without_a_status_that_is_not_the_requests_is_the_services() -> None:
    assert all(says_ill(error) for error in ILL)
    assert not any(says_ill(error) for error in ABOUT_THE_REQUEST)


@pytest.mark.parametrize("error", ABOUT_THE_REQUEST, ids=lambda error: type(error).__name__)
def test_a_refusal_with_a_status_is_the_answer_of_a_service_that_works(error: UpstreamError) -> None:
    assert says_well(error) == (error.upstream_status is not None)


@pytest.mark.parametrize("error", ILL, ids=lambda error: type(error).__name__)
def test_no_failure_of_the_service_says_that_it_works(error: UpstreamError) -> None:
    assert not says_well(error)
