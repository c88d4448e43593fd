from __future__ import annotations

import logging

import pytest

from gateway.adapters.observers import Observers, Selective
from gateway.core.events import Degraded, Event, Stored

EVENT = Stored("exact", "shop")


class Listener:
    """Writes down, in a list shared with others, that it heard."""

    def __init__(self, name: str, heard: list[tuple[str, Event]]) -> None:
        self._name = name
        self._heard = heard

    def tell(self, event: Event, /) -> None:
        self._heard.append((self._name, event))


class Broken:
    def tell(self, event: Event, /) -> None:
        raise RuntimeError("a full disk")


def test_everybody_hears_every_event_in_order() -> None:
    heard: list[tuple[str, Event]] = []
    Observers(Listener("first", heard), Listener("second", heard)).tell(EVENT)
    assert heard == [("first", EVENT), ("second", EVENT)]


def test_one_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, Event]] = []
    with caplog.at_level(logging.ERROR, logger="thriftgate"):
        Observers(Broken(), Listener("second", heard)).tell(EVENT)
    assert heard == [("second", EVENT)]
    assert "an observer failed on Stored" in caplog.text
    assert "a full disk" in caplog.text


def test_nobody_listening_is_fine() -> None:
    Observers().tell(EVENT)


class Selecting(Selective):
    """Hears of stores, and nothing else."""

    def __init__(self) -> None:
        self.heard: list[Stored] = []
        self.hears = {Stored: self.heard.append}


def test_who_selects_hears_its_own_kinds_only() -> None:
    selecting = Selecting()
    for observer in (selecting, Observers(Observers(selecting))):
        observer.tell(EVENT)
        observer.tell(Degraded("ledger", "away"))
    assert selecting.heard == [EVENT, EVENT]
