"""A spool in memory: what `gateway.spool.store` promises, on a disk that outlives the process.

`MemoryDisk` is what is durable; a `MemorySpool` is one process's way to it, and takes nothing more
once the process is dead. Every change is one step, so a crash is before or after it. The disk can
be full, fail, or be filled by others; both stores pass `tests/spool/test_model.py`.

Limit: there is no damage here. That is SQLite's own, and tested on files (`tests/spool`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.errors import StoreError
from gateway.model import Batch, DeadLetter, Group, Observation, Pin, Totals
from gateway.sinks.line_protocol import encode
from gateway.spool.database import SEEN_MAX
from gateway.spool.store import ROW_BYTES, KeptLetter

DISK_BYTES = 2**40
ROW_OVERHEAD = 32
"""Bytes that a row costs beside its lines."""
EMPTY_BYTES = 64 * 1024
"""What an empty database takes."""


@dataclass
class MemoryDisk:
    """What survives a crash of the process, and what ails the disk."""

    rows: dict[int, list[bytes]] = field(default_factory=dict)
    """Pending lines, in order."""
    row_bytes: int = 0
    last_seq: int = 0
    totals: Totals = field(default_factory=Totals)
    pins: dict[tuple[str, str], Pin] = field(default_factory=dict)
    seen: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    size: int = DISK_BYTES
    others: int = 0
    """Bytes that other programs' files take."""
    problem: str = ""
    """While it is there, every call fails with it and changes nothing."""
    committed: Callable[[Sequence[bytes]], None] = lambda _: None
    """Called with the lines of each commit, at the instant at which they are durable."""
    settled: Callable[[Sequence[bytes], Sequence[DeadLetter]], None] = lambda *_: None
    """Called with the lines that are gone, and the dead ones among them."""

    @property
    def used(self) -> int:
        return EMPTY_BYTES + self.row_bytes

    @property
    def free(self) -> int:
        return self.size - self.used - self.others


class MemorySpool:
    """A `Spooler`: a row is a line without its newline."""

    path = Path("spool.db")

    def __init__(self, disk: MemoryDisk, *, max_bytes: int, min_free: int) -> None:
        self._disk = disk
        self._max_bytes = max_bytes
        self._min_free = min_free
        self.warnings: list[str] = []
        disk.last_seq = max(disk.rows, default=0)

    def pack(self, observation: Observation) -> bytes:
        return encode(observation)

    def size(self, row: bytes) -> int:
        return len(row) + 1

    def totals(self) -> Totals:
        return self._disk.totals

    def pending_bytes(self) -> int:
        return sum(len(line) + 1 for lines in self._disk.rows.values() for line in lines)

    def commit(self, group: Group[bytes]) -> None:
        disk = self._working_disk()
        growth = sum(len(line) + 1 for line in group.rows)
        if growth > disk.free:
            raise StoreError(f"{self.path}: the disk is full")
        for lines in _runs_of_lines(group.rows):
            disk.last_seq += 1
            disk.rows[disk.last_seq] = lines
            disk.row_bytes += _size(lines)
        disk.pins |= {(pin.measurement, pin.field): pin for pin in group.pins}
        for session in group.forget:
            disk.seen.pop(session, None)
        for session, pairs in group.seen.items():
            disk.seen[session] = (disk.seen.get(session, []) + pairs)[-SEEN_MAX:]
        totals, count = disk.totals, len(group.rows)
        disk.totals = replace(
            totals, spooled=totals.spooled + count, pending=totals.pending + count
        )
        disk.committed(group.rows)

    def has_room(self) -> bool:
        disk = self._working_disk()
        return disk.used < self._max_bytes and disk.free > self._min_free

    def read(self, after: int, max_bytes: int, max_lines: int) -> Batch | None:
        rows: list[int] = []
        found: list[bytes] = []
        size = 0
        for seq, lines in self._working_disk().rows.items():
            if seq <= after:
                continue
            size += sum(len(line) + 1 for line in lines)
            if rows and (size > max_bytes or len(found) + len(lines) > max_lines):
                break
            rows.append(seq)
            found += lines
        return Batch(tuple(rows), found, sum(len(line) + 1 for line in found)) if rows else None

    def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        disk = self._working_disk()
        if missing := [seq for seq in rows if seq not in disk.rows]:
            raise ValueError(f"rows to settle are not there: {missing}")
        gone = [line for seq in rows for line in disk.rows[seq]]
        if len(gone) != delivered + len(dead):
            raise ValueError(f"{len(gone)} lines to settle, not {delivered} and {len(dead)} dead")
        for seq in rows:
            disk.row_bytes -= _size(disk.rows.pop(seq))
        disk.dead += dead
        totals = disk.totals
        disk.totals = replace(
            totals,
            delivered=totals.delivered + delivered,
            dead=totals.dead + len(dead),
            pending=totals.pending - len(gone),
        )
        disk.settled(gone, dead)

    def pins(self) -> list[Pin]:
        return list(self._working_disk().pins.values())

    def seen(self, session: str) -> list[tuple[int, bytes]]:
        return list(self._working_disk().seen.get(session, ()))

    def unpin(self, measurement: str, field: str) -> bool:
        return self._working_disk().pins.pop((measurement, field), None) is not None

    def dead_letters(self, limit: int) -> list[KeptLetter]:
        latest = list(enumerate(self._working_disk().dead))[::-1][:limit]
        return [KeptLetter(number, 0, letter) for number, letter in latest]

    def close(self) -> None:
        """Nothing: all is on the disk already."""

    def _working_disk(self) -> MemoryDisk:
        if self._disk.problem:
            raise StoreError(f"{self.path}: {self._disk.problem}")
        return self._disk


def _runs_of_lines(lines: Sequence[bytes]) -> list[list[bytes]]:
    """The lines in rows of ROW_BYTES at most; a longer line has a row to itself."""
    runs: list[list[bytes]] = []
    room = 0
    for line in lines:
        if not runs or len(line) > room:
            runs.append([])
            room = ROW_BYTES
        runs[-1].append(line)
        room -= len(line) + 1
    return runs


def _size(lines: Sequence[bytes]) -> int:
    return ROW_OVERHEAD + sum(len(line) + 1 for line in lines)
