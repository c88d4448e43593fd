"""What workers tell each other arrives as it was said."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.child_process import ChildNotReady
from gateway.adapters.lent_model import LentModel, ModelState, read_states, write_states
from gateway.adapters.shared_index import SharedIndex
from gateway.adapters.siblings import Learned, NoSiblings, kind_of
from gateway.core.seat import Seat
from gateway.ports import Match, Vector

WORDS = st.text(st.characters(exclude_categories=["Cs"]))
QUESTIONS = st.builds(Learned, WORDS, st.lists(st.floats(-1, 1, width=32)), WORDS, WORDS, st.integers(1, 10**7), WORDS)
LOADING = ModelState("smol", None, "key", 1, "loading smol")
READY = ModelState("smol", "http://127.0.0.1:1/v1", "key", 4, None)


class OneQuestion:
    """A `ports.SemanticIndex` that remembers the last question."""

    def __init__(self) -> None:
        self.stored: tuple[str, str] | None = None

    async def nearest(self, scope: str, vector: Vector, threshold: float) -> Match | None:
        return Match(self.stored[0], self.stored[1], 1.0) if self.stored else None

    async def add(self, scope: str, vector: Vector, key: str, text: str, ttl_s: int, owner: str = "") -> bool:
        self.stored = key, text
        return True

    async def forget(self, owner: str | None = None, key: str | None = None) -> bool:
        self.stored = None
        return True


@given(QUESTIONS)
def test_a_question_arrives_as_it_was_stored(question: Learned) -> None:
    assert Learned.of(*question.parts()) == question


def test_there_are_two_kinds_of_snapshots() -> None:
    assert [kind_of(b"metrics"), kind_of(b"tally")] == ["metrics", "tally"]
    with pytest.raises(ValueError, match="secrets"):
        kind_of(b"secrets")


async def test_what_one_worker_stores_the_others_find() -> None:
    heard: list[Learned] = []
    here, there = SharedIndex(OneQuestion(), heard.append), OneQuestion()
    elsewhere = SharedIndex(there, lambda told: pytest.fail("what was told is not told again"))
    assert await here.add("scope", [0.5, 0.25], "key", "text", 60, "owner")
    (told,) = heard
    await elsewhere.learn(Learned.of(*told.parts()))
    assert await elsewhere.nearest("scope", [0.5, 0.25], 0.9) == Match("key", "text", 1.0)
    assert await elsewhere.forget()
    assert there.stored is None


async def test_a_lent_model_is_ready_when_its_owner_says_so() -> None:
    model = LentModel(read_states(write_states({"local": LOADING}))["local"], Seat(0, 2))
    waiting = asyncio.ensure_future(model.wait_ready(60.0))
    await asyncio.sleep(0)
    assert (model.waiting_for, model.base_url) == ("loading smol", None)
    model.hear(READY)
    await waiting
    assert (model.waiting_for, model.base_url, model.total_slots) == (None, READY.base_url, 2)
    model.hear(LOADING)
    with pytest.raises(ChildNotReady, match="loading smol"):
        await model.wait_ready(0.01)


async def test_a_gateway_of_one_process_has_nobody_to_ask() -> None:
    alone = NoSiblings()
    assert (await alone.snapshots("metrics"), await alone.forget(None, None)) == ((), True)
    assert alone.serving is None
