"""What a worker has of the other workers of its gateway. All of it goes through their supervisor, which alone knows who
is there. A gateway of one process has no siblings.

Between a supervisor and its workers are said, with JSON or plain bytes as parts:

    worker asks       hello      seat               → configuration, local models, metrics of who had the seat before
                      snapshots  kind               → the others' snapshots, of dead ones the last
                      forget     owner and key      → when all others have forgotten
                      reload                        → what all serve by now
    worker tells      learned    question, vector     to be told to the others
                      snapshot   kind, bytes          what would be missed if it were killed now
                      serving, ready, say, cannot     how its start goes, in words
    supervisor asks   snapshot, forget, and           prepare (configuration → what it amounts to), then serve or drop
    supervisor tells  learned, models                 a local model has another state or address
                      workers    number               how many serve
                      drop                            there will be no reload, and why
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import orjson

from gateway.adapters.worker_channel import Declined, Unheard, WorkerChannel
from gateway.core.errors import InvalidConfiguration, Unavailable
from gateway.ports import Vector

SnapshotKind = Literal["metrics", "tally"]
SNAPSHOT_S = 1.0
"""How often a worker shows what it has counted, so how much a `kill -9` may lose of it; and how long it is waited for
when somebody wants to see all."""
_FORGET_S = 10.0
RELOAD_S = 60.0


@dataclass(frozen=True, slots=True)
class Learned:
    """A stored question: the arguments of `SemanticIndex.add`."""

    scope: str
    vector: Vector
    key: str
    text: str
    ttl_s: int
    owner: str

    def parts(self) -> tuple[bytes, bytes]:
        told = [self.scope, self.key, self.text, self.ttl_s, self.owner]
        return orjson.dumps(told), array("f", self.vector).tobytes()

    @classmethod
    def of(cls, told: bytes, vector: bytes) -> Learned:
        scope, *rest = orjson.loads(told)
        floats = array("f")
        floats.frombytes(vector)
        return cls(scope, floats.tolist(), *rest)


class Siblings(Protocol):
    """The other workers of the gateway. `serving` is how many take requests now, this one included; None if there never
    are any others."""

    @property
    def serving(self) -> int | None: ...

    async def snapshots(self, kind: SnapshotKind) -> Sequence[bytes]:
        """What they have counted. Never raises: of who does not answer it is what was known a moment ago."""

    async def forget(self, owner: str | None, key: str | None) -> bool:
        """Whether all of them have forgotten these answers."""

    def learned(self, question: Learned) -> None:
        """They may want to know it too."""

    async def reload(self) -> str:
        """All of them, and this process, serve by the configuration as it is now; says what that is. Raises
        InvalidConfiguration, and then nobody does."""


class NoSiblings:
    """Of a gateway of one process."""

    serving = None

    async def snapshots(self, kind: SnapshotKind) -> Sequence[bytes]:
        return ()

    async def forget(self, owner: str | None, key: str | None) -> bool:
        return True

    def learned(self, question: Learned) -> None:
        pass

    async def reload(self) -> str:
        raise Unavailable("There is no supervisor.")


class SupervisedSiblings:
    """Implements `Siblings` over the channel to the supervisor."""

    def __init__(self, supervisor: WorkerChannel) -> None:
        self._supervisor = supervisor
        self.serving: int | None = 0

    async def snapshots(self, kind: SnapshotKind) -> Sequence[bytes]:
        try:
            return await self._supervisor.ask("snapshots", kind.encode(), within_s=2 * SNAPSHOT_S)
        except (Declined, Unheard):
            return ()

    async def forget(self, owner: str | None, key: str | None) -> bool:
        try:
            await self._supervisor.ask("forget", orjson.dumps([owner, key]), within_s=_FORGET_S)
        except (Declined, Unheard):
            return False
        return True

    def learned(self, question: Learned) -> None:
        self._supervisor.tell("learned", *question.parts())

    async def reload(self) -> str:
        try:
            (detail,) = await self._supervisor.ask("reload", within_s=RELOAD_S)
        except Declined as error:
            raise InvalidConfiguration(f"Nothing has changed. {error}") from error
        except Unheard as error:
            raise Unavailable("The supervisor does not answer; nobody knows whether the configuration changed.") from (
                error
            )
        return detail.decode()


def kind_of(said: bytes) -> SnapshotKind:
    """Raises ValueError for what is not one."""
    kind: SnapshotKind
    for kind in get_args(SnapshotKind):
        if said == kind.encode():
            return kind
    raise ValueError(f"there are no snapshots of {said!r}")
