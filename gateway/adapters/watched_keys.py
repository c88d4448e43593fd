"""The keys of a file that others write: a running gateway takes a created, rotated or revoked key without a restart."""

from __future__ import annotations

from gateway.adapters.health import Health
from gateway.adapters.key_file import KeyFile, KeyFileError, Stamp
from gateway.core.service_key import ServiceKey
from gateway.ports import Clock, Observer

LOOK_EVERY_S = 1.0
"""How long a revoked key may still be taken for good. One look is one `stat`: 2 µs."""


class WatchedKeys:
    """Implements `ports.Keys`. The file is looked at when somebody asks: at most once a second for keys that are known,
    at once for one that is not, so that a new key works from its first request.

    A file that cannot be read leaves the keys as they were and is told as `Degraded`; so does one that is gone, because
    a volume that is not mounted must not lock everybody out. Construction reads the file and raises KeyFileError.
    """

    def __init__(self, file: KeyFile, observer: Observer, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._health = Health("keys", observer)
        self._read: Stamp | None = file.stamp()  # before the content: what changes in between is seen at the next look
        self._keys = {key.id: key for key in file.read()}
        self._looked_s = clock.monotonic_s()
        self._broken = False

    def find(self, id: str) -> ServiceKey | None:
        now_s = self._clock.monotonic_s()
        known = id in self._keys or self._broken  # a broken file is not read again for every stranger
        if not known or now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._look()
        return self._keys.get(id)

    def look_again(self) -> None:
        """At the next question, however soon it comes: the file has just been written here."""
        self._looked_s = float("-inf")

    def _look(self) -> None:
        try:
            self._take()
        except KeyFileError as error:
            self._broken = True
            self._health.broken("keys_file", str(error))
        else:
            self._broken = False
            self._health.mended("keys_file")

    def _take(self) -> None:
        stamp = self._file.stamp()
        if stamp == self._read and not self._broken:
            return
        if stamp is None and self._keys:
            raise KeyFileError(f"{self._file.path} is gone. Its keys are still good; put it back, or restart.")
        self._keys = {key.id: key for key in self._file.read()}
        self._read = stamp
