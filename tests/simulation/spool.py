"""A spool in memory: what `gateway.spool.store` promises, on a disk that outlives the process.

`MemoryDisk` is what is durable; a `MemorySpool` is one process's way to it. Every change is one
step, so a crash is before or after it. The disk can be full, fail, or be filled by others; both
stores pass `tests/spool/test_model.py`.

Limits: there is no damage here (that is SQLite's own, and tested on files, `tests/spool`), no log
beside the file, and no limit of dead letters.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from gateway.errors import DiskFullError
from gateway.model import Batch, DeadLetter, Group, Observation, Pin, Totals
from gateway.redelivery import REMEMBERED
from gateway.spool import held
from gateway.spool.database import GROUP_BYTES_MAX
from gateway.spool.letters import KeptLetter, LetterCounts
from gateway.spool.rows import ROW_BYTES
from gateway.spool.store import NEVER_SET
from gateway.times import is_since_boot

DISK_BYTES = 2**40
ROW_OVERHEAD = 32
"""Bytes that a row costs beside its lines."""
EMPTY_BYTES = 16 * 1024
"""What an empty database takes."""


class Row(NamedTuple):
    """Lines that are read and deleted together."""

    lines: list[bytes]
    size: int
    committed_ns: int
    droppable: bool


class HeldRow(NamedTuple):
    """Lines that wait for their time."""

    boot: str
    lines: list[bytes]
    size: int
    droppable: bool


@dataclass
class MemoryDisk:
    """What survives a crash of the process, and what ails the disk."""

    rows: dict[int, Row] = field(default_factory=dict)
    """In order."""
    held: dict[int, HeldRow] = field(default_factory=dict)
    """Likewise."""
    row_bytes: int = 0
    """Of both."""
    totals: Totals = field(default_factory=Totals)
    pins: dict[tuple[str, str], Pin] = field(default_factory=dict)
    seen: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    letters: dict[int, DeadLetter] = field(default_factory=dict)
    letters_dropped: int = 0
    size: int = DISK_BYTES
    others: int = 0
    """Bytes that other programs' files take."""
    problem: str = ""
    """While it is there, every call fails with it and changes nothing."""
    committed: Callable[[Group[bytes]], None] = lambda _: None
    """Called with each group at the instant at which it is durable."""
    settled: Callable[[Sequence[bytes], Sequence[DeadLetter]], None] = lambda *_: None
    """Called with the lines that are gone, and the dead ones among them."""
    evicted: Callable[[Row | HeldRow, bool], None] = lambda *_: None
    """Called with what is gone, and whether it was too old."""
    released: Callable[[Sequence[tuple[bytes, bytes]], int], None] = lambda *_: None
    """Called with held lines and what they have become, and the date of the machine's start."""
    buried: Callable[[HeldRow], None] = lambda _: None
    """Called with held lines that will never have a time."""

    @property
    def used(self) -> int:
        return EMPTY_BYTES + self.row_bytes

    @property
    def free(self) -> int:
        return self.size - self.used - self.others

    def lines(self) -> list[bytes]:
        """All that is pending, held lines last."""
        rows = [row.lines for row in self.rows.values()]
        rows += [row.lines for row in self.held.values()]
        return [line for lines in rows for line in lines]

    def held_lines(self) -> int:
        return sum(len(row.lines) for row in self.held.values())


