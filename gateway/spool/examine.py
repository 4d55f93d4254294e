"""A look at a database before it is opened for writing: whether it is ours, and whole.

Strategy: a foreign file, or one of a newer version, is refused and left as it is. Flipped bits
must not make one of ours look like that: the tables decide, the numbers in the header only where
the tables leave it open. Whatever else is wrong with a file of ours is damage. Limits: of the
pages only the first is looked at; a file of ours with both its version and its tables damaged may
be refused as one of a newer version.
"""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gateway.errors import StoreError
from gateway.spool.remains import open_read_only, open_remains

DAMAGED_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG)

_MX_FRAME = 16


class DamagedError(sqlite3.DatabaseError):
    """Damage that SQLite has not noticed itself; treated as if it had."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Format(NamedTuple):
    """What a store's file looks like."""

    application_id: int
    version: int
    shared: str
    own: str
    """The statements that make its tables: those that all stores have, and its own."""


class _Stated(NamedTuple):
    """What a file says of itself."""

    application_id: int
    version: int
    tables: list[tuple[str, str]]
    pages: int
    frames: int
    """How much of the log SQLite goes by."""


def examine(path: Path, form: Format) -> None:
    """Raise StoreError where the file is not ours, DamagedError where it is not whole."""
    with open_remains(path) as remains:
        frames = 0
        if remains.size:  # SQLite deletes the log of an empty file
            stated = _stated(path)
            _identify(path, stated, form)
            frames = stated.frames
        if problem := remains.problem(frames):
            raise DamagedError(problem)


def _identify(path: Path, stated: _Stated, form: Format) -> None:
    script = form.shared + form.own
    names = re.findall(r"CREATE \w+ (\w+)", script)
    to_the_letter = [name for name, _ in stated.tables] == names and all(
        sql in script for _, sql in stated.tables
    )
    known = stated.application_id == form.application_id
    related = known or any(sql in form.own for _, sql in stated.tables)
    if not stated.tables:
        if stated.pages > 1:
            raise DamagedError("its tables are not listed")
    elif not related:
        raise StoreError(f"{path} belongs to another program; move it away")
    elif stated.version > form.version and not to_the_letter:
        raise StoreError(
            f"{path} was written by a newer version of the gateway (schema {stated.version}, this "
            f"version knows {form.version}); install that version again"
        )
    elif not to_the_letter:
        raise DamagedError("the schema is damaged")
    elif not known or stated.version != form.version:
        raise DamagedError("the header is damaged: application_id or user_version")


def _stated(path: Path) -> _Stated:
    """Raises sqlite3.Error."""
    with closing(open_read_only(path)) as db:
        try:
            tables = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            return _Stated(
                pragma(db, "application_id"),
                pragma(db, "user_version"),
                [(str(name), str(sql)) for name, sql in tables.fetchall()],
                pragma(db, "page_count"),
                _accepted_frames(path),
            )
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            raise DamagedError(str(error)) from error  # an unsupported format, for one


def _accepted_frames(path: Path) -> int:
    """From the index of the log, which is there while a connection is open.

    https://www.sqlite.org/walformat.html#the_wal_index_header: `mxFrame`, in native byte order.
    Where it cannot be read, 0 is a safe answer.
    """
    try:
        with Path(f"{path}-shm").open("rb") as index:
            index.seek(_MX_FRAME)
            return int.from_bytes(index.read(4), sys.byteorder)
    except OSError:
        return 0


def pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
