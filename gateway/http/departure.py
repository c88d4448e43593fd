"""The client leaving while it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Loss:
    """Of a connection. `watcher` is called when it happens; requests of one connection follow each other, so there is
    one at most."""

    __slots__ = ("happened", "watcher")

    def __init__(self) -> None:
        self.happened = False
        self.watcher: Callable[[], None] | None = None

    def happen(self) -> None:
        self.happened = True
        if self.watcher is not None:
            self.watcher()


class Departure:
    """Cancels the task inside `with` when the client leaves, and swallows that one cancellation.

    Without this, an upstream would go on producing tokens for nobody (litellm #13774). Disarm before the last byte is
    sent: who has that may leave.
    """

    __slots__ = ("_cancelling", "_loss", "_needed", "left", "task")

    def __init__(self, loss: Loss, task: asyncio.Task[Any]) -> None:
        self._loss = loss
        self.task = task
        self._cancelling = task.cancelling()
        self._needed: Callable[[], bool] | None = None
        self.left = False

    def __enter__(self) -> Departure:
        self._loss.watcher = self._leave
        if self._loss.happened:
            self._leave()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._loss.watcher = None
        if not self.left:
            return False
        others = self.task.uncancel() > self._cancelling  # a shutdown that cancels too must get through
        return kind is asyncio.CancelledError and not others

    def hold(self, needed: Callable[[], bool]) -> None:
        """As `flow.shared_flight.Client`."""
        self._needed = needed

    def disarm(self) -> None:
        self._loss.watcher = None

    def _leave(self) -> None:
        self.left = True
        if self._needed is None or not self._needed():
            self.task.cancel()
