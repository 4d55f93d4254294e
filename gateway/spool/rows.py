"""Rows of the spool in its tables: lines joined, checked, scanned and deleted.

Pure SQL on a connection that somebody else owns: no counts, no transactions. A row is whole where
its checksum and its number of lines fit; whatever else the tables may hold is never handed out.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from zlib import crc32

from gateway.spool.mishaps import DamagedError
from gateway.spool.pages import Row

ROW_BYTES = 64 * 1024
CORRUPT_ROWS_MAX = 100
"""Kept for inspection, and set aside at a time."""

CORRUPT_SHARE_OF_SPOOL = 32
"""They take at most this part of the spool's bytes; the latest is kept whatever its size."""

LOWEST = -(2**63)
"""Damage may have made a number negative."""
HIGHEST = 2**63 - 1

LINES = "coalesce(min(max(CAST(lines AS INTEGER), 1), length(body)), 1)"
"""A row's number of lines, within reason where it is damaged."""


def bodies_of(lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines as bodies of rows, each with its number of lines."""
    start = size = 0
    for end, line in enumerate(lines):
        if start < end and size + len(line) > ROW_BYTES:
            yield end - start, b"\n".join(lines[start:end])
            start, size = end, 0
        size += len(line) + 1
    if start < len(lines):
        yield len(lines) - start, b"\n".join(lines[start:])


def checksum(seq: int, lines: int | None, body: bytes) -> int:
    return crc32(body, crc32(b"%d %d\n" % (seq, lines or 0)))


def is_intact(seq: int, lines: int | None, crc: object, body: bytes) -> bool:
    """Whether a row is as it was written."""
    return crc == checksum(seq, lines, body) and lines == body.count(b"\n") + 1


def is_unaltered(row: Row) -> bool:
    """Whether a row of the table is as it was written."""
    match row:
        case (int(seq), int(lines), crc, _, bytes(body), *_):
            return is_intact(seq, lines, crc, body)
        case _:
            return False


def renumbered(row: Row, seq: int) -> Row:
    match row:
        case (_, int(lines), _, committed_ns, bytes(body), *more):
            return (seq, lines, checksum(seq, lines, body), committed_ns, body, *more)
        case _:
            return row


def take(
    db: sqlite3.Connection, taken: Collection[int], max_bytes: int, max_lines: int, *, newest: bool
) -> tuple[dict[int, bytes], list[int]]:
    """The bodies of the next rows by their number, and the numbers of corrupt ones among them."""
    bodies: dict[int, bytes] = {}
    corrupt: list[int] = []
    size = count = 0
    for seq, lines, crc, stored in _scan(db, taken, newest=newest):
        body = stored or b""
        if not is_intact(seq, lines, crc, body):
            corrupt.append(seq)
            if len(corrupt) == CORRUPT_ROWS_MAX:
                break
            continue
        size += len(body) + 1
        count += lines
        if bodies and (size > max_bytes or count > max_lines):
            break
        bodies[seq] = body
    return bodies, corrupt


def _scan(
    db: sqlite3.Connection, taken: Collection[int], *, newest: bool
) -> Iterator[tuple[int, int, int, bytes | None]]:
    """The rows that are not taken, without reading the others, from one end to the other."""
    edges = [(LOWEST, LOWEST), *_runs(taken), (HIGHEST, HIGHEST)]
    gaps = [(before[1], after[0]) for before, after in pairwise(edges)]
    order = "DESC" if newest else "ASC"
    for gap in reversed(gaps) if newest else gaps:
        with closing(
            db.execute(
                "SELECT seq, CAST(lines AS INTEGER), crc, CAST(body AS BLOB) FROM rows "  # noqa: S608
                f"WHERE seq > ? AND seq < ? ORDER BY seq {order}",
                gap,
            )
        ) as rows:
            first, last = gap
            for row in rows:
                if not first < row[0] < last:
                    raise DamagedError("the table is out of order")
                first, last = (first, row[0]) if newest else (row[0], last)
                yield row


def delete_rows(db: sqlite3.Connection, rows: Sequence[int]) -> tuple[int, int, int]:
    """Delete the rows; how many there were, and their lines and bytes."""
    found = lines = size = 0
    for run in _runs(rows):
        sums = db.execute(
            f"SELECT total({LINES}), total(length(body) + 1) "  # noqa: S608
            "FROM rows WHERE seq BETWEEN ? AND ?",
            run,
        ).fetchone()
        found += db.execute("DELETE FROM rows WHERE seq BETWEEN ? AND ?", run).rowcount
        lines += int(sums[0])
        size += int(sums[1])
    return found, lines, size


def keep_latest_corrupt(db: sqlite3.Connection, max_bytes: int) -> None:
    """Let the oldest of the corrupt rows go that were set aside, until the limits are kept."""
    db.execute(
        "DELETE FROM corrupt_rows WHERE id IN (SELECT id FROM ("
        "SELECT id, row_number() OVER latest AS number, "
        "sum(coalesce(length(body), 0)) OVER latest AS size "
        "FROM corrupt_rows WINDOW latest AS (ORDER BY id DESC)"
        ") WHERE number > ? OR number > 1 AND size > ?)",
        (CORRUPT_ROWS_MAX, max_bytes),
    )


def is_hidden(db: sqlite3.Connection, rows: Sequence[int]) -> bool:
    """Whether any of the rows is there, which no look-up by its number finds."""
    scan = "SELECT EXISTS (SELECT 1 FROM rows WHERE +seq BETWEEN ? AND ?)"
    return any(db.execute(scan, run).fetchone()[0] for run in _runs(rows))


def _runs(rows: Collection[int]) -> list[tuple[int, int]]:
    """The numbers as ranges (first, last) without gaps."""
    runs: list[tuple[int, int]] = []
    for seq in sorted(rows):
        if runs and seq == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs
