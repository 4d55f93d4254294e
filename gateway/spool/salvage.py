"""Replacing a damaged database: what can be read is copied into a new file, the old one is kept.

Strategy: a new file is filled beside the damaged one and takes its name only when it is complete
and on disk; a crash at any instant leaves either the damaged file, and the work begins anew, or
the complete new one. First SQLite reads every table from its beginning up to the first damage and
from its end back to the last one. Then every page is looked at by itself (`remains.py`), so that
what no longer hangs together comes back too. What a record belongs to is told by the types of its
columns. A table whose rows prove by a checksum that they are unaltered takes such rows, wherever
they are found, and no others; the other tables take from pages only what is certainly the newest
state. Limits: it needs room on the disk for all that it keeps; tables with columns without a type
are read by SQLite only. 575 MB in rows of 64 kB took 5 s of CPU on a PC, 128 MB in rows of 800
bytes 6 s, both with 10 MiB of memory.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from gateway.errors import StoreError
from gateway.spool.mishaps import DAMAGE
from gateway.spool.pages import Cell, Row, Value, kinds, values
from gateway.spool.remains import Remains, open_read_only, open_remains

_COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database while it is open, or after a crash."""
_ASIDE_MAX = 1000

_KIND = {type(None): "N", int: "I", float: "R", bytes: "B", str: "T"}
_LETTERS = {"INTEGER": "I", "REAL": "RI", "BLOB": "B", "TEXT": "T"}


class Check(NamedTuple):
    """How the rows of a table prove that they are unaltered; the key is their first column."""

    checksum: int
    """The column with the checksum; all before it are short."""
    is_whole: Callable[[Row], bool]
    renumber: Callable[[Row, int], Row]
    """The row under another key, with its new checksum."""


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    has_rowid: bool
    shape: re.Pattern[str] | None
    """The kinds of a row's columns; None: anything."""
    check: Check | None

    @classmethod
    def of(cls, db: sqlite3.Connection, name: str, sql: str, check: Check | None) -> Self:
        described = db.execute(f"PRAGMA table_info({name})").fetchall()
        shape = "".join(_column_shape(*column[2:]) for column in described)
        key = sorted((position, column) for _, column, *_, position in described if position)
        return cls(
            name,
            tuple(column for _, column, *_ in described),
            tuple(column for _, column in key),
            not sql.endswith("WITHOUT ROWID"),
            re.compile(shape) if all(column[2] for column in described) else None,
            check,
        )

    def takes(self, row: Row) -> bool:
        """Whether the row may have been written like that."""
        if self.shape and not self.shape.fullmatch("".join(_KIND[type(v)] for v in row)):
            return False
        return self.check is None or self.check.is_whole(row)


def fresh_path(path: Path) -> Path:
    """Where the new file is filled."""
    return path.with_name(path.name + ".new")


def copy_readable(path: Path, target: sqlite3.Connection, checks: Mapping[str, Check]) -> None:
    """Copy what can be read of every table that `target` has; errors of `target` are raised."""
    made = target.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    tables = [_Table.of(target, name, sql, checks.get(name)) for name, sql in made]
    with open_remains(path) as remains:
        # SQLite would take the state before a damaged log for the present one, and delete the
        # log of an empty file.
        if remains.size and not remains.log_is_damaged:
            _copy_tables(path, target, tables)
        _copy_pages(remains, target, tables)


def _column_shape(declared: str, not_null: int, default: object, position: int) -> str:
    """A column as a regular expression; one with a default may be missing, as in older rows."""
    letters = _LETTERS.get(declared, "") + ("" if not_null or position else "N")
    return f"[{letters}]" + ("" if default is None else "?")


def _copy_tables(path: Path, target: sqlite3.Connection, tables: Sequence[_Table]) -> None:
    with closing(open_read_only(path)) as damaged:
        with suppress(*DAMAGE):
            # Otherwise a file that was cut short is refused as a whole.
            damaged.execute("PRAGMA writable_schema = ON")
        for table in tables:
            if not _copy_table(damaged, target, table, "ASC"):
                _copy_table(damaged, target, table, "DESC")


