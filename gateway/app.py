"""The composition root: the only module that sees every other.

Lifetimes are nested, and the indentation of `run` is the order of the end: sources stop first, then
what they brought is committed, then delivery and the console stop, then the store is closed. What
was committed and not yet delivered is delivered after the next start.

Nothing that can hang is waited for: the last commit has COMMIT_S.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from gateway.backoff import Backoff, RandomSource
from gateway.catalogue import Catalogue
from gateway.clock import SystemClock
from gateway.committer import Committer, Worker
from gateway.config.models import Config
from gateway.dating import Dating
from gateway.delivery import Delivery
from gateway.edges import Edges, Keeper, OpenStore, RealEdges, Spooler
from gateway.intake import supervise
from gateway.ledger import Ledger
from gateway.model import Batch, DeadLetter
from gateway.series import SeriesRegistry
from gateway.sources import Parts, Source, mqtt_source, serial_source

log = logging.getLogger(__name__)

COMMIT_S = 3.0
"""For the last commit; with what follows it stays below the 5 s that an end may take."""

HALT_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running parts, as the console and the commands see them."""

    parts: Parts
    worker: Worker
    store: Keeper
    delivery: Delivery | None
    """None: the archive is the store itself."""
    dating: Dating
    sources: list[Source]
    started_ns: int

    @property
    def config(self) -> Config:
        return self.parts.config

    @property
    def ledger(self) -> Ledger:
        return self.parts.ledger

    @property
    def clock(self) -> SystemClock:
        return self.parts.edges.clock

    @property
    def committer(self) -> Committer[Any]:
        return self.parts.committer

    @property
    def catalogue(self) -> Catalogue:
        return self.parts.catalogue

    @property
    def registry(self) -> SeriesRegistry:
        return self.parts.registry

    def imbalances(self) -> list[str]:
        """What does not add up, in words; exact while no commit is under way."""
        return self.ledger.imbalances(self.store.totals())

    def problems(self) -> list[str]:
        """What keeps readings from their way, in words; none: all is well."""
        found = [f"{a.source}: {a.problem}" for a in self.ledger.accounts.values() if a.problem]
        found += [f"{s.account.source}: {words}" for s in self.sources for words in s.problems()]
        found += [f"store: {warning}" for warning in self.store.warnings]
        if self.committer.problem:
            found.append(f"store: {self.committer.problem}")
        if problem := self.dating.problem:
            found.append(f"clock: {problem}")
        if self.delivery is not None and self.delivery.problem:
            found.append(f"InfluxDB: {self.delivery.problem}")
        return found


class _SpoolThread:
    """The spool as delivery sees it: its calls run in the store's thread."""

    def __init__(self, spool: Spooler, worker: Worker) -> None:
        self._spool = spool
        self._worker = worker

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        return await self._worker.call(self._spool.read, max_bytes, max_lines, newest=newest)

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        await self._worker.call(self._spool.settle, rows, delivered, dead)


async def run(
    config: Config,
    stop: asyncio.Event,
    serve: Callable[[Gateway], Coroutine[None, None, None]],
    edges: Edges | None = None,
) -> None:
    """Run the gateway until `stop` is set; on return all that the disk took is committed.

    Args:
        config: what to run.
        stop: set by signals.
        serve: runs beside it, for the console and the caller's own purposes, until cancelled.
        edges: the world that it runs in; absent: the real one.

    Raises:
        DataDirBusyError: another gateway holds the data directory.
        StoreError: the store cannot be opened.
        ConfigError: a part refuses its settings.
    """
    edges = edges or RealEdges()
    edges.clock.set_up(trust=config.gateway.clock == "trust", wait_s=config.gateway.clock_wait)
    async with (
        _assemble(config, edges, stop) as gateway,
        _committing(gateway.committer) as finish,
        asyncio.TaskGroup() as group,
    ):
        beside = [
            group.create_task(serve(gateway), name="serve"),
            group.create_task(gateway.dating.run(), name="dating"),
        ]
        if gateway.delivery is not None:
            beside.append(group.create_task(gateway.delivery.run(), name="delivery"))
        await _run_sources(gateway.sources, stop, edges.rng)
        await finish()
        for task in beside:
            task.cancel()


