"""The spool: lines of line protocol on disk until InfluxDB has them. Format: `gateway/spool`.

Strategy: one row is a batch of lines, written and deleted as a whole, in the transaction that moves
the counts. A row is checked against its own CRC when it is read; one that fails is set aside and
counted, never delivered. Rows that are read are taken: nobody gets them again, and nothing evicts
them, until they are settled. At the limit the oldest droppable rows are evicted by the very
transaction that brings new ones, so the limit holds at every instant. Limits: rows of `ROW_BYTES`
(a longer line has a row to itself); of corrupt rows the latest, up to a share of the spool, are
kept. Dead letters: `letters`.
"""

import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Self

from gateway.model import Batch, DeadLetter, Group, Observation
from gateway.spool import held, letters
from gateway.spool.counts import Counts, add
from gateway.spool.database import Database, put_shared
from gateway.spool.examine import pragma
from gateway.spool.letters import KeptLetter, LetterCounts
from gateway.spool.mishaps import DamagedError
from gateway.spool.pending import check_missing, recount, withdraw, withdraw_held
from gateway.spool.rows import (
    CORRUPT_SHARE_OF_SPOOL,
    HIGHEST,
    LOWEST,
    bodies_of,
    checksum,
    delete_rows,
    is_unaltered,
    keep_latest_corrupt,
    renumbered,
    take,
)
from gateway.spool.salvage import Check
from gateway.times import is_since_boot

NEVER_SET = (
    "the clock was never set before the machine was started again: "
    "the line ends with nanoseconds since that earlier start"
)
"""Why a held line is dead; there is no status of a server then."""

_SHRINK_PAGES = 256
"""Pages given back to the file system in one transaction, or what the log may hold: they are moved
before they are given back."""
_SHRINK_FREE_MIN = 1024
"""Fewer free pages than these are kept for the next rows."""

_EMPTY = -1.0
"""The pressure where nothing waits for delivery: ample room."""

