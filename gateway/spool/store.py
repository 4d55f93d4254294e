"""The spool: lines of line protocol on disk until InfluxDB has them. Format: `gateway/spool`.

Strategy: one row is a batch of lines, written and deleted as a whole, in the transaction that moves
the counts. A row is checked against its own CRC when it is read; one that fails is set aside and
counted, never delivered. Limits: rows of `ROW_BYTES` (a longer line has a row to itself);
of corrupt rows and dead letters the latest are kept.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self
from zlib import crc32

from gateway.model import Batch, DeadLetter, Group, Observation
from gateway.spool import held
from gateway.spool.database import (
    Counts,
    DamagedError,
    Database,
    missing_lines,
    pragma,
    put_shared,
    storable,
)

ROW_BYTES = 64 * 1024
DEAD_LETTERS_MAX = 100_000
CORRUPT_ROWS_MAX = 100
MESSAGE_CHARS_MAX = 500
NEVER_SET = (
    "the clock was never set before the machine was started again: "
    "the line ends with nanoseconds since that earlier start"
)
"""Why a held line is dead; there is no status of a server then."""

_SHRINK_PAGES = 256
"""Pages given back to the file system in one transaction."""
_SHRINK_FREE_MIN = 1024
"""Fewer free pages than these are kept for the next rows."""

_LOWEST = -(2**63)
"""Damage may have made a number negative."""

_LINES = "coalesce(min(max(CAST(lines AS INTEGER), 1), length(body)), 1)"
"""A row's number of lines, within reason where it is damaged."""


class KeptLetter(NamedTuple):
    """A dead letter in the spool."""

    id: int
    at_ns: int
    letter: DeadLetter


