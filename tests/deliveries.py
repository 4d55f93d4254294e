"""The delivery of one batch through a real sink, in real time with short pauses."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

from gateway.backoff import Backoff
from gateway.delivery import Delivery
from gateway.model import Batch, DeadLetter, Receipt, Sink

NOW_NS = 1_720_000_000 * 10**9
LIMIT_S = 60.0


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(start, start + count)]


def noisy(count: int) -> list[bytes]:
    """Lines that compress badly, about 40 bytes each."""
    rng = Random(7)
    return [b"m f=%r %d" % (rng.random(), NOW_NS + i) for i in range(count)]


class Counted:
    """A sink that counts requests and the lines in them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.requests = 0
        self.lines = 0

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        self.requests += 1
        self.lines += len(lines)
        return await self._sink.write(lines)


class OneBatch:
    """A spool with one batch, and what became of it."""

    def __init__(self, content: list[bytes]) -> None:
        self.batch: Batch | None = Batch((1,), content, sum(map(len, content)) + len(content))
        self.taken = False
        self.dead: list[DeadLetter] = []
        self.settled = asyncio.Event()

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        taken, self.taken = self.taken, True
        return None if taken else self.batch

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        self.batch = None
        self.dead += dead
        self.settled.set()


def delivery_of(spool: OneBatch, sink: Sink) -> Delivery:
    spool.taken = False  # as after a restart
    return Delivery(
        spool,
        sink,
        flush_interval_s=0.01,
        batch_bytes=1_000_000,
        newest_first=False,
        backoff=Backoff(0.05, 0.2, Random(1)),
        disk_backoff=Backoff(0.05, 0.2, Random(2)),
        halt_pause_s=0.1,
        now_ns=time.time_ns,
    )


async def deliver(spool: OneBatch, sink: Sink) -> Delivery:
    delivery = delivery_of(spool, sink)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(delivery.run())
        await spool.settled.wait()
        task.cancel()
    return delivery


@asynccontextmanager
async def delivering(spool: OneBatch, sink: Sink) -> AsyncIterator[Delivery]:
    """Delivery goes on in the background until the block ends."""
    delivery = delivery_of(spool, sink)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        task = group.create_task(delivery.run())
        yield delivery
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
