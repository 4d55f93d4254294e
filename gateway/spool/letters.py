"""Dead letters: lines that the database refused for good, kept until somebody deals with them.

Strategy: a table in the spool's file, changed only in the transactions that move its lines, so that

    dead = kept + retried + dropped + forgotten

holds after any crash. A letter's number is never given again, not even after a restart: what was
exported "up to 17" can be dropped up to 17, whatever has died meanwhile. Limits: LETTERS_MAX
letters and a share of the spool's bytes; the oldest make room and count as forgotten. The latest
one is kept whatever its size.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from gateway.model import DeadLetter
from gateway.spool.counts import Counts, add
from gateway.spool.database import storable
from gateway.spool.rows import LOWEST

LETTERS_MAX = 100_000
SHARE_OF_SPOOL = 8
"""Letters take at most this part of the spool's bytes: an eighth."""

MESSAGE_CHARS_MAX = 500
_OVERHEAD_BYTES = 32

_COUNTS = ("letters", "letter_bytes", "letters_dropped", "letters_forgotten")
"""Beside the counts of the lines in the table `totals`."""

_SIZE = (
    f"coalesce(length(CAST(line AS BLOB)), 0) + coalesce(length(CAST(message AS BLOB)), 0)"
    f" + {_OVERHEAD_BYTES}"
)
_COLUMNS = (  # of any type where the file is damaged
    "id, coalesce(CAST(at_ns AS INTEGER), 0), coalesce(CAST(line AS BLOB), x''),"
    " coalesce(CAST(status AS INTEGER), 0), coalesce(CAST(message AS TEXT), '')"
)


class KeptLetter(NamedTuple):
    """A dead letter in the spool."""

    id: int
    at_ns: int
    letter: DeadLetter

    @property
    def size(self) -> int:
        """What it counts towards the limit."""
        return len(self.letter.line) + len(self.letter.message.encode()) + _OVERHEAD_BYTES


class LetterCounts(NamedTuple):
    """What became of the dead letters since the spool was made, beside those put back."""

    kept: int
    kept_bytes: int
    dropped: int
    """By somebody."""
    forgotten: int
    """The oldest, for the limits; or lost with a damaged file."""


class Selection(NamedTuple):
    """Which dead letters: these, or all that fulfil the conditions."""

    ids: tuple[int, ...] = ()
    message: str = ""
    """Part of the server's words."""
    up_to: int | None = None


ALL = Selection()


def counts_of(counts: Counts) -> LetterCounts:
    return LetterCounts(*(counts.get(name, 0) for name in _COUNTS))


def put(
    db: sqlite3.Connection,
    counts: Counts,
    dead: Sequence[DeadLetter],
    *,
    at_ns: int,
    max_bytes: int,
) -> None:
    """Keep lines that have died, count them dead, and let the oldest letters go beyond the limits.

    Args:
        db: in a transaction.
        counts: of that transaction.
        dead: the lines; the spool's own counts of them are the caller's business.
        at_ns: when they died.
        max_bytes: of all letters together.
    """
    if not dead:
        return
    highest = db.execute("SELECT max(id) FROM dead_letters").fetchone()[0] or 0
    first = max(highest, counts.get("dead", 0)) + 1
    kept = [
        KeptLetter(number, at_ns, DeadLetter(line, status, _words(message)))
        for number, (line, status, message) in enumerate(dead, first)
    ]
    db.executemany(
        "INSERT INTO dead_letters (id, at_ns, line, status, message) VALUES (?, ?, ?, ?, ?)",
        [(number, at_ns, *letter) for number, at_ns, letter in kept],
    )
    add(counts, "dead", len(kept))
    add(counts, "letters", len(kept))
    add(counts, "letter_bytes", sum(letter.size for letter in kept))
    _forget(db, counts, max_bytes)


def find(
    db: sqlite3.Connection,
    selection: Selection,
    *,
    after: int = LOWEST,
    limit: int,
    max_bytes: int,
    newest: bool = False,
) -> list[KeptLetter]:
    """Letters in the order of their numbers, up to the limits but at least one where there is one.

    Args:
        db: the spool.
        selection: which ones.
        after: only those with a higher number; for going on where the last call ended.
        limit: so many at most.
        max_bytes: their size together.
        newest: the highest numbers first instead.
    """
    condition, values = _where(selection)
    query = (
        f"SELECT {_COLUMNS} FROM dead_letters WHERE id > ? AND {condition} "  # noqa: S608
        f"ORDER BY id {'DESC' if newest else 'ASC'} LIMIT ?"
    )
    with closing(db.execute(query, (after, *values, limit))) as rows:
        return list(_bounded(rows, max_bytes))


