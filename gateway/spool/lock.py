"""One gateway per data directory: an advisory lock that the kernel frees however a process ends.

Strategy: an exclusive lock on the file `lock` in the directory. The file holds the holder's
process id, for the message only; it is never removed, since removing a locked file would let two
processes hold "the" lock. Limits: NFS only where the server supports locks.
"""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.errors import DataDirBusyError, StoreError

_PID_BYTES_MAX = 20


class DataDir:
    """The data directory, created where it is missing, and held until `close`."""

    def __init__(self, path: Path) -> None:
        """Raise DataDirBusyError where another process holds it, StoreError for the disk."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"data directory {path}: {error.strerror}") from error
        try:
            _lock(self._file)
            _write_pid(self._file)
        except BlockingIOError as error:
            pid = _read_pid(self._file) or "unknown"
            os.close(self._file)
            raise DataDirBusyError(
                f"data directory {path} is in use by another gateway (process {pid})"
            ) from error
        except OSError as error:
            os.close(self._file)
            raise StoreError(f"data directory {path} cannot be locked: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the directory; calling it again is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def holder(path: Path) -> int | None:
    """The process that holds the directory (0: not known), or None; creates nothing.

    Raises StoreError where that cannot be told.
    """
    try:
        file = os.open(path / "lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"data directory {path}: {error.strerror}") from error
    try:
        _lock(file)
    except BlockingIOError:
        pid = _read_pid(file)
        return int(pid) if pid.isdigit() else 0
    finally:
        os.close(file)
    return None


def _read_pid(file: int) -> str:
    """Empty while the holder has not written it yet."""
    return os.read(file, _PID_BYTES_MAX).decode("ascii", "replace").strip()


def _write_pid(file: int) -> None:
    os.lseek(file, 0, os.SEEK_SET)
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())


if sys.platform == "win32":
    import msvcrt

    _BEYOND_THE_PID = 1 << 20  # locks are mandatory there: the process id must stay readable

    def _lock(file: int) -> None:
        os.lseek(file, _BEYOND_THE_PID, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
