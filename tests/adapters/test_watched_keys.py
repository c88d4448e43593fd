from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.key_file import KeyFile, KeyFileError
from gateway.adapters.watched_keys import LOOK_EVERY_S, WatchedKeys
from gateway.core.events import Degraded, Recovered
from tests.fixtures.semantic import EventList, HandClock


@pytest.fixture
def file(tmp_path: Path, hand_clock: HandClock) -> KeyFile:
    return KeyFile(tmp_path / "keys.json", hand_clock)


def test_a_key_made_before_the_start_is_found(file: KeyFile, told: EventList, hand_clock: HandClock) -> None:
    key = file.create("shop").key
    assert WatchedKeys(file, told, hand_clock).find(key.id) == key


def test_a_key_made_while_running_is_found_at_once(file: KeyFile, told: EventList, hand_clock: HandClock) -> None:
    watched = WatchedKeys(file, told, hand_clock)
    key = file.create("shop").key
    assert watched.find(key.id) == key


def test_a_revocation_is_seen_after_a_second_at_the_latest(
    file: KeyFile, told: EventList, hand_clock: HandClock
) -> None:
    key = file.create("shop").key
    watched = WatchedKeys(file, told, hand_clock)
    over = file.revoke(key.id)
    assert watched.find(key.id) == key
    hand_clock.now_s += LOOK_EVERY_S
    assert watched.find(key.id) == over


def test_a_stranger_is_nobody(file: KeyFile, told: EventList, hand_clock: HandClock) -> None:
    assert WatchedKeys(file, told, hand_clock).find("abcd1234") is None
    assert told.events == []


@pytest.mark.parametrize("spoil", ["damage", "remove", "replace by a folder"])
def test_a_file_that_cannot_be_read_leaves_the_keys_and_is_told_once(
    file: KeyFile, told: EventList, hand_clock: HandClock, spoil: str
) -> None:
    key = file.create("shop").key
    watched = WatchedKeys(file, told, hand_clock)
    good = file.path.read_bytes()
    file.path.unlink()
    if spoil == "damage":
        file.path.write_text("{")
    elif spoil == "replace by a folder":
        file.path.mkdir()
    for _ in range(3):
        hand_clock.now_s += LOOK_EVERY_S
        assert watched.find(key.id) == key
        assert watched.find("abcd1234") is None
    (degraded,) = told.events
    assert isinstance(degraded, Degraded)
    assert degraded.component == "keys"
    assert str(file.path) in degraded.detail

    if file.path.is_dir():
        file.path.rmdir()
    file.path.write_bytes(good)
    hand_clock.now_s += LOOK_EVERY_S
    assert watched.find(key.id) == key
    assert told.events[1:] == [Recovered("keys")]


def test_while_the_file_is_broken_strangers_do_not_make_it_read(
    file: KeyFile, told: EventList, hand_clock: HandClock
) -> None:
    file.create("shop")
    watched = WatchedKeys(file, told, hand_clock)
    file.path.write_text("{")
    watched.find("abcd1234")
    file.path.unlink()
    key = file.create("shop").key
    assert watched.find(key.id) is None
    hand_clock.now_s += LOOK_EVERY_S
    assert watched.find(key.id) == key


def test_a_file_that_is_damaged_at_the_start_keeps_the_gateway_from_starting(
    file: KeyFile, told: EventList, hand_clock: HandClock
) -> None:
    file.path.write_text("{")
    with pytest.raises(KeyFileError):
        WatchedKeys(file, told, hand_clock)
