"""The same question from many callers at once is asked once.

Theory of operation. Everybody who asks the same *at the same time* holds the same `Question`, from before the look-up
until their answer's last byte. Inside it they take turns, which are short: the first looks in the caches and, if there
is nothing, opens a flight; each of the others finds that flight in the air and boards it. So 200 equal requests cost
one look-up, one embedding and one upstream call, and there is no gap between "not in the cache" and "in the air" or
between "landed" and "in the cache" through which a second call could slip: a question is forgotten when its flight has
landed, which is after its answer was stored. Whoever comes later asks the caches.

What is the same: the service, the exact key (tenant, namespace, model or tier, the whole body) and every option. Not
the cache group: its services share answers, but a refusal for a spent budget, and the bill, are one service's own.

Per process: across replicas the same is the shared cache's job. At most `max_questions` are tracked; who comes when
there are that many flies alone, which is only dearer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from functools import partial

from gateway.flow.lookup import Found
from gateway.flow.shared_flight import Client, Reader, SharedFlight

MAX_QUESTIONS = 4_096


class Question:
    """What is being asked now, and by how many (`holders`). Everything is done between one's `turn` and `done`."""

    __slots__ = ("_flight", "_found", "_next", "_questions", "_taken", "holders", "same")

    def __init__(self, questions: Questions, same: Hashable | None) -> None:
        self.same = same
        self.holders = 0
        self._taken = False
        self._next: asyncio.Event | None = None
        self._found: Found | None = None
        self._questions = questions
        self._flight: SharedFlight | None = None

    async def turn(self) -> None:
        """Returns when it is the caller's. Mostly nobody else asks, so nothing is made to wait for before."""
        while self._taken:
            if self._next is None:
                self._next = asyncio.Event()
            await self._next.wait()
        self._taken = True

    def done(self) -> None:
        """The turn is the next one's."""
        self._taken = False
        if self._next is not None:
            self._next.set()
            self._next = None

    def hit(self, found: Found) -> None:
        """A stored answer: for all who ask at this moment, not for who comes later (it may expire, or be deleted)."""
        self._found = found
        self._questions.forget(self)

    def heard(self) -> Found | None:
        """The hit of one who asked before."""
        return self._found

    def board(self, client: Client | None) -> Reader | None:
        """A place in the flight, if one is in the air that can still be heard from its start."""
        flight = self._flight
        return flight.board(client) if flight is not None and flight.boards else None

    def open(self, flight: SharedFlight, client: Client | None) -> Reader:
        """The flight's first reader; the flight is the one that others board from now on."""
        self._flight = flight
        flight.when_landed(partial(self._questions.forget, self))
        return flight.board(client)


class Questions:
    """All questions being asked in this process, by what makes them the same."""

    def __init__(self, *, max_questions: int = MAX_QUESTIONS) -> None:
        self._max_questions = max_questions
        self._asked: dict[Hashable, Question] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, same: Hashable | None) -> Question:
        """The question of everybody whose `same` is equal; None asks alone. To be left again."""
        question = self._asked.get(same) if same is not None else None
        if question is None:
            tracked = same is not None and len(self._asked) < self._max_questions
            question = Question(self, same if tracked else None)
            if tracked:
                self._asked[same] = question
        question.holders += 1
        return question

    def leave(self, question: Question) -> None:
        """With the last it is forgotten."""
        question.holders -= 1
        if question.holders == 0 and question.same is not None:
            self.forget(question)

    def forget(self, question: Question) -> None:
        """From now on who asks the same asks anew."""
        same, question.same = question.same, None
        if same is not None:
            del self._asked[same]
