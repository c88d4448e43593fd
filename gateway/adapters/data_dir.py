"""The folder where one gateway keeps its state, and who owns it.

Two gateways on one folder would start two Valkeys on one append-only file. The owner is whoever holds an
exclusive `flock` on `owner.lock`: the kernel drops it when the process dies, however it dies, so there is no stale
lock to clean up. The file is never removed (removing it would let two owners lock two files of one name).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_SOCKET_PATH_BYTES = 103  # sun_path is 108 bytes on Linux, 104 on macOS, the closing NUL included


class DataDirError(Exception):
    """The folder cannot be used; the message names the folder and the mend."""


class DataDir:
    """Owned from construction until `close()` or the end of the process. Raises DataDirError.

    Created with mode 0700; a folder that exists keeps its mode (a mounted volume's may not be ours to change).
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise DataDirError(f"cannot use data directory {self.path}: {exc.strerror}. {_MEND}") from exc
        try:
            self._own()
        except BaseException:
            os.close(self._lock)
            raise

    def _own(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as exc:
            owner = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise DataDirError(f"data directory {self.path} is used by another gateway (pid {owner}). {_MEND}") from exc
        except OSError as exc:
            raise DataDirError(f"cannot lock data directory {self.path}: {exc.strerror}. {_MEND}") from exc

    def file(self, name: str) -> Path:
        return self.path / name

    def socket(self, name: str) -> Path:
        """Where a unix socket of this name goes: the folder, or a short private one when the path is too long."""
        return socket_of(self.path, name)

    def close(self) -> None:
        """Give up ownership. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def socket_of(path: Path, name: str) -> Path:
    """`DataDir(path).socket(name)`, for who does not own the folder. Raises DataDirError."""
    here = path.absolute() / name
    return here if _fits(here) else _runtime_folder(path.absolute(), name) / name


_MEND = "Name another one with --data-dir or THRIFTGATE_DATA_DIR."


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _SOCKET_PATH_BYTES


def _runtime_folder(data_dir: Path, name: str) -> Path:
    """Always the same one for the same data directory, so that every process of a gateway finds it."""
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    parents = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - checked by _is_private
    for parent in filter(None, parents):
        folder = Path(parent) / f"thriftgate-{os.getuid()}-{digest}"
        if _fits(folder / name) and _is_private(folder):
            return folder
    raise DataDirError(
        f"the path of data directory {data_dir} is too long for a unix socket ({_SOCKET_PATH_BYTES} bytes) and no "
        f"short private folder could be made in {', '.join(filter(None, parents))}. {_MEND}"
    )


def _is_private(folder: Path) -> bool:
    """Made by us or found ours: a real folder nobody else can enter. Others may write in its parent."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700
