"""What SQLite raises, sorted by what can be done about it.

Damage is salvaged, a full or failing disk passes or is replaced, the rest is for the operator.
"""

import errno
import sqlite3
from pathlib import Path

from gateway.errors import DiskFullError, StoreError

DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file raises; the second where SQLite's message quotes damaged text."""

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_BUSY: "another program holds the database",
    sqlite3.SQLITE_READONLY: "the file may not be written",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the database is damaged",
    sqlite3.SQLITE_TOOBIG: "the database is damaged",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG)
_DAMAGED_KEYS = (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID)
"""A number that was free is not: the table is out of order."""
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_PASSING_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class DamagedError(sqlite3.DatabaseError):
    """Damage that SQLite has not noticed itself; treated as if it had."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def is_damage(error: Exception) -> bool:
    return _code(error) in _DAMAGED


def store_error(path: Path, error: Exception) -> StoreError:
    """The error in words."""
    code = _code(error)
    words = _WORDS.get(code) or getattr(error, "strerror", None) or str(error)
    passing = code in _PASSING or getattr(error, "errno", None) in _PASSING_ERRNO
    kind = DiskFullError if passing else StoreError
    return kind(f"{path}: {words}")


def _code(error: Exception) -> int:
    """The primary result code of an SQLite error, 0 for any other."""
    code = int(getattr(error, "sqlite_errorcode", 0))
    if isinstance(error, UnicodeDecodeError) or code in _DAMAGED_KEYS:
        return sqlite3.SQLITE_CORRUPT
    return code & 0xFF