class MemorySpool:
    """A `Spooler`: a row is a line without its newline."""

    path = Path("spool.db")

    def __init__(
        self,
        disk: MemoryDisk,
        *,
        max_bytes: int,
        min_free: int,
        now_ns: Callable[[], int] = lambda: 0,
        max_age_ns: int | None = None,
        boot: str = "",
    ) -> None:
        self._disk = disk
        self._max_bytes, self._min_free, self._max_age_ns = max_bytes, min_free, max_age_ns
        self._now_ns, self._boot = now_ns, boot
        self._last_seq = max(disk.rows, default=0)
        self._taken: set[int] = set()
        self.group_bytes_max = min(GROUP_BYTES_MAX, max_bytes // 16)
        self.warnings: list[str] = []
        self.opening = disk.totals

    def pack(self, observation: Observation) -> bytes:
        return held.pack(observation)

    def size(self, row: bytes) -> int:
        return len(row) + 1

    def totals(self) -> Totals:
        return self._disk.totals

    def pending_bytes(self) -> int:
        return sum(len(line) + 1 for line in self._disk.lines())

    def commit(self, group: Group[bytes]) -> None:
        disk = self._working_disk()
        came = (*group.rows, *group.droppable, *group.held, *group.held_droppable)
        if sum(len(line) + 1 for line in came) > disk.free:
            raise DiskFullError(f"{self.path}: the disk is full")
        self._add(group.rows, droppable=False)
        self._add(group.droppable, droppable=True)
        self._hold(group.held, droppable=False)
        self._hold(group.held_droppable, droppable=True)
        disk.pins |= {(pin.measurement, pin.field): pin for pin in group.pins}
        for session in group.forget:
            disk.seen.pop(session, None)
        for session, pairs in group.seen.items():
            disk.seen[session] = (disk.seen.get(session, []) + pairs)[-REMEMBERED:]
        self._count(spooled=len(came), pending=len(came))
        disk.committed(group)
        if group.droppable or group.held_droppable:
            self._evict_excess()

    def held(self) -> int:
        return self._disk.held_lines()

    def release(self, offset_ns: int) -> None:
        disk = self._working_disk()
        ours = [seq for seq, row in disk.held.items() if row.boot == self._boot]
        for seq in (ours or list(disk.held))[: held.ROWS_TAKEN]:
            row = disk.held.pop(seq)
            disk.row_bytes -= row.size
            self._count(pending=-len(row.lines))
            if row.boot != self._boot:
                self._bury([DeadLetter(line, 0, NEVER_SET) for line in row.lines])
                disk.buried(row)
                continue
            dated = [held.dated(line, offset_ns) for line in row.lines]
            self._add(dated, droppable=row.droppable)
            self._count(pending=len(dated))
            disk.released(list(zip(row.lines, dated, strict=True)), offset_ns)

    def pressure(self) -> float:
        disk = self._working_disk()
        if self._max_age_ns is not None:
            oldest_ns = self._now_ns() - self._max_age_ns
            old = [
                seq
                for seq, row in disk.rows.items()
                if row.committed_ns < oldest_ns
                and not is_since_boot(row.committed_ns)
                and seq not in self._taken
            ]
            self._evict(old, too_old=True)
        if disk.free <= self._min_free:
            return math.inf
        return 1 + self._excess_bytes() / (self._max_bytes / 8)

    def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        rows: dict[int, list[bytes]] = {}
        size = count = 0
        found = self._working_disk().rows
        for seq in reversed(found) if newest else found:
            if seq in self._taken:
                continue
            lines = found[seq].lines
            size += sum(len(line) + 1 for line in lines)
            count += len(lines)
            if rows and (size > max_bytes or count > max_lines):
                break
            rows[seq] = lines
        self._taken.update(rows)
        ordered = tuple(sorted(rows))
        lines = [line for seq in ordered for line in rows[seq]]
        return Batch(ordered, lines, sum(len(line) + 1 for line in lines)) if rows else None

    def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        disk = self._working_disk()
        if missing := [seq for seq in rows if seq not in disk.rows]:
            raise ValueError(f"rows to settle are not there: {missing}")
        gone = [line for seq in rows for line in disk.rows[seq].lines]
        if len(gone) != delivered + len(dead):
            raise ValueError(f"{len(gone)} lines to settle, not {delivered} and {len(dead)} dead")
        for seq in rows:
            disk.row_bytes -= disk.rows.pop(seq).size
        self._bury(dead)
        self._count(delivered=delivered, pending=-len(gone))
        self._taken.difference_update(rows)
        disk.settled(gone, dead)

    def pins(self) -> list[Pin]:
        return list(self._working_disk().pins.values())

    def seen(self, session: str) -> list[tuple[int, bytes]]:
        return list(self._working_disk().seen.get(session, ()))

    def unpin(self, measurement: str, field: str) -> bool:
        return self._working_disk().pins.pop((measurement, field), None) is not None

    def dead_letters(self, limit: int) -> list[KeptLetter]:
        latest = list(self._working_disk().letters.items())[::-1][:limit]
        return [KeptLetter(number, 0, letter) for number, letter in latest]

    def letter_counts(self) -> LetterCounts:
        disk = self._working_disk()
        size = sum(KeptLetter(0, 0, letter).size for letter in disk.letters.values())
        return LetterCounts(len(disk.letters), size, disk.letters_dropped, 0)

    def retry(self, mended: Sequence[tuple[KeptLetter, bytes]]) -> None:
        disk = self._working_disk()
        self._add([line for _, line in mended], droppable=False)
        for letter, _ in mended:
            del disk.letters[letter.id]
        self._count(retried=len(mended), pending=len(mended))

    def drop(self, unwanted: Sequence[KeptLetter]) -> None:
        disk = self._working_disk()
        for letter in unwanted:
            del disk.letters[letter.id]
        disk.letters_dropped += len(unwanted)

    def close(self) -> None:
        """Nothing: all is on the disk already."""

    def _working_disk(self) -> MemoryDisk:
        if self._disk.problem:
            raise DiskFullError(f"{self.path}: {self._disk.problem}")
        return self._disk

    def _add(self, lines: Sequence[bytes], *, droppable: bool) -> None:
        for run in _runs_of_lines(lines):
            size = ROW_OVERHEAD + sum(len(line) + 1 for line in run)
            self._last_seq += 1
            self._disk.rows[self._last_seq] = Row(run, size, self._now_ns(), droppable)
            self._disk.row_bytes += size

    def _hold(self, lines: Sequence[bytes], *, droppable: bool) -> None:
        first = max(self._disk.held, default=0) + 1
        for seq, run in enumerate(_runs_of_lines(lines), first):
            size = ROW_OVERHEAD + sum(len(line) + 1 for line in run)
            self._disk.held[seq] = HeldRow(self._boot, run, size, droppable)
            self._disk.row_bytes += size

    def _bury(self, dead: Sequence[DeadLetter]) -> None:
        self._disk.letters |= dict(enumerate(dead, self._disk.totals.dead + 1))
        self._count(dead=len(dead))

    def _excess_bytes(self) -> int:
        """What must go before the largest group fits."""
        return self._disk.used + 3 * self.group_bytes_max - self._max_bytes

    def _evict_excess(self) -> None:
        excess = self._excess_bytes()
        evicted = []
        for seq, row in self._disk.rows.items():
            if excess <= 0:
                break
            if row.droppable and seq not in self._taken:
                evicted.append(seq)
                excess -= row.size
        self._evict(evicted)
        for seq in [seq for seq, row in self._disk.held.items() if row.droppable]:
            if excess <= 0:
                break
            waiting = self._disk.held.pop(seq)
            excess -= waiting.size
            self._gone(waiting, too_old=False)

    def _evict(self, rows: Sequence[int], *, too_old: bool = False) -> None:
        for seq in rows:
            self._gone(self._disk.rows.pop(seq), too_old=too_old)

    def _gone(self, row: Row | HeldRow, *, too_old: bool) -> None:
        self._disk.row_bytes -= row.size
        self._count(evicted=len(row.lines), pending=-len(row.lines))
        self._disk.evicted(row, too_old)

    def _count(self, **moved: int) -> None:
        """All counts at once: a reader sees those before or those after."""
        totals = self._disk.totals
        self._disk.totals = replace(
            totals, **{name: getattr(totals, name) + count for name, count in moved.items()}
        )


def _runs_of_lines(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The lines in rows of ROW_BYTES at most; a longer line has a row to itself."""
    run: list[bytes] = []
    room = ROW_BYTES
    for line in lines:
        if run and len(line) > room:
            yield run
            run, room = [], ROW_BYTES
        run.append(line)
        room -= len(line) + 1
    if run:
        yield run
