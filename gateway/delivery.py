"""Spool -> sink -> settle: the flow on the right of the store.

What is committed is collected for `flush_interval_s`, and then sent from the newest on. While a
backlog fills whole batches there is no waiting: the next batch is read and the last one settled
during the present one's request. Between two flushes it is the backlog's turn, from its oldest on
or from its newest; so what comes in now is never behind what came in during an outage.

A batch is settled once each of its lines is either in the database or refused by it for good, so a
crash at any point only causes lines to be sent again, and a point sent again is the same point.

    Deferred, Halted    the same lines again, for ever: with growing pauses, or at long ones
    TooLarge            halves, by bytes; from then on smaller batches are read
    Refused             the lines that the server names alone, the others together; where it
                        names none, halves. A line refused twice is dead.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple, Protocol, TypeVar

from gateway.backoff import Backoff
from gateway.errors import StoreError
from gateway.model import (
    Batch,
    DeadLetter,
    Deferred,
    Delivered,
    Halted,
    Refused,
    Sink,
    TooLarge,
)

log = logging.getLogger(__name__)

BATCH_LINES_MAX = 10_000
BATCH_BYTES_MIN = 16 * 1024
"""However little a server takes at once, reading less than this at a time makes no sense."""

T = TypeVar("T")
Lines = Sequence[bytes]


class SpoolReader(Protocol):
    """The spool as delivery sees it."""

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        """Take rows from one end: at least one, or None. Raises StoreError.

        What is taken is not handed out again before it is settled.
        """

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        """In one transaction delete the rows, count the lines, keep the dead. Raises StoreError."""


class State(StrEnum):
    """What delivery is doing."""

    IDLE = "idle"
    SENDING = "sending"
    WAITING = "waiting"
    HALTED = "halted"


class _Part(NamedTuple):
    """Lines of a batch that go into one request."""

    lines: Lines
    accused: bool = False
    """A single line that was refused before."""


class Delivery:
    """Brings what the spool holds to the sink, for ever."""

    def __init__(
        self,
        spool: SpoolReader,
        sink: Sink,
        *,
        flush_interval_s: float,
        batch_bytes: int,
        newest_first: bool,
        backoff: Backoff,
        disk_backoff: Backoff,
        halt_pause_s: float,
        now_ns: Callable[[], int],
    ) -> None:
        self._spool = spool
        self._sink = sink
        self._flush_interval_s = flush_interval_s
        self._batch_bytes = batch_bytes
        self._newest_first = newest_first
        self._backoff = backoff
        self._disk_backoff = disk_backoff
        self._halt_pause_s = halt_pause_s
        self._now_ns = now_ns
        self._committed = asyncio.Event()
        self._committed.set()
        self._due_s = 0.0
        self._disk_problem = ""
        self._sink_problem = ""
        self.state = State.IDLE
        self.delivered_lines = 0
        self.last_delivered_ns: int | None = None

    @property
    def problem(self) -> str:
        """What is in the way, in words for the operator; empty while all is well."""
        return self._sink_problem or self._disk_problem

    def notify(self) -> None:
        """There may be something to read: to be called after commits, retries and releases."""
        self._committed.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            batch: Batch | None = await self._collect()
            dead: list[DeadLetter] = []
            behind: Batch | None = None
            while batch:
                async with asyncio.TaskGroup() as group:
                    if behind:
                        group.create_task(self._settle(behind, dead))
                    ahead = group.create_task(self._read_on(batch))
                    dead = await self._deliver(batch.lines)
                behind, batch = batch, ahead.result()
            if behind:
                await self._settle(behind, dead)
            self.state = State.IDLE

    async def _collect(self) -> Batch:
        """The first batch after a pause."""
        loop = asyncio.get_running_loop()
        while True:
            await self._committed.wait()
            await asyncio.sleep(self._due_s - loop.time())
            self._committed.clear()
            if batch := await self._read_live():
                self._committed.set()  # there may be more than one batch holds
                return batch

    async def _read_on(self, batch: Batch) -> Batch | None:
        """What follows a batch that was full enough for there to be a backlog."""
        if batch.size < self._batch_bytes // 2 and len(batch.lines) < BATCH_LINES_MAX // 2:
            return None
        if asyncio.get_running_loop().time() >= self._due_s:
            return await self._read_live()
        return await self._read(newest=self._newest_first)

    async def _read_live(self) -> Batch | None:
        self._due_s = asyncio.get_running_loop().time() + self._flush_interval_s
        return await self._read(newest=True)

    async def _read(self, *, newest: bool) -> Batch | None:
        return await self._insist(
            lambda: self._spool.read(self._batch_bytes, BATCH_LINES_MAX, newest=newest)
        )

    async def _settle(self, batch: Batch, dead: Sequence[DeadLetter]) -> None:
        delivered = len(batch.lines) - len(dead)
        await self._insist(lambda: self._spool.settle(batch.rows, delivered, dead))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask the disk until it does what it is asked."""
        while True:
            try:
                result = await call()
            except StoreError as error:
                if not self._disk_problem:
                    log.warning("the spool fails, trying again: %s", error)
                self._disk_problem = str(error)
                await asyncio.sleep(self._disk_backoff.next_s())
            else:
                self._disk_problem = ""
                self._disk_backoff.reset()
                return result

    async def _deliver(self, lines: Lines) -> list[DeadLetter]:
        """Until each line is in the database or refused for good; returns the refused ones."""
        dead: list[DeadLetter] = []
        parts = [_Part(lines)]
        while parts:
            part = parts.pop()
            receipt = await self._write(part.lines)
            match receipt:
                case Delivered():
                    self.delivered_lines += len(part.lines)
                    self.last_delivered_ns = self._now_ns()
                case TooLarge() if len(part.lines) > 1:
                    self._read_less(_size(part.lines) // 2)
                    parts += map(_Part, _halves(part.lines))
                case Refused() if not part.accused:
                    parts += _apart(part.lines, receipt.guilty)
                case TooLarge(message):
                    dead.append(DeadLetter(part.lines[0], 413, message))
                case Refused(status, message):
                    dead.append(DeadLetter(part.lines[0], status, message))
        if dead:
            log.warning("%d lines refused for good, for example: %s", len(dead), dead[0].message)
        return dead

    def _read_less(self, size: int) -> None:
        self._batch_bytes = min(self._batch_bytes, max(size, BATCH_BYTES_MIN))

    async def _write(self, lines: Lines) -> Delivered | TooLarge | Refused:
        """Until the sink says something about the lines rather than about the world."""
        while True:
            if not self._sink_problem:  # a halt stays one through its retries
                self.state = State.SENDING
            receipt = await self._sink.write(lines)
            match receipt:
                case Deferred(problem, after_s):
                    self._wait(State.WAITING, problem)
                    await asyncio.sleep((after_s or 0.0) + self._backoff.next_s())
                case Halted(problem):
                    self._wait(State.HALTED, problem)
                    await asyncio.sleep(self._halt_pause_s)
                case _:
                    if self._sink_problem:
                        log.warning("delivery goes on")
                    self._sink_problem = ""
                    self.state = State.SENDING
                    self._backoff.reset()
                    return receipt

    def _wait(self, state: State, problem: str) -> None:
        if problem != self._sink_problem:
            log.warning("delivery is %s, everything is kept: %s", state, problem)
        self.state = state
        self._sink_problem = problem


def _size(lines: Lines) -> int:
    return sum(map(len, lines)) + len(lines)


def _halves(lines: Lines) -> tuple[Lines, Lines]:
    """Two parts of about the same number of bytes, neither empty; the first to go is last."""
    half = _size(lines) // 2
    ends = accumulate(len(line) + 1 for line in lines)
    middle = next(index for index, end in enumerate(ends, 1) if end >= half)
    middle = min(max(middle, 1), len(lines) - 1)
    return lines[middle:], lines[:middle]


def _apart(lines: Lines, guilty: Sequence[int]) -> list[_Part]:
    """Named lines alone, the others together; without names, halves, down to the single line."""
    if len(lines) == 1:
        return [_Part(lines, accused=True)]
    named = {index for index in guilty if index < len(lines)}
    if not named:
        return [_Part(half) for half in _halves(lines)]
    others = [line for index, line in enumerate(lines) if index not in named]
    alone = [_Part([lines[index]], accused=True) for index in sorted(named)]
    return [*alone, _Part(others)] if others else alone