EVICTED_ROWS_MAX = 1_000
"""In one transaction, of those that are too old."""


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
    checks: ClassVar = {
        "rows": Check(2, is_unaltered, renumbered),
        "held": Check(3, held.is_unaltered, held.renumbered),
    }

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        min_free: int,
        now_ns: Callable[[], int],
        max_age_ns: int | None = None,
        boot: str = "",
    ) -> None:
        self._now_ns = now_ns
        self._boot = boot
        self._max_age_ns = max_age_ns
        self._letter_bytes_max = max_bytes // letters.SHARE_OF_SPOOL
        self._corrupt_bytes_max = max_bytes // CORRUPT_SHARE_OF_SPOOL
        self._last_seq = 0
        """Numbers are not used again while a reader may remember one."""
        self._taken: set[int] = set()
        self._droppable_after = LOWEST
        """No row up to this one can be evicted."""
        super().__init__(path, max_bytes=max_bytes, min_free=min_free)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        max_bytes: int,
        min_free: int,
        now_ns: Callable[[], int],
        max_age_ns: int | None = None,
        boot: str = "",
    ) -> Self:
        """Blocking. Raises StoreError; a damaged file is salvaged, see `warnings`.

        Args:
            path: the file.
            max_bytes: the most that file and log may take.
            min_free: what is left of the disk to others, and to deleting.
            now_ns: the time of day.
            max_age_ns: rows committed longer ago are evicted; None: they are kept for ever.
            boot: which run of the machine this is.
        """
        return cls(
            path,
            max_bytes=max_bytes,
            min_free=min_free,
            now_ns=now_ns,
            max_age_ns=max_age_ns,
            boot=boot,
        )

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
            self._append(db, counts, [*_bodies(group.rows), *_bodies(group.droppable, 1)])
            waiting = [*_bodies(group.held), *_bodies(group.held_droppable, 1)]
            held.put(db, self._boot, self._now_ns(), waiting)
            put_shared(db, group)
            waits = (*group.held, *group.held_droppable)
            add(counts, "spooled", len(group.rows) + len(group.droppable) + len(waits))
            add(counts, "pending", len(waits))
            add(counts, "pending_bytes", sum(len(row) + 1 for row in waits))
            add(counts, "held", len(waits))
            may_evict = group.droppable or group.held_droppable
            passed = self._evict_excess(db, counts) if may_evict else self._droppable_after
        self._droppable_after = passed

    def release(self, offset_ns: int) -> None:
        """Give some held rows their time; those of earlier runs of the machine are dead.

        Droppable rows stay so. A corrupt one is set aside, as in `read`.
        """
        with self._transaction() as (db, counts):
            taken = held.take(db, self._boot)
            dated, dead, corrupt = held.sort_out(taken, self._boot, offset_ns)
            self._append(db, counts, dated)
            self._bury(db, counts, [DeadLetter(line, 0, NEVER_SET) for line in dead])
            held.set_aside(db, corrupt)
            keep_latest_corrupt(db, self._corrupt_bytes_max)
            withdraw_held(db, counts, taken)

    def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        """Take rows from one end, up to the limits but at least one; None: there is none.

        Whichever end, they are in order of arrival. Corrupt rows on the way are set aside.
        """
        while True:
            with self._open() as db:
                bodies, corrupt = take(db, self._taken, max_bytes, max_lines, newest=newest)
            if corrupt:
                self._set_aside(corrupt)
            if bodies:
                rows = tuple(sorted(bodies))
                self._taken.update(rows)
                lines = [line for seq in rows for line in bodies[seq].split(b"\n")]
                return Batch(rows, lines, sum(len(body) + 1 for body in bodies.values()))
            if not corrupt:
                return None

    def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        """The rows are dealt with: so many lines delivered, the others dead. All or nothing."""
        with self._transaction() as (db, counts):
            found, lines, size = delete_rows(db, rows)
            if found == len(rows) and lines != delivered + len(dead):
                raise ValueError(f"{lines} lines to settle, not {delivered} and {len(dead)} dead")
            add(counts, "delivered", delivered)
            self._bury(db, counts, dead)
            hidden = withdraw(db, counts, lines, size)
            if found < len(rows):
                check_missing(db, counts, rows)
            if counts["corrupt"] < 0:  # rows were back that had been counted as gone
                add(counts, "spooled", -counts["corrupt"])
                counts["corrupt"] = 0
            _shrink(db, min(_SHRINK_PAGES, self._wal_bytes // pragma(db, "page_size")))
        self._is_damaged |= hidden
        self._taken.difference_update(rows)

    def pressure(self) -> float:
        while self._evict_old():
            pass
        found = super().pressure()
        if found == math.inf or self._counts.get("pending", 0):
            return found
        return min(found, _EMPTY)  # whatever else it holds: no delivery will make more room

    def space(self) -> dict[str, int]:
        """Bytes on disk and their limits."""
        with self._open() as db:
            return {
                "file": pragma(db, "page_count") * pragma(db, "page_size"),
                "free_pages": pragma(db, "freelist_count") * pragma(db, "page_size"),
                "log": self._log_bytes(),
                "max": self._max_bytes or 0,
                "disk_free": shutil.disk_usage(self.path.parent).free,
                "min_free": self._min_free,
            }

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for looking; what SQLite raises becomes a StoreError."""
        with self._open() as db:
            yield db

    def dead_letters(self, limit: int) -> list[KeptLetter]:
        """The latest ones first."""
        with self._open() as db:
            return letters.find(db, letters.ALL, limit=limit, max_bytes=2**63, newest=True)

    def letter_counts(self) -> LetterCounts:
        """What became of the dead letters; cheap, any thread."""
        return letters.counts_of(self._counts)

    def retry(self, mended: Sequence[tuple[KeptLetter, bytes]]) -> None:
        """Put dead letters that were just found back for delivery, as these lines; all or none."""
        with self._transaction() as (db, counts):
            self._append(db, counts, [*_bodies([line for _, line in mended])])
            letters.retried(db, counts, [letter for letter, _ in mended])

    def drop(self, unwanted: Sequence[KeptLetter]) -> None:
        """Delete dead letters that were just found; all or none."""
        with self._transaction() as (db, counts):
            letters.dropped(db, counts, unwanted)

    def _append(
        self, db: sqlite3.Connection, counts: Counts, bodies: Sequence[tuple[int, bytes, int]]
    ) -> None:
        """Add rows to what is pending: lines, body, whether it may be dropped."""
        now_ns = self._now_ns()
        last = max(db.execute("SELECT max(seq) FROM rows").fetchone()[0] or 0, self._last_seq)
        rows = [
            (seq, lines, checksum(seq, lines, body), now_ns, body, droppable)
            for seq, (lines, body, droppable) in enumerate(bodies, last + 1)
        ]
        db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        add(counts, "pending", sum(lines for lines, *_ in bodies))
        add(counts, "pending_bytes", sum(len(body) + 1 for _, body, _ in bodies))
        self._last_seq = last + len(rows)

    def _bury(self, db: sqlite3.Connection, counts: Counts, dead: Sequence[DeadLetter]) -> None:
        letters.put(db, counts, dead, at_ns=self._now_ns(), max_bytes=self._letter_bytes_max)

    def _evict_old(self) -> bool:
        """Evict a number of rows that are too old; whether there may be more."""
        if self._max_age_ns is None:
            return False
        oldest_ns = self._now_ns() - self._max_age_ns
        with self._open() as db:
            found = db.execute(
                "SELECT seq, committed_ns FROM rows ORDER BY seq LIMIT ?",
                (len(self._taken) + EVICTED_ROWS_MAX,),
            )
            old = [
                seq
                for seq, committed_ns in found
                if committed_ns < oldest_ns
                and not is_since_boot(committed_ns)
                and seq not in self._taken
            ]
        if old:
            with self._transaction() as (db, counts):
                _evict(db, counts, old)
        return len(old) >= EVICTED_ROWS_MAX

    def _evict_excess(self, db: sqlite3.Connection, counts: Counts) -> int:
        """Evict the oldest droppable rows until the limit is kept, or there are none left.

        Returns the row up to which nothing is left to evict.
        """
        excess = self._excess_bytes(db)
        if excess <= 0:
            return self._droppable_after
        evicted: list[int] = []
        with closing(
            db.execute(
                "SELECT seq, length(body) FROM rows WHERE seq > ? AND droppable ORDER BY seq",
                (self._droppable_after,),
            )
        ) as rows:
            for seq, size in rows:
                if seq not in self._taken:
                    evicted.append(seq)
                    excess -= size
                    if excess <= 0:
                        break
        _evict(db, counts, evicted)
        if excess > 0:  # what is held came last, so it goes last
            dropped = held.take_droppable(db, excess)
            add(counts, "evicted", sum(row.lines_within_reason() for row in dropped))
            withdraw_held(db, counts, dropped)
        last = evicted[-1] if evicted else self._droppable_after
        return min(last, min(self._taken, default=HIGHEST) - 1)

    def _set_aside(self, corrupt: Sequence[int]) -> None:
        with self._transaction() as (db, counts):
            for seq in corrupt:  # one by one: the copies never take more than their share
                db.execute(
                    "INSERT INTO corrupt_rows (seq, lines, crc, committed_ns, body) "
                    "SELECT seq, lines, crc, committed_ns, body FROM rows WHERE seq = ?",
                    (seq,),
                )
                keep_latest_corrupt(db, self._corrupt_bytes_max)
            found, lines, size = delete_rows(db, corrupt)
            if found != len(corrupt):
                raise DamagedError(
                    "the table is out of order: a scan finds what a look-up does not"
                )
            hidden = withdraw(db, counts, lines, size)
        self._is_damaged |= hidden

    def _misses_counts(self, counts: Counts) -> bool:
        return letters.missing(counts) != 0

    def _repair(self, db: sqlite3.Connection, counts: Counts) -> str:
        words = recount(db, counts)
        letters.recount(db, counts)
        return words


def _bodies(lines: Sequence[bytes], droppable: int = 0) -> Iterator[tuple[int, bytes, int]]:
    return ((*found, droppable) for found in bodies_of(lines))


def _evict(db: sqlite3.Connection, counts: Counts, rows: Sequence[int]) -> None:
    _, lines, size = delete_rows(db, rows)
    add(counts, "evicted", lines)
    withdraw(db, counts, lines, size)


def _shrink(db: sqlite3.Connection, pages: int) -> None:
    """Give pages back when a backlog is drained: not before most are free, for it moves others."""
    free = pragma(db, "freelist_count")
    if free > _SHRINK_FREE_MIN and 4 * free > 3 * pragma(db, "page_count"):
        for _ in range(pages):  # the module steps a pragma without columns only once
            db.execute("PRAGMA incremental_vacuum(1)")
