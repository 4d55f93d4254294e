"""Replacing a damaged database: what can be read is copied into a new file, the old one is kept.

Strategy: a new file is filled beside the damaged one and takes its name only when it is complete
and on disk; a crash at any instant leaves either the damaged file, and the work begins anew, or
the complete new one. Limits: every table is read from its beginning up to the first damage and
from its end back to the last one; what lies between two damaged places is lost.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from gateway.errors import StoreError

DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file raises; the second where SQLite's message quotes damaged text."""

_COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database while it is open, or after a crash."""
_ASIDE_MAX = 1000


def fresh_path(path: Path) -> Path:
    """Where the new file is filled."""
    return path.with_name(path.name + ".new")


def copy_readable(damaged: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy what can be read of every table that `target` has; errors of `target` are raised."""
    with suppress(*DAMAGE):
        # Otherwise a file that was cut short is refused as a whole.
        damaged.execute("PRAGMA writable_schema = ON")
    tables = target.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if not _copy(damaged, target, table, "ASC"):
            _copy(damaged, target, table, "DESC")


def _copy(
    damaged: sqlite3.Connection, target: sqlite3.Connection, table: str, direction: str
) -> bool:
    """Copy rows up to the first damage; whether there was none."""
    columns = target.execute(f"PRAGMA table_info({table})").fetchall()
    key = sorted((position, name) for _, name, *_, position in columns if position)
    order = ", ".join(f"{name} {direction}" for _, name in key)
    names = ", ".join(name for _, name, *_ in columns)
    query = f"SELECT {names} FROM {table} ORDER BY {order}"  # noqa: S608 -- names of our own
    insert = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    try:
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
        with suppress(sqlite3.IntegrityError):  # a row that cannot have been written like that
            target.execute(insert, row)


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