class Spool(Database):
    """The `Store[bytes]` in front of InfluxDB: a row is a line without its newline."""

    schema = """
    CREATE TABLE rows (
        seq INTEGER PRIMARY KEY, lines INTEGER NOT NULL, crc INTEGER NOT NULL,
        committed_ns INTEGER NOT NULL, body BLOB NOT NULL
    , droppable INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE corrupt_rows (id INTEGER PRIMARY KEY, seq, lines, crc, committed_ns, body);
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, status INTEGER NOT NULL,
        message TEXT NOT NULL, line BLOB NOT NULL
    );
    CREATE TABLE held (
        seq INTEGER PRIMARY KEY, boot TEXT NOT NULL, lines INTEGER NOT NULL, crc INTEGER NOT NULL,
        committed_ns INTEGER NOT NULL, body BLOB NOT NULL, droppable INTEGER NOT NULL DEFAULT 0
    );
    """
    schema_version = 2
    upgrades = {  # noqa: RUF012 -- annotated in the base
        1: "ALTER TABLE rows ADD COLUMN droppable INTEGER NOT NULL DEFAULT 0;"
        + schema[schema.index("CREATE TABLE held") :]
    }
    application_id = 0x53475350  # "SGSP"
    file_mode = 0o600

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        min_free: int,
        now_ns: Callable[[], int],
        boot: str = "",
    ) -> None:
        self._now_ns = now_ns
        self._boot = boot
        self._last_seq = 0
        """Numbers are not used again while a reader may remember one."""
        super().__init__(path, max_bytes=max_bytes, min_free=min_free)

    @classmethod
    def open(
        cls, path: Path, *, max_bytes: int, min_free: int, now_ns: Callable[[], int], boot: str = ""
    ) -> Self:
        """Blocking. Raises StoreError; a damaged file is salvaged, see `warnings`."""
        return cls(path, max_bytes=max_bytes, min_free=min_free, now_ns=now_ns, boot=boot)

    def pack(self, observation: Observation) -> bytes:
        return held.pack(observation)

    def size(self, row: bytes) -> int:
        return len(row) + 1

    def pending_bytes(self) -> int:
        """Bytes of the pending lines, newlines included; cheap, any thread."""
        return self._counts.get("pending_bytes", 0)

    def commit(self, group: Group[bytes]) -> None:
        """On return the group is on disk. Raises StoreError: nothing of it is; try again."""
        with self._transaction() as (db, counts):
            last = self._insert(db, [(*found, 0) for found in _bodies(group.rows)])
            waiting = [(*found, 0) for found in _bodies(group.held)]
            held.put(db, self._boot, self._now_ns(), waiting)
            put_shared(db, group)
            came = (*group.rows, *group.held)
            _add(counts, "spooled", len(came))
            _add(counts, "pending", len(came))
            _add(counts, "pending_bytes", sum(len(row) + 1 for row in came))
            _add(counts, "held", len(group.held))
        self._last_seq = last

    def release(self, offset_ns: int) -> None:
        """Give some held rows their time; those of earlier runs of the machine are dead.

        Droppable rows stay so. A corrupt one is set aside, as in `read`.
        """
        with self._transaction() as (db, counts):
            taken = held.take(db, self._boot)
            whole = [row for row in taken if row.is_whole()]
            dead = [line for row in whole if row.boot != self._boot for line in row.each_line()]
            dated = [
                (
                    row.lines,
                    b"\n".join(held.dated(line, offset_ns) for line in row.each_line()),
                    row.droppable,
                )
                for row in whole
                if row.boot == self._boot
            ]
            last = self._insert(db, dated)
            self._bury(db, [DeadLetter(line, 0, NEVER_SET) for line in dead])
            _add(counts, "dead", len(dead))
            held.set_aside(db, [row for row in taken if row not in whole])
            _keep_latest(db, "corrupt_rows", CORRUPT_ROWS_MAX)
            lines = sum(row.lines_within_reason() for row in taken)
            _withdraw_held(db, counts, lines)
            gone = lines - sum(count for count, *_ in dated)
            grown = sum(len(body) + 1 for _, body, _ in dated)
            _withdraw(db, counts, gone, sum(len(row.body) + 1 for row in taken) - grown)
        self._last_seq = last

    def read(self, after: int, max_bytes: int, max_lines: int) -> Batch | None:
        """The rows that follow `after`, up to the limits but at least one; None: there is none.

        Corrupt rows on the way are set aside.
        """
        while True:
            with self._open() as db:
                bodies, corrupt = _take(db, after, max_bytes, max_lines)
            if corrupt:
                self._set_aside(corrupt)
            if bodies:
                lines = [line for body in bodies.values() for line in body.split(b"\n")]
                size = sum(len(body) + 1 for body in bodies.values())
                return Batch(tuple(bodies), lines, size)
            if not corrupt:
                return None

    def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        """The rows are dealt with: so many lines delivered, the others dead. All or nothing."""
        with self._transaction() as (db, counts):
            found, lines, size = _delete(db, rows)
            if found == len(rows) and lines != delivered + len(dead):
                raise ValueError(f"{lines} lines to settle, not {delivered} and {len(dead)} dead")
            self._bury(db, dead)
            _add(counts, "delivered", delivered)
            _add(counts, "dead", len(dead))
            _withdraw(db, counts, lines, size)
            if counts["corrupt"] < 0:  # rows may be missing only where a salvage has lost them
                raise ValueError("rows to settle are not there: settled before?")
            _shrink(db)

    def dead_letters(self, limit: int) -> list[KeptLetter]:
        """The latest ones first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT id, at_ns, line, status, message FROM dead_letters "
                "ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [KeptLetter(key, at_ns, DeadLetter(*letter)) for key, at_ns, *letter in rows]

    def _insert(self, db: sqlite3.Connection, bodies: Iterable[tuple[int, bytes, int]]) -> int:
        """Add rows at the end: lines, body, whether it may be dropped. The last number given."""
        now_ns = self._now_ns()
        last = max(db.execute("SELECT max(seq) FROM rows").fetchone()[0] or 0, self._last_seq)
        rows = [
            (seq, lines, _checksum(seq, lines, body), now_ns, body, droppable)
            for seq, (lines, body, droppable) in enumerate(bodies, last + 1)
        ]
        db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        return last + len(rows)

    def _bury(self, db: sqlite3.Connection, dead: Sequence[DeadLetter]) -> None:
        now_ns = self._now_ns()
        db.executemany(
            "INSERT INTO dead_letters (at_ns, status, message, line) VALUES (?, ?, ?, ?)",
            [(now_ns, d.status, storable(d.message[:MESSAGE_CHARS_MAX]), d.line) for d in dead],
        )
        if dead:
            _keep_latest(db, "dead_letters", DEAD_LETTERS_MAX)

    def _set_aside(self, corrupt: Sequence[int]) -> None:
        with self._transaction() as (db, counts):
            db.executemany(
                "INSERT INTO corrupt_rows (seq, lines, crc, committed_ns, body) "
                "SELECT seq, lines, crc, committed_ns, body FROM rows WHERE seq = ?",
                [(seq,) for seq in corrupt],
            )
            _keep_latest(db, "corrupt_rows", CORRUPT_ROWS_MAX)
            found, lines, size = _delete(db, corrupt)
            if found != len(corrupt):
                raise DamagedError(
                    "the table is out of order: a scan finds what a look-up does not"
                )
            _withdraw(db, counts, lines, size)

    def _repair(self, db: sqlite3.Connection, counts: Counts) -> str:
        (ready, ready_size), (waiting, waiting_size) = (
            db.execute(
                f"SELECT total({_LINES}), total(length(body) + 1) FROM {table}"  # noqa: S608
            ).fetchone()
            for table in ("rows", "held")
        )
        for name, count in counts.items():
            counts[name] = max(count, 0)
        counts["held"], counts["pending"] = int(waiting), int(ready + waiting)
        counts["pending_bytes"] = int(ready_size + waiting_size)
        missing = missing_lines(counts)
        _add(counts, "corrupt" if missing > 0 else "spooled", abs(missing))
        return f"{counts['pending']} pending lines are kept, {max(missing, 0)} are lost"


def _bodies(lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines as bodies of rows, each with its number of lines."""
    start = size = 0
    for end, line in enumerate(lines):
        if start < end and size + len(line) > ROW_BYTES:
            yield end - start, b"\n".join(lines[start:end])
            start, size = end, 0
        size += len(line) + 1
    if start < len(lines):
        yield len(lines) - start, b"\n".join(lines[start:])


