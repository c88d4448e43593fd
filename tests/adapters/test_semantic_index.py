"""One contract, held against both indexes."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from gateway.adapters.edge_index import EdgeIndex
from gateway.adapters.qdrant_index import QdrantIndex
from gateway.ports import SemanticIndex
from tests.fixtures.semantic import EventList, HandClock

EAST, NEARLY_EAST, NORTH = [1.0, 0.0, 0.0, 0.0], [0.99, 0.1, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]


@pytest.fixture(params=["edge", "qdrant"])
async def index(
    request: pytest.FixtureRequest, tmp_path: Path, hand_clock: HandClock, told: EventList
) -> AsyncIterator[SemanticIndex]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)  # true of `:memory:` only
        made: EdgeIndex | QdrantIndex
        if request.param == "edge":
            made = EdgeIndex(tmp_path, engine="test", dimensions=4, observer=told, clock=hand_clock)
        else:
            client = AsyncQdrantClient(":memory:")
            made = QdrantIndex(client, engine="test", dimensions=4, observer=told, clock=hand_clock, timeout_s=5.0)
        await made.start()
        yield made
        await made.stop()
    assert told.events == []  # nothing in this file breaks an index


async def test_an_empty_index_has_nothing_near(index: SemanticIndex) -> None:
    assert await index.nearest("scope", EAST, 0.5) is None


async def test_what_was_added_is_found_with_its_key_text_and_cosine(index: SemanticIndex) -> None:
    await index.add("scope", EAST, "key", "Where is the sunrise?", 60)
    found = await index.nearest("scope", NEARLY_EAST, 0.95)
    assert found is not None
    assert (found.key, found.text) == ("key", "Where is the sunrise?")
    assert found.similarity == pytest.approx(0.99494, abs=1e-4)


async def test_nothing_under_the_threshold_is_found(index: SemanticIndex) -> None:
    await index.add("scope", EAST, "key", "text", 60)
    assert await index.nearest("scope", NEARLY_EAST, 0.999) is None
    assert await index.nearest("scope", NORTH, 0.5) is None


async def test_the_nearest_of_several_is_found(index: SemanticIndex) -> None:
    await index.add("scope", NORTH, "north", "text", 60)
    await index.add("scope", NEARLY_EAST, "near", "text", 60)
    await index.add("scope", EAST, "east", "text", 60)
    found = await index.nearest("scope", EAST, 0.5)
    assert found is not None
    assert found.key == "east"


async def test_another_scope_is_never_seen(index: SemanticIndex) -> None:
    await index.add("mine", EAST, "key", "text", 60)
    assert await index.nearest("theirs", EAST, 0.0) is None
    assert await index.nearest("min", EAST, 0.0) is None
    assert await index.nearest("mine ", EAST, 0.0) is None


async def test_one_key_in_two_scopes_is_two_entries(index: SemanticIndex) -> None:
    await index.add("mine", EAST, "key", "my text", 60)
    await index.add("theirs", EAST, "key", "their text", 60)
    mine, theirs = await index.nearest("mine", EAST, 0.9), await index.nearest("theirs", EAST, 0.9)
    assert mine is not None
    assert theirs is not None
    assert (mine.text, theirs.text) == ("my text", "their text")


async def test_adding_a_key_again_replaces_it(index: SemanticIndex) -> None:
    await index.add("scope", EAST, "key", "old", 60)
    await index.add("scope", NORTH, "key", "new", 60)
    assert await index.nearest("scope", EAST, 0.9) is None
    found = await index.nearest("scope", NORTH, 0.9)
    assert found is not None
    assert found.text == "new"


async def test_an_expired_question_is_not_found(index: SemanticIndex, hand_clock: HandClock) -> None:
    await index.add("scope", EAST, "short", "text", 60)
    await index.add("scope", NEARLY_EAST, "long", "text", 600)
    hand_clock.now_s += 61
    found = await index.nearest("scope", EAST, 0.9)
    assert found is not None
    assert found.key == "long"


async def owned(index: SemanticIndex) -> None:
    for owner in ("a", "b"):
        await index.add(f"scope of {owner}", EAST, f"east of {owner}", "text", 60, owner)
        await index.add(f"scope of {owner}", NORTH, f"north of {owner}", "text", 60, owner)


async def left(index: SemanticIndex) -> list[str]:
    found = [await index.nearest(f"scope of {owner}", vector, 0.9) for owner in "ab" for vector in (EAST, NORTH)]
    return [match.key for match in found if match]


async def test_an_owners_questions_are_forgotten_and_no_others(index: SemanticIndex) -> None:
    await owned(index)
    assert await index.forget("a")
    assert await left(index) == ["east of b", "north of b"]


async def test_one_question_is_forgotten_by_its_owner_only(index: SemanticIndex) -> None:
    await owned(index)
    assert await index.forget("b", "east of a")
    assert len(await left(index)) == 4
    assert await index.forget("a", "east of a")
    assert await left(index) == ["north of a", "east of b", "north of b"]


async def test_everything_is_forgotten_and_more_can_be_added(index: SemanticIndex) -> None:
    await owned(index)
    assert await index.forget()
    assert await left(index) == []
    await owned(index)
    assert len(await left(index)) == 4
