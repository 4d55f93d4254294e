"""The counts of what is pending, kept in step with the tables `rows` and `held`.

Damage may have changed what a row says of itself, and so what leaves with it. It comes to light
when the last row is gone: what no other count has taken then is corrupt, or in rows that damage has
hidden.
"""

import sqlite3
from collections.abc import Collection, Sequence

from gateway.spool.counts import Counts, add, missing_lines
from gateway.spool.held import HeldRow
from gateway.spool.mishaps import DamagedError
from gateway.spool.rows import LINES, is_hidden


def withdraw(db: sqlite3.Connection, counts: Counts, lines: int, size: int) -> bool:
    """Take what has left the tables off the counts; what no other count has taken is corrupt.

    Returns whether lines are pending that damage has hidden: no row is left to hold them.
    """
    counts["pending"] = max(counts.get("pending", 0) - lines, 0)
    counts["pending_bytes"] = max(counts.get("pending_bytes", 0) - size, 0)
    add(counts, "corrupt", missing_lines(counts))
    left = "SELECT EXISTS (SELECT 1 FROM rows) OR EXISTS (SELECT 1 FROM held)"
    if db.execute(left).fetchone()[0]:
        return False
    if not counts["pending"]:
        counts["pending_bytes"] = 0
    return counts["pending"] > 0


def check_missing(db: sqlite3.Connection, counts: Counts, rows: Sequence[int]) -> None:
    """Rows that were read are not there any more: only a salvage may have lost them."""
    if is_hidden(db, rows):
        raise DamagedError("the table is out of order: a look-up misses what a scan finds")
    if counts["corrupt"] < 0:
        raise ValueError("rows to settle are not there: settled before?")


def withdraw_held(db: sqlite3.Connection, counts: Counts, taken: Collection[HeldRow]) -> bool:
    """Likewise what has left `held`: while a row is left there the count is not 0."""
    lines = sum(row.lines_within_reason() for row in taken)
    is_left = db.execute("SELECT EXISTS (SELECT 1 FROM held)").fetchone()[0]
    counts["held"] = max(counts.get("held", 0) - lines, 1) if is_left else 0
    return withdraw(db, counts, lines, sum(len(row.body) + 1 for row in taken))


def recount(db: sqlite3.Connection, counts: Counts) -> str:
    """Make the counts what the tables hold, after damage; words for the operator."""
    (ready, ready_size), (waiting, waiting_size) = (
        db.execute(
            f"SELECT total({LINES}), total(length(body) + 1) FROM {table}"  # noqa: S608
        ).fetchone()
        for table in ("rows", "held")
    )
    for name, count in counts.items():
        counts[name] = max(count, 0)
    counts["held"], counts["pending"] = int(waiting), int(ready + waiting)
    counts["pending_bytes"] = int(ready_size + waiting_size)
    missing = missing_lines(counts)
    add(counts, "corrupt" if missing > 0 else "spooled", abs(missing))
    return f"{counts['pending']} pending lines are kept, {max(missing, 0)} are lost"