def _checksum(seq: int, lines: int | None, body: bytes) -> int:
    return crc32(body, crc32(b"%d %d\n" % (seq, lines or 0)))


def _take(
    db: sqlite3.Connection, after: int, max_bytes: int, max_lines: int
) -> tuple[dict[int, bytes], list[int]]:
    """The bodies of the next rows by their number, and the numbers of corrupt ones among them."""
    bodies: dict[int, bytes] = {}
    corrupt: list[int] = []
    size = count = 0
    with closing(
        db.execute(
            "SELECT seq, CAST(lines AS INTEGER), crc, CAST(body AS BLOB) FROM rows "
            "WHERE seq > ? ORDER BY seq",
            (after or _LOWEST,),
        )
    ) as rows:
        for seq, lines, crc, stored in rows:
            body = stored or b""
            if crc != _checksum(seq, lines, body) or lines != body.count(b"\n") + 1:
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


def _delete(db: sqlite3.Connection, rows: Sequence[int]) -> tuple[int, int, int]:
    """Delete the rows; how many there were, and their lines and bytes."""
    found = lines = size = 0
    for run in _runs(rows):
        sums = db.execute(
            f"SELECT total({_LINES}), total(length(body) + 1) "  # noqa: S608
            "FROM rows WHERE seq BETWEEN ? AND ?",
            run,
        ).fetchone()
        found += db.execute("DELETE FROM rows WHERE seq BETWEEN ? AND ?", run).rowcount
        lines += int(sums[0])
        size += int(sums[1])
    return found, lines, size


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """The numbers as ranges (first, last) without gaps."""
    runs: list[tuple[int, int]] = []
    for seq in sorted(rows):
        if runs and seq == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs


def _withdraw(db: sqlite3.Connection, counts: Counts, lines: int, size: int) -> None:
    """Take deleted rows off the pending counts; what no other count has taken is corrupt.

    What damage did to a row's number of lines comes to light when the last row is gone.
    """
    left = db.execute(
        "SELECT EXISTS (SELECT 1 FROM rows) OR EXISTS (SELECT 1 FROM held)"
    ).fetchone()[0]
    counts["pending"] = max(counts.get("pending", 0) - lines, 0) if left else 0
    counts["pending_bytes"] = max(counts.get("pending_bytes", 0) - size, 0) if left else 0
    _add(counts, "corrupt", missing_lines(counts))


def _withdraw_held(db: sqlite3.Connection, counts: Counts, lines: int) -> None:
    """Likewise what has left `held`: while a row is there the count is not 0."""
    left = db.execute("SELECT EXISTS (SELECT 1 FROM held)").fetchone()[0]
    counts["held"] = max(counts.get("held", 0) - lines, 1) if left else 0


def _add(counts: Counts, name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number


def _keep_latest(db: sqlite3.Connection, table: str, limit: int) -> None:
    db.execute(
        f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?",  # noqa: S608
        (limit,),
    )


def _shrink(db: sqlite3.Connection) -> None:
    """Give pages back when a backlog is drained: not before most are free, for it moves others."""
    free = pragma(db, "freelist_count")
    if free > _SHRINK_FREE_MIN and 4 * free > 3 * pragma(db, "page_count"):
        for _ in range(_SHRINK_PAGES):  # the module steps a pragma without columns only once
            db.execute("PRAGMA incremental_vacuum(1)")
