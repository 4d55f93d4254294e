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
from gateway.spool.mishaps import DamagedError
from gateway.spool.remains import open_read_only, open_remains

_MX_FRAME = 16


Tables = list[tuple[str, str]]
"""Names, and the statements that made them."""


class Format(NamedTuple):
    """What a store's file looks like."""

    application_id: int
    version: int
    earlier: tuple[int, ...]
    """Versions that can be upgraded."""
    shared: str
    own: str
    """The statements that make its tables: those that all stores have, and its own."""


class _Stated(NamedTuple):
    """What a file says of itself."""

    application_id: int
    version: int
    tables: Tables
    columns: set[tuple[str, str]]
    """Each with its table."""
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
    known = stated.application_id == form.application_id
    if not stated.tables:
        if stated.pages > 1:
            raise DamagedError("its tables are not listed")
    elif not known and not any(sql in form.own for _, sql in stated.tables):
        raise StoreError(f"{path} belongs to another program; move it away")
    elif stated.version > form.version and stated.columns - _known_columns(form):
        raise StoreError(
            f"{path} was written by a newer version of the gateway (schema {stated.version}, this "
            f"version knows {form.version}); install that version again"
        )
    elif not known or stated.version not in (form.version, *form.earlier):
        raise DamagedError("the header is damaged: application_id or user_version")
    elif stated.version == form.version:
        check_schema(stated.tables, form)


def check_schema(tables: Tables, form: Format) -> None:
    """Raise DamagedError where the tables are not those of the present version to the letter."""
    script = form.shared + form.own
    names = re.findall(r"CREATE \w+ (\w+)", script)
    if [name for name, _ in tables] != names or any(sql not in script for _, sql in tables):
        raise DamagedError("the schema is damaged")


def stated_tables(db: sqlite3.Connection) -> Tables:
    found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return [(str(name), str(sql)) for name, sql in found]


def _columns(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(
        db.execute(
            "SELECT made.name, found.name FROM sqlite_master AS made "
            "JOIN pragma_table_info(made.name) AS found"
        )
    )


def _known_columns(form: Format) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(form.shared + form.own)
        return _columns(db)


def _stated(path: Path) -> _Stated:
    """Raises sqlite3.Error."""
    with closing(open_read_only(path)) as db:
        try:
            return _Stated(
                pragma(db, "application_id"),
                pragma(db, "user_version"),
                stated_tables(db),
                _columns(db),
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
