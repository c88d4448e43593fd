from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.adapters.data_dir import DataDirError
from gateway.adapters.edge_index import EdgeIndex
from gateway.core.events import Degraded, Recovered
from tests.fixtures.semantic import EventList, HandClock

Opener = Callable[..., EdgeIndex]


def folders(within: Path) -> int:
    return len(list(within.iterdir()))


def generations(within: Path) -> int:
    return len(list(within.glob("*/generation-*")))


def last_write_ns(within: Path) -> int:
    return max(path.stat().st_mtime_ns for path in within.rglob("*") if path.is_file())


def direction(at: int) -> list[float]:
    """Distinct unit vectors, a degree apart."""
    return [math.cos(math.radians(at)), math.sin(math.radians(at)), 0.0, 0.0]


@pytest.fixture
def opened(tmp_path: Path, hand_clock: HandClock, told: EventList) -> Opener:
    def make(engine: str = "test", dimensions: int = 4, max_points: int = 100) -> EdgeIndex:
        return EdgeIndex(
            tmp_path, engine=engine, dimensions=dimensions, observer=told, clock=hand_clock, max_points=max_points
        )

    return make


async def test_questions_survive_a_restart(opened: Opener) -> None:
    first = opened()
    await first.start()
    await first.add("scope", direction(0), "key", "text", 60)
    await first.stop()
    second = opened()
    await second.start()
    found = await second.nearest("scope", direction(0), 0.9)
    await second.stop()
    assert found is not None
    assert found.key == "key"


async def test_a_second_opener_is_refused_and_told_which_folder(opened: Opener, tmp_path: Path) -> None:
    owner, other = opened(), opened()
    await owner.start()
    with pytest.raises(DataDirError, match=str(tmp_path)):
        await other.start()
    await other.stop()
    await owner.add("scope", direction(0), "key", "text", 60)
    assert await owner.nearest("scope", direction(0), 0.9)
    await owner.stop()


async def test_each_engine_has_a_folder_of_its_own(opened: Opener, tmp_path: Path) -> None:
    for engine in ("onnx-a", "hub/model", "hub_model"):
        index = opened(engine)
        await index.start()
        await index.add("scope", direction(0), engine, "text", 60)
        found = await index.nearest("scope", direction(0), 0.9)
        assert found is not None
        assert found.key == engine
        await index.stop()
    assert folders(tmp_path) == 3


async def test_the_oldest_half_is_forgotten_when_the_index_is_full(opened: Opener, tmp_path: Path) -> None:
    index = opened(max_points=10)
    await index.start()
    for at in range(25):
        await index.add("scope", direction(at), str(at), "text", 60)
    kept = {at for at in range(25) if (m := await index.nearest("scope", direction(at), 0.99999)) and m.key == str(at)}
    await index.stop()
    assert len(kept) <= 10
    assert set(range(20, 25)) <= kept
    assert generations(tmp_path) == 2


async def test_replacing_reaches_into_the_older_half(opened: Opener) -> None:
    index = opened(max_points=4)
    await index.start()
    await index.add("scope", direction(0), "key", "old", 60)
    await index.add("scope", direction(90), "other", "text", 60)
    await index.add("scope", direction(45), "third", "text", 60)  # a new generation
    await index.add("scope", direction(180), "key", "new", 60)
    assert await index.nearest("scope", direction(0), 0.9) is None
    await index.stop()


async def test_a_restart_in_the_middle_of_a_generation_change_keeps_the_bound(opened: Opener, tmp_path: Path) -> None:
    for start in range(4):
        index = opened(max_points=10)
        await index.start()
        for at in range(start * 7, start * 7 + 7):
            await index.add("scope", direction(at), str(at), "text", 60)
        await index.stop()
    assert generations(tmp_path) == 2


async def test_a_half_written_generation_is_discarded_and_the_rest_still_serves(opened: Opener, tmp_path: Path) -> None:
    index = opened()
    await index.start()
    await index.add("scope", direction(0), "key", "text", 60)
    await index.stop()
    (tmp_path / "thriftgate-test-4" / "generation-000002").mkdir()
    again = opened()
    await again.start()
    assert await again.nearest("scope", direction(0), 0.9)
    await again.stop()


async def test_a_vector_of_the_wrong_size_is_a_miss_told_once_and_recovery_is_told_too(
    opened: Opener, told: EventList
) -> None:
    index = opened()
    await index.start()
    await index.add("scope", direction(0), "key", "text", 60)
    for _ in range(3):
        assert await index.nearest("scope", [1.0], 0.9) is None
        await index.add("scope", [1.0], "key", "a private prompt", 60)
    assert await index.nearest("scope", direction(0), 0.9)
    await index.stop()
    assert [type(event) for event in told.events] == [Degraded, Recovered]
    assert "private" not in str(told.events)


async def test_a_folder_that_is_a_file_stops_the_start(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "thriftgate-test-4").write_text("not a folder")
    index = opened()
    with pytest.raises(DataDirError, match=str(tmp_path)):
        await index.start()
    await index.stop()


async def test_before_start_and_after_stop_everything_is_a_miss(opened: Opener, told: EventList) -> None:
    index = opened()
    assert await index.nearest("scope", direction(0), 0.9) is None
    await index.add("scope", direction(0), "key", "text", 60)
    await index.start()
    await index.stop()
    assert await index.nearest("scope", direction(0), 0.9) is None
    await index.add("scope", direction(0), "key", "text", 60)
    assert told.events == []


async def test_what_was_added_is_on_disk_after_five_minutes_without_a_stop(
    opened: Opener, hand_clock: HandClock, tmp_path: Path
) -> None:
    index = opened()
    await index.start()
    await index.add("scope", direction(0), "key", "text", 6_000)
    before = last_write_ns(tmp_path)
    hand_clock.now_s += 301
    await index.add("scope", direction(5), "other", "text", 6_000)
    after = last_write_ns(tmp_path)
    await index.stop()
    assert after > before
