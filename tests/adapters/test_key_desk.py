from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.key_desk import KeyDesk
from gateway.adapters.key_file import KeyFile
from gateway.adapters.watched_keys import WatchedKeys
from gateway.core.errors import InvalidRequest, NotFound, Unavailable
from tests.fixtures.semantic import EventList, HandClock


@pytest.fixture
def file(tmp_path: Path, hand_clock: HandClock) -> KeyFile:
    return KeyFile(tmp_path / "keys.json", hand_clock)


@pytest.fixture
def watched(file: KeyFile, told: EventList, hand_clock: HandClock) -> WatchedKeys:
    return WatchedKeys(file, told, hand_clock)


async def test_what_is_done_here_holds_here_at_once(file: KeyFile, watched: WatchedKeys, hand_clock: HandClock) -> None:
    desk = KeyDesk(file, watched)
    key = (await desk.create("shop", "ci", None)).key
    assert watched.find(key.id) == key
    await desk.revoke(key.id)
    found = watched.find(key.id)  # within the second in which nobody else would look again
    assert found is not None
    assert found.lapse(hand_clock.now_s) == "revoked"
    assert [one.id for one in await desk.all()] == [key.id]


async def test_a_key_that_is_not_there_is_not_found(file: KeyFile, watched: WatchedKeys) -> None:
    desk = KeyDesk(file, watched)
    with pytest.raises(NotFound):
        await desk.revoke("abcdefgh")
    with pytest.raises(NotFound):
        await desk.rotate("abcdefgh", 0)


async def test_a_key_that_is_over_has_no_successor(file: KeyFile, watched: WatchedKeys) -> None:
    desk = KeyDesk(file, watched)
    key = (await desk.create("shop", "", None)).key
    await desk.revoke(key.id)
    with pytest.raises(InvalidRequest, match="revoked"):
        await desk.rotate(key.id, 0)


async def test_a_file_that_cannot_be_read_is_said_and_left_alone(file: KeyFile, watched: WatchedKeys) -> None:
    file.path.write_text("not ours")
    with pytest.raises(Unavailable, match=r"keys\.json"):
        await KeyDesk(file, watched).create("shop", "", None)
    assert file.path.read_text() == "not ours"
