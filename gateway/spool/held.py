"""Lines of the spool that wait for their time: how they are written, and how they get it.

A held line is line protocol whose last number is the arrival in nanoseconds since the machine's
start. Before it stands the device's own time, where the device gave one: whether that is right is
judged when the arrival has its date.

    sensor,device=a temperature=20.5 43000000123
    sensor,device=a temperature=20.5 1764072000000000000 43000000123

Fields never end like a time: a text ends with a quote, a number has its name in front. So a line is
read from its end, whatever stands in it.

Rows lie in the table `held`, each with the identity of the machine's run; the functions below work
on a connection that somebody else owns: no counts, no transactions.
"""

import re
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from gateway.model import Observation, TimeSource
from gateway.sinks.line_protocol import encode
from gateway.spool.pages import Row
from gateway.times import is_since_boot, time_of

ROWS_TAKEN = 16
"""In one transaction: about a megabyte."""

_SEQ_MAX = 2**62
"""Damage may have made a number larger."""

_TIME = re.compile(rb"-?[0-9]+")


class HeldRow(NamedTuple):
    """A row as it was found."""

    seq: int
    boot: str
    lines: int
    crc: int
    committed_ns: int
    body: bytes
    droppable: int

    def is_whole(self) -> bool:
        """Whether it is what was written."""
        return (
            self.crc == checksum(self.boot, self.seq, self.lines, self.body)
            and self.lines == self.body.count(b"\n") + 1
        )

    def each_line(self) -> list[bytes]:
        return self.body.split(b"\n")

    def lines_within_reason(self) -> int:
        """Its number of lines, also where it is damaged."""
        return max(min(self.lines or 0, len(self.body)), 1)


class Sorted(NamedTuple):
    """What becomes of rows."""

    dated: list[tuple[int, bytes, int]]
    """Number of lines, body, whether it may be dropped."""
    dead: list[bytes]
    """Lines that will never have a time."""
    corrupt: list[HeldRow]


def pack(observation: Observation) -> bytes:
    """A line of line protocol, or a held one where the observation arrived without a time."""
    line = encode(observation)
    received_at_ns = observation.received_at_ns
    if is_since_boot(received_at_ns) and observation.time_source is TimeSource.DEVICE:
        return b"%s %d" % (line, received_at_ns)
    return line


def dated(line: bytes, offset_ns: int) -> bytes:
    """The held line with its time, by the date of the machine's start."""
    rest, _, since_boot = line.rpartition(b" ")
    point, _, stated = rest.rpartition(b" ")
    received_at_ns = int(since_boot) + offset_ns
    if not _TIME.fullmatch(stated):
        return b"%s %d" % (rest, received_at_ns)
    return b"%s %d" % (point, time_of(int(stated), received_at_ns))


def checksum(boot: str, seq: int, lines: int | None, body: bytes) -> int:
    """Of a row's body and all that says whose it is."""
    return crc32(body, crc32(f"{boot} {seq} {lines or 0}\n".encode("utf-8", "replace")))


def is_unaltered(row: Row) -> bool:
    """Whether a row of the table is as it was written."""
    match row:
        case (int(seq), str(boot), int(lines), int(crc), int(at_ns), bytes(body), *_):
            return HeldRow(seq, boot, lines, crc, at_ns, body, 0).is_whole()
        case _:
            return False


def renumbered(row: Row, seq: int) -> Row:
    match row:
        case (_, str(boot), int(lines), _, at_ns, bytes(body), *more):
            return (seq, boot, lines, checksum(boot, seq, lines, body), at_ns, body, *more)
        case _:
            return row


def put(
    db: sqlite3.Connection, boot: str, committed_ns: int, bodies: Iterable[tuple[int, bytes, int]]
) -> None:
    """Keep bodies of rows, each with its number of lines, and whether it may be dropped."""
    last = "SELECT coalesce(max(seq), 0) FROM held WHERE seq < ?"
    first = db.execute(last, (_SEQ_MAX,)).fetchone()[0] + 1
    rows = [
        (seq, boot, lines, checksum(boot, seq, lines, body), committed_ns, body, droppable)
        for seq, (lines, body, droppable) in enumerate(bodies, first)
    ]
    db.executemany("INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def sort_out(rows: Iterable[HeldRow], boot: str, offset_ns: int) -> Sorted:
    """What becomes of the rows, now that the start of this run has its date."""
    made = Sorted([], [], [])
    for row in rows:
        if not row.is_whole():
            made.corrupt.append(row)
        elif row.boot != boot:
            made.dead.extend(row.each_line())
        else:
            body = b"\n".join(dated(line, offset_ns) for line in row.each_line())
            made.dated.append((row.lines, body, row.droppable))
    return made


def take(db: sqlite3.Connection, boot: str) -> list[HeldRow]:
    """Remove the first rows: of this run, else of others; an empty list where none is held."""
    for condition in ("boot IS ?", "boot IS NOT ?"):
        with closing(_scan(db, condition, boot)) as rows:
            if found := list(islice(rows, ROWS_TAKEN)):
                _delete(db, found)
                return found
    return []


def take_droppable(db: sqlite3.Connection, size: int) -> list[HeldRow]:
    """Remove the first rows that may be dropped, until so many bytes are gone."""
    taken = []
    with closing(_scan(db, "droppable IS ?", 1)) as rows:
        for row in rows:
            taken.append(row)
            size -= len(row.body)
            if size <= 0:
                break
    _delete(db, taken)
    return taken


def _scan(
    db: sqlite3.Connection, condition: str, value: str | int
) -> Generator[HeldRow, None, None]:
    columns = (
        "seq, coalesce(CAST(boot AS TEXT), ''), CAST(lines AS INTEGER), crc, "
        "CAST(committed_ns AS INTEGER), coalesce(CAST(body AS BLOB), x''), "
        "CAST(droppable AS INTEGER)"
    )
    query = f"SELECT {columns} FROM held WHERE {condition} ORDER BY seq"  # noqa: S608
    with closing(db.execute(query, (value,))) as rows:
        yield from map(HeldRow._make, rows)


def _delete(db: sqlite3.Connection, rows: Sequence[HeldRow]) -> None:
    db.executemany("DELETE FROM held WHERE seq = ?", [(row.seq,) for row in rows])


def set_aside(db: sqlite3.Connection, corrupt: Sequence[HeldRow]) -> None:
    """Keep corrupt rows for inspection."""
    db.executemany(
        "INSERT INTO corrupt_rows (seq, lines, crc, committed_ns, body) VALUES (?, ?, ?, ?, ?)",
        [(row.seq, row.lines, row.crc, row.committed_ns, row.body) for row in corrupt],
    )
