"""The counts in a store's file: lines by what became of them, and what else is counted."""

import sqlite3
from dataclasses import fields

from gateway.model import Totals

Counts = dict[str, int]

_TOTALS = tuple(f.name for f in fields(Totals))


def load_counts(db: sqlite3.Connection) -> Counts:
    """As they stand in the file; a missing one is 0."""
    return dict(
        db.execute("SELECT name, coalesce(CAST(value AS INTEGER), 0) FROM totals").fetchall()
    )


def save_counts(db: sqlite3.Connection, counts: Counts, before: Counts) -> None:
    """Write those that have changed."""
    changed = counts.items() - before.items()
    db.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?)", changed)


def to_totals(counts: Counts) -> Totals:
    """What of them the ledger knows."""
    return Totals(**{name: counts.get(name, 0) for name in _TOTALS})


def missing_lines(counts: Counts) -> int:
    """Lines that came and are in no other count: 0 while the equation of `Totals` holds."""
    came = sum(counts.get(name, 0) for name in ("spooled", "retried"))
    went = ("delivered", "dead", "evicted", "corrupt", "pending")
    return came - sum(counts.get(name, 0) for name in went)


def add_up(counts: Counts) -> bool:
    """Whether they may be true."""
    return not missing_lines(counts) and all(count >= 0 for count in counts.values())


def add(counts: Counts, name: str, number: int) -> None:
    """Raise a count."""
    counts[name] = counts.get(name, 0) + number
