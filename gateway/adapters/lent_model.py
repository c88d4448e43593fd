"""A local model as a worker sees it: a process of the supervisor, which tells where it is whenever that changes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

import orjson

from gateway.adapters.child_process import ChildNotReady
from gateway.adapters.llama_child import LlamaServer
from gateway.core.seat import Seat


@dataclass(frozen=True, slots=True)
class ModelState:
    """What the supervisor tells of one."""

    model: str
    base_url: str | None
    api_key: str
    total_slots: int
    waiting_for: str | None

    @classmethod
    def of(cls, server: LlamaServer) -> ModelState:
        return cls(server.model, server.base_url, server.api_key, server.total_slots, server.waiting_for)


def write_states(states: dict[str, ModelState]) -> bytes:
    return orjson.dumps({name: asdict(state) for name, state in states.items()})


def read_states(written: bytes) -> dict[str, ModelState]:
    return {name: ModelState(**fields) for name, fields in orjson.loads(written).items()}


class LentModel:
    """Implements `LocalModel`. Of its slots a worker has its share."""

    def __init__(self, state: ModelState, seat: Seat) -> None:
        self._state = state
        self._seat = seat
        self._changed = asyncio.Event()

    @property
    def model(self) -> str:
        return self._state.model

    @property
    def base_url(self) -> str | None:
        return self._state.base_url

    @property
    def api_key(self) -> str:
        return self._state.api_key

    @property
    def total_slots(self) -> int:
        return self._seat.share(self._state.total_slots)

    @property
    def waiting_for(self) -> str | None:
        return self._state.waiting_for

    def hear(self, state: ModelState) -> None:
        self._state = state
        self._changed.set()

    async def wait_ready(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while self.waiting_for is not None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise ChildNotReady(f"{self.model} is not ready: {self.waiting_for}") from error
