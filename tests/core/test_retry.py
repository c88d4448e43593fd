from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import (
    UpstreamAuth,
    UpstreamContextLength,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.core.retry import Again, Leave, RetryPolicy, after_failure

POLICY = RetryPolicy(per_model=3, base_s=0.25, cap_s=2.0)
PASSING = (UpstreamUnreachable, UpstreamOverloaded, UpstreamMalformed, UpstreamCut)
KINDS = (*PASSING, UpstreamAuth, UpstreamContextLength, UpstreamRateLimited, UpstreamRejected, UpstreamTimeout)


def after(
    error: UpstreamError,
    tried: int = 1,
    fallbacks: int = 0,
    hosts: int = 0,
    jitter: float = 0.5,
    policy: RetryPolicy = POLICY,
) -> Again | Leave:
    return after_failure(policy, error, tried, fallbacks, hosts, jitter)


@pytest.mark.parametrize("kind", PASSING)
def test_what_may_pass_is_asked_again(kind: type[UpstreamError]) -> None:
    assert after(kind("x"), fallbacks=1) == Again(0.125)


def test_waits_double_up_to_the_cap() -> None:
    patient = RetryPolicy(per_model=9, base_s=0.25, cap_s=2.0)
    waits = [after(UpstreamCut("x"), tried, jitter=1.0, policy=patient) for tried in range(1, 7)]
    assert waits == [Again(0.25), Again(0.5), Again(1.0), Again(2.0), Again(2.0), Again(2.0)]


def test_after_the_last_attempt_comes_the_next_model() -> None:
    assert after(UpstreamCut("x"), tried=3) == Leave()


def test_what_the_provider_refuses_is_not_asked_again() -> None:
    assert after(UpstreamRejected("x"), fallbacks=5) == Leave()


@pytest.mark.parametrize("kind", [*PASSING, UpstreamAuth, UpstreamRateLimited, UpstreamTimeout])
def test_another_host_is_asked_at_once_however_often_the_model_was_tried(kind: type[UpstreamError]) -> None:
    assert after(kind("x", retry_after_s=60), tried=9, fallbacks=1, hosts=1) == Again(0.0)


@pytest.mark.parametrize("kind", [UpstreamRejected, UpstreamContextLength])
def test_what_is_about_the_request_no_other_host_is_asked(kind: type[UpstreamError]) -> None:
    assert after(kind("x"), hosts=1) == Leave()


@pytest.mark.parametrize("kind", [UpstreamContextLength, UpstreamAuth])
def test_what_only_this_model_cannot_do_goes_to_the_next(kind: type[UpstreamError]) -> None:
    assert after(kind("x"), fallbacks=1) == Leave()


@pytest.mark.parametrize("kind", [UpstreamRateLimited, UpstreamTimeout])
def test_a_slow_model_is_left_at_once_for_another(kind: type[UpstreamError]) -> None:
    assert after(kind("x"), fallbacks=1) == Leave()
    assert after(kind("x"), fallbacks=0) == Again(0.125)


def test_a_providers_own_word_is_obeyed() -> None:
    assert after(UpstreamOverloaded("x", retry_after_s=1.5)) == Again(1.625)


def test_a_provider_that_asks_for_too_long_is_not_asked_again() -> None:
    assert after(UpstreamOverloaded("x", retry_after_s=2.1)) == Leave()


@given(
    st.sampled_from(KINDS),
    st.none() | st.floats(0, 100),
    st.integers(1, 12),
    st.integers(0, 3),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_shorter_than_told_nor_longer_than_twice_the_cap(
    kind: type[UpstreamError], retry_after_s: float | None, tried: int, fallbacks: int, jitter: float
) -> None:
    step = after(kind("x", retry_after_s=retry_after_s), tried, fallbacks, 0, jitter)
    if isinstance(step, Again):
        assert tried < POLICY.per_model
        assert (retry_after_s or 0) <= step.after_s <= 2 * POLICY.cap_s
