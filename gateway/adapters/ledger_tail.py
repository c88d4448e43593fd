"""The end of a ledger file that is not written yet, in memory that outlives the process.

Theory of operation. One `write` a line is a system call a line. So lines are written many at once, and until then they
are in a second file beside the ledger's (`2026-11-23.000001.tail`), which is mapped into memory: what has been copied
there the kernel has, however the process ends. A tail says from which byte of the ledger file on it goes:

    where it begins, 8 bytes; then for each line   checksum, 4 bytes   length, 4 bytes   the line

The checksum of a line begins with the place that the line will have in the ledger file. So a line that a kill tore does
not pass, nor does what is left over of lines that have been written since: a reader goes on as long as lines pass. And
writing them once more, at their places, changes nothing. Nothing here needs a lock or an order of stores.

Its blocks are there before it is used, so that a full disk is an error at `begin` and never a SIGBUS later; on a file
system that copies on write (btrfs, ZFS) nobody can promise that.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

TAIL_BYTES = 256 * 1024
SUFFIX = ".tail"
_BUFFER_BYTES = 1024 * 1024
_BEGIN = struct.Struct("<Q")
_FRAME = struct.Struct("<II")
_SEED = 0xFFFF_FFFF


class LedgerTail:
    """The writer's side of one. Raises OSError at `begin` only."""

    def __init__(self, path: Path, memory: mmap.mmap, at_bytes: int) -> None:
        self._path = path
        self._memory = memory
        self._at_bytes = at_bytes
        self._next = _BEGIN.size
        self._is_full = False
        _BEGIN.pack_into(memory, 0, at_bytes)

    @classmethod
    def begin(cls, ledger: Path, at_bytes: int) -> LedgerTail:
        """Of that ledger file, from that byte on. What there was of one is gone."""
        path = ledger.with_suffix(SUFFIX)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(fd, 0, TAIL_BYTES)
            return cls(path, mmap.mmap(fd, TAIL_BYTES), at_bytes)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def add(self, line: bytes) -> bool:
        """False when it is full, and from then on until all has been written: a line must not overtake another."""
        length = len(line)
        end = self._next + _FRAME.size + length
        if self._is_full or end > TAIL_BYTES:
            self._is_full = True
            return False
        self._memory[self._next : end] = _FRAME.pack(crc32(line, self._at_bytes & _SEED), length) + line
        self._next = end
        self._at_bytes += length
        return True

    def written(self, at_bytes: int) -> None:
        """All that was added is in the ledger file, which ends at that byte now."""
        self._at_bytes = at_bytes
        self._next = _BEGIN.size
        self._is_full = False
        _BEGIN.pack_into(self._memory, 0, at_bytes)

    def close(self, *, keep: bool) -> None:
        """`keep` the file, for who starts next."""
        self._memory.close()
        if not keep:
            self._path.unlink(missing_ok=True)


def lines_of(ledger: Path) -> Iterator[bytes]:
    """All lines of a ledger file, and those that only its tail has; also beside a process that writes. The last may be
    torn. Raises OSError."""
    with ledger.open("rb", buffering=_BUFFER_BYTES) as file:
        for line in file:
            if not line.endswith(b"\n"):
                file.seek(-len(line), os.SEEK_CUR)
                break
            yield line
        begin_bytes, added = _read(ledger.with_suffix(SUFFIX))
        rest = file.read()  # what was written until the tail was read: it goes on from there, or from before
        end_bytes = file.tell()
    if begin_bytes <= end_bytes:
        rest += added[end_bytes - begin_bytes :]
    yield from rest.splitlines(keepends=True)


def restore(folder: Path) -> None:
    """Write what processes that are gone could not write any more. Raises OSError."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        ledger, (begin_bytes, added) = path.with_suffix(".ndjson"), _read(path)
        with suppress(FileNotFoundError):  # its ledger file was deleted: so may the tail be
            _append(ledger, begin_bytes, added)
        path.unlink(missing_ok=True)


def _append(ledger: Path, begin_bytes: int, added: bytes) -> None:
    fd = os.open(ledger, os.O_WRONLY)
    try:
        size_bytes = os.fstat(fd).st_size
        if size_bytes >= begin_bytes:  # else the machine died too, and with it what came before
            os.pwrite(fd, added[size_bytes - begin_bytes :], size_bytes)
    finally:
        os.close(fd)


def _read(path: Path) -> tuple[int, bytes]:
    """From which byte of the ledger file on, and what."""
    try:
        memory = path.read_bytes()
    except FileNotFoundError:
        return 0, b""
    if len(memory) < _BEGIN.size:
        return 0, b""
    (begin_bytes,) = _BEGIN.unpack_from(memory)
    return begin_bytes, b"".join(_passing(memory, begin_bytes))


def _passing(memory: bytes, at_bytes: int) -> Iterator[bytes]:
    at = _BEGIN.size
    while at + _FRAME.size < len(memory):
        checksum, length = _FRAME.unpack_from(memory, at)
        line = memory[at + _FRAME.size : at + _FRAME.size + length]
        if not line or crc32(line, at_bytes & _SEED) != checksum:
            return
        yield line
        at += _FRAME.size + length
        at_bytes += length