def measure(db: sqlite3.Connection, selection: Selection) -> tuple[int, int]:
    """How many letters are selected, and the highest number; lines are not read."""
    condition, values = _where(selection)
    found = db.execute(
        f"SELECT count(*), coalesce(max(id), 0) FROM dead_letters WHERE {condition}",  # noqa: S608
        values,
    ).fetchone()
    return found[0], found[1]


def retried(db: sqlite3.Connection, counts: Counts, letters: Sequence[KeptLetter]) -> None:
    """These go back to the lines; the caller puts them there."""
    add(counts, "retried", _remove(db, counts, letters))


def dropped(db: sqlite3.Connection, counts: Counts, letters: Sequence[KeptLetter]) -> None:
    """These are wanted no more."""
    add(counts, "letters_dropped", _remove(db, counts, letters))


def missing(counts: Counts) -> int:
    """Letters that came and are in no other count: 0 while the equation above holds."""
    went = ("letters", "retried", "letters_dropped", "letters_forgotten")
    return counts.get("dead", 0) - sum(counts.get(name, 0) for name in went)


def recount(db: sqlite3.Connection, counts: Counts) -> None:
    """Make the counts agree with the table, after damage or for a file without such counts."""
    found = db.execute(f"SELECT count(*), total({_SIZE}) FROM dead_letters").fetchone()  # noqa: S608
    counts["letters"], counts["letter_bytes"] = int(found[0]), int(found[1])
    counts["letters_forgotten"] = 0
    if missing(counts) < 0:
        counts["letters_dropped"] = max(counts.get("letters_dropped", 0) + missing(counts), 0)
    if (too_few := -missing(counts)) > 0:  # the count of the dead itself is damaged
        add(counts, "dead", too_few)
        add(counts, "spooled", too_few)
    counts["letters_forgotten"] = missing(counts)


def _remove(db: sqlite3.Connection, counts: Counts, letters: Sequence[KeptLetter]) -> int:
    """Delete letters that were found in the same transaction; how many."""
    ids = [(letter.id,) for letter in letters]
    if ids and db.executemany("DELETE FROM dead_letters WHERE id = ?", ids).rowcount < len(ids):
        raise ValueError("dead letters are not there: dealt with before?")
    add(counts, "letters", -len(letters))
    add(counts, "letter_bytes", -sum(letter.size for letter in letters))
    return len(letters)


def _forget(db: sqlite3.Connection, counts: Counts, max_bytes: int) -> None:
    """Let the oldest go until the limits are kept."""
    surplus, surplus_bytes = counts["letters"] - LETTERS_MAX, counts["letter_bytes"] - max_bytes
    gone = gone_bytes = last = 0
    query = f"SELECT id, {_SIZE} FROM dead_letters ORDER BY id LIMIT ?"  # noqa: S608
    with closing(db.execute(query, (counts["letters"] - 1,))) as oldest:
        while gone < surplus or gone_bytes < surplus_bytes:
            row = oldest.fetchone()
            if row is None:
                break
            last = row[0]
            gone += 1
            gone_bytes += row[1]
    if gone:
        db.execute("DELETE FROM dead_letters WHERE id <= ?", (last,))
        add(counts, "letters", -gone)
        add(counts, "letter_bytes", -gone_bytes)
        add(counts, "letters_forgotten", gone)


def _where(selection: Selection) -> tuple[str, tuple[int | str, ...]]:
    """The selection as a condition, and the values for it."""
    conditions, values = ["TRUE"], list[int | str]()
    if selection.ids:
        conditions.append(f"id IN ({', '.join('?' * len(selection.ids))})")
        values += selection.ids
    if selection.message:
        conditions.append("instr(message, ?)")
        values.append(storable(selection.message))
    if selection.up_to is not None:
        conditions.append("id <= ?")
        values.append(selection.up_to)
    return " AND ".join(conditions), tuple(values)


def _bounded(rows: sqlite3.Cursor, max_bytes: int) -> Iterator[KeptLetter]:
    size = 0
    for number, (key, at_ns, *letter) in enumerate(rows):
        kept = KeptLetter(key, at_ns, DeadLetter(*letter))
        size += kept.size
        if number and size > max_bytes:
            return
        yield kept


def _words(message: str) -> str:
    return storable(message[:MESSAGE_CHARS_MAX])
