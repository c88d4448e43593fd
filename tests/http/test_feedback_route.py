"""What a client says an answer was worth, read."""

from __future__ import annotations

import orjson
import pytest

from gateway.core.errors import InvalidRequest
from gateway.core.events import Rated
from gateway.http.feedback_route import read_feedback


def body(**fields: object) -> bytes:
    return orjson.dumps({"request_id": "req_1", "score": 1, **fields})


@pytest.mark.parametrize(
    ("said", "score", "verdict"),
    [(1, 1.0, "up"), (0, 0.0, "down"), (0.4, 0.4, "down"), ("up", 1.0, "up"), ("down", 0.0, "down")],
)
def test_a_score_is_a_number_or_a_thumb(said: object, score: float, verdict: str) -> None:
    rated = read_feedback(body(score=said), "search")
    assert (rated.score, rated.verdict) == (score, verdict)


def test_a_comment_is_accepted_and_not_kept() -> None:
    assert read_feedback(body(comment="my secret"), "search") == Rated("req_1", "search", 1.0, "up")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (body(score=1.5), "score"),
        (body(score=-0.1), "score"),
        (body(score=True), "score"),
        (body(score="great"), "score"),
        (b'{"request_id": "req_1"}', "score"),
        (body(request_id=""), "request_id"),
        (body(request_id=7), "request_id"),
        (body(request_id="x" * 129), "request_id"),
        (body(request_id="a\nb"), "request_id"),
        (body(rating=1), "rating"),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_what_is_wrong_is_named(wrong: bytes, field: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_feedback(wrong, "search")
    assert refused.value.param == field