def _copy_table(
    damaged: sqlite3.Connection, target: sqlite3.Connection, table: _Table, direction: str
) -> bool:
    """Copy rows up to the first damage; whether there was none."""
    order = ", ".join(f"{column} {direction}" for column in table.key)
    try:
        there = {name for _, name, *_ in damaged.execute(f"PRAGMA table_info({table.name})")}
        names = ", ".join(column for column in table.columns if column in there)
        query = f"SELECT {names} FROM {table.name} ORDER BY {order}"  # noqa: S608 -- names of our own
        rows = damaged.execute(query)
    except DAMAGE:
        return False
    while True:
        try:
            row = rows.fetchone()
        except DAMAGE:
            return False
        if row is None:
            return True
        if table.takes(row):
            _put(target, table, row)


def _copy_pages(remains: Remains, target: sqlite3.Connection, tables: Sequence[_Table]) -> None:
    by_kind = {
        is_table: [t for t in tables if t.shape is not None and t.has_rowid == is_table]
        for is_table in (True, False)
    }
    moved: set[tuple[Value, Value]] = set()
    for found in remains.records():
        shape = kinds(found.cell.local)
        if found.is_table:
            shape = "I" + shape[1:]  # the key stands in the cell, not in the record
        for table in by_kind[found.is_table]:
            if table.shape is not None and table.shape.fullmatch(shape):
                if table.check is not None:
                    _copy_checked(remains, target, table, table.check, found.cell, moved)
                elif found.is_live:
                    _copy_unchecked(remains, target, table, found.cell)
                break


def _copy_unchecked(
    remains: Remains, target: sqlite3.Connection, table: _Table, cell: Cell
) -> None:
    row = values(next(remains.payloads(cell)))
    row = (cell.key, *row[1:]) if table.has_rowid else row
    if table.takes(row):
        _put(target, table, row)


def _copy_checked(
    remains: Remains,
    target: sqlite3.Connection,
    table: _Table,
    check: Check,
    cell: Cell,
    moved: set[tuple[Value, Value]],
) -> None:
    """Copy a row that is not there; if another one has its key, under a new key, and once."""
    short = values(cell.local)
    if len(short) <= check.checksum:
        return
    mark = (cell.key, short[check.checksum])
    if mark in moved or _has(target, table, check, *mark):
        return
    for payload in remains.payloads(cell):
        row = (cell.key, *values(payload)[1:])
        if table.takes(row):
            if not _put(target, table, row):
                last = f"SELECT max({table.key[0]}) FROM {table.name}"  # noqa: S608
                free = target.execute(last).fetchone()[0] + 1
                _put(target, table, check.renumber(row, free))
                moved.add(mark)
            return


def _has(
    target: sqlite3.Connection, table: _Table, check: Check, key: Value, checksum: Value
) -> bool:
    """Whether the very row is there."""
    there = target.execute(
        f"SELECT 1 FROM {table.name} WHERE {table.key[0]} = ? "  # noqa: S608
        f"AND {table.columns[check.checksum]} = ?",
        (key, checksum),
    )
    return there.fetchone() is not None


def _put(target: sqlite3.Connection, table: _Table, row: Row) -> bool:
    """Insert the row; False where its key is taken."""
    names, marks = ", ".join(table.columns[: len(row)]), ", ".join("?" * len(row))
    insert = f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608
    with suppress(sqlite3.IntegrityError):  # a row that cannot have been written like that
        return target.execute(insert, row).rowcount > 0
    return False


def replace_damaged(path: Path) -> Path:
    """Set the damaged file aside, give its name to the new one, and return the old one's name."""
    taken = (path.with_name(f"{path.name}.corrupt-{n}") for n in range(1, _ASIDE_MAX))
    aside = next((candidate for candidate in taken if not candidate.exists()), None)
    if aside is None:
        raise StoreError(f"{path}: {_ASIDE_MAX - 1} damaged files lie beside it; remove some")
    path.replace(aside)
    for suffix in _COMPANIONS:
        companion = Path(f"{path}{suffix}")
        if companion.exists():
            companion.replace(f"{aside}{suffix}")
    finish_replacement(path)
    return aside


def finish_replacement(path: Path) -> None:
    """Do the last steps of a replacement, also of one that a crash interrupted."""
    fresh = fresh_path(path)
    if path.exists() or not fresh.exists():
        return
    for suffix in _COMPANIONS:
        # SQLite would play an old log into the new file.
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make new names in the directory durable."""
    if os.name != "posix":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