@asynccontextmanager
async def _committing(committer: Committer[Any]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Commit until `finish` is called, which makes the last commit; a fault of others calls it."""

    async def finish() -> None:
        committer.stop()
        if not (await asyncio.wait([task], timeout=COMMIT_S))[0]:
            reason = committer.problem or "the disk does not answer"
            log.error("what came last is not committed: %s", reason)
            task.cancel()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(committer.run(), name="committer")
        try:
            yield finish
        finally:
            await finish()


async def _run_sources(sources: list[Source], stop: asyncio.Event, rng: RandomSource) -> None:
    """Every source under its own supervision, until `stop`."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                supervise(
                    source.account,
                    source.run,
                    backoff=Backoff(0.5, 30.0, rng),
                    ready=source.ready,
                ),
                name=f"source[{source.account.source}]",
            )
            for source in sources
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _assemble(config: Config, edges: Edges, stop: asyncio.Event) -> AsyncIterator[Gateway]:
    """Open the store and make the parts; close the store at the end, come what may."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(edges.open(config, stop))
        store, worker, _ = opened
        ledger = Ledger()
        ledger.open_store(store.opening)
        catalogue = Catalogue(await worker.call(store.pins))
        committer: Committer[Any] = Committer(
            store,
            worker,
            ledger,
            catalogue,
            interval_s=config.spool.commit_interval,
            backoff=Backoff(0.1, 5.0, edges.rng),
            clock=edges.clock,
        )
        registry = SeriesRegistry()
        committer.on_shed.append(registry.forget)
        parts = Parts(config, edges, ledger, catalogue, registry, committer)
        delivery = await _make_delivery(parts, opened, stack)
        yield Gateway(
            parts=parts,
            worker=worker,
            store=store,
            delivery=delivery,
            dating=_make_dating(parts, opened, delivery),
            sources=await _make_sources(parts, opened),
            started_ns=edges.clock(),
        )


async def _make_delivery(parts: Parts, opened: OpenStore, stack: AsyncExitStack) -> Delivery | None:
    settings = parts.config.influxdb
    if settings is None:
        return None
    sink = await stack.enter_async_context(parts.edges.sink(settings))
    delivery = Delivery(
        _SpoolThread(cast("Spooler", opened.store), opened.worker),
        sink,
        flush_interval_s=settings.flush_interval,
        batch_bytes=settings.batch_bytes,
        newest_first=settings.drain == "newest_first",
        backoff=Backoff(0.5, 15.0, parts.edges.rng),
        disk_backoff=Backoff(0.1, 5.0, parts.edges.rng),
        halt_pause_s=HALT_PAUSE_S,
        now_ns=parts.edges.clock,
    )
    parts.committer.on_commit.append(delivery.notify)
    return delivery


def _make_dating(parts: Parts, opened: OpenStore, delivery: Delivery | None) -> Dating:
    dating = Dating(
        parts.edges.clock,
        opened.store,
        opened.worker,
        parts.registry,
        backoff=Backoff(0.1, 5.0, parts.edges.rng),
        released=delivery.notify if delivery is not None else lambda: None,
    )
    parts.committer.on_commit.append(dating.notify)
    return dating


async def _make_sources(parts: Parts, opened: OpenStore) -> list[Source]:
    config = parts.config
    sources = [serial_source(entry, parts) for entry in config.serial]
    for entry in config.mqtt:
        session = entry.client_id or opened.sessions.client_id(entry.name, config.gateway.name)
        seen = await opened.worker.call(opened.store.seen, session)
        sources.append(mqtt_source(entry, parts, session, seen))
    return sources
