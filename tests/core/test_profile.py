"""Efforts and what depends on them."""

from __future__ import annotations

import pytest

from gateway.core.profile import EFFORTS, Profile, nearest_effort


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("none", "low"), ("minimal", "low"), ("low", "low"), ("medium", "high"), ("xhigh", "high"), ("max", "high")],
)
def test_an_effort_becomes_the_next_stronger_one_on_offer_or_the_strongest(asked: str, sent: str) -> None:
    assert nearest_effort(asked, ("low", "high")) == sent


def test_an_effort_that_is_offered_is_kept_and_an_unknown_one_is_none() -> None:
    assert [nearest_effort(effort, EFFORTS) for effort in EFFORTS] == list(EFFORTS)
    assert nearest_effort("utmost", EFFORTS) is None
    assert nearest_effort(None, EFFORTS) is None


def test_without_reasoning_is_by_wish_or_by_default() -> None:
    profile = Profile(sampling="without_reasoning")
    assert profile.takes(profile.sampling, "none")
    assert not profile.takes(profile.sampling, None)
    assert not profile.takes(profile.sampling, "low")
    quiet = Profile(sampling="without_reasoning", default_effort="none")
    assert quiet.takes(quiet.sampling, None)
    assert not quiet.takes(quiet.sampling, "low")
