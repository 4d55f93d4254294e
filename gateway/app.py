"""The composition root: the only module that sees every other.

Lifetimes are nested, and the indentation of `run` is the order of the end: sources stop first, then
what they brought is committed, then delivery and the console stop, then the store is closed. What
was committed and not yet delivered is delivered after the next start.

Nothing that can hang is waited for: the last commit has COMMIT_S; threads that look up names or
open ports are left behind (`cli` leaves the process without joining them).
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.backoff import Backoff
from gateway.clock import now_ns
from gateway.committer import Committer
from gateway.config.models import Config
from gateway.delivery import Delivery
from gateway.intake import supervise
from gateway.ledger import Account, Ledger
from gateway.model import Batch, DeadLetter
from gateway.normalize import Catalogue
from gateway.series import SeriesRegistry
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from gateway.sources import Source, mqtt_source, serial_source
from gateway.spool.archive import Archive
from gateway.spool.lock import DataDir
from gateway.spool.store import Spool
from gateway.spool.worker import Worker

log = logging.getLogger(__name__)

COMMIT_S = 3.0
"""For the last commit; with what follows it stays below the 5 s that an end may take."""

STORE_CLOSE_S = 1.0
HALT_PAUSE_S = 30.0
THREADS_SPARE = 8


@dataclass(slots=True)
class Gateway:
    """The running parts, as the console and the commands see them."""

    config: Config
    ledger: Ledger
    worker: Worker
    store: Spool | Archive
    committer: Committer[Any]
    catalogue: Catalogue
    registry: SeriesRegistry
    delivery: Delivery | None
    """None: the archive is the store itself."""
    started_ns: int
    sources: list[Source] = field(default_factory=list)

    def imbalances(self) -> list[str]:
        """What does not add up, in words."""
        return self.ledger.imbalances(self.store.totals())

    def problems(self) -> list[str]:
        """What keeps readings from their way, in words; none: all is well."""
        found = [f"{a.source}: {a.problem}" for a in self.ledger.accounts.values() if a.problem]
        if self.committer.problem:
            found.append(f"store: {self.committer.problem}")
        if self.delivery is not None and self.delivery.problem:
            found.append(f"InfluxDB: {self.delivery.problem}")
        return found + [f"ledger: {words}" for words in self.imbalances()]


class _SpoolThread:
    """The spool as delivery sees it: its calls run in the store's thread."""

    def __init__(self, spool: Spool, worker: Worker) -> None:
        self._spool = spool
        self._worker = worker

    async def read(self, after: int, max_bytes: int, max_lines: int) -> Batch | None:
        return await self._worker.call(self._spool.read, after, max_bytes, max_lines)

    async def settle(
        self, rows: tuple[int, ...], delivered: int, dead: tuple[DeadLetter, ...]
    ) -> None:
        await self._worker.call(self._spool.settle, rows, delivered, dead)


def backoff(first_s: float, max_s: float) -> Backoff:
    return Backoff(first_s, max_s, random.Random())  # noqa: S311 -- jitter


async def run(
    config: Config,
    stop: asyncio.Event,
    serve: Callable[[Gateway], Awaitable[None]],
) -> None:
    """Run the gateway until `stop` is set; on return everything that arrived is on disk.

    Args:
        config: what to run.
        stop: set by signals.
        serve: runs beside it, for the console and the caller's own purposes, until cancelled.

    Raises:
        DataDirBusyError: another gateway holds the data directory.
        StoreError: the store cannot be opened.
        ConfigError: a part refuses its settings.
    """
    _size_thread_pool(config)
    async with _assemble(config) as gateway:
        async with asyncio.TaskGroup() as group:
            committing = group.create_task(gateway.committer.run(), name="committer")
            beside = [group.create_task(serve(gateway), name="serve")]
            if gateway.delivery is not None:
                beside.append(group.create_task(gateway.delivery.run(), name="delivery"))
            await _run_sources(gateway, stop)
            gateway.committer.stop()
            await asyncio.wait([committing], timeout=COMMIT_S)
            for task in [committing, *beside]:
                task.cancel()


async def _run_sources(gateway: Gateway, stop: asyncio.Event) -> None:
    """Every source under its own supervision, until `stop`."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                supervise(
                    source.account,
                    source.run,
                    backoff=backoff(0.5, 30.0),
                    allowed=source.allowed,
                ),
                name=f"source[{source.account.source}]",
            )
            for source in gateway.sources
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _assemble(config: Config) -> AsyncIterator[Gateway]:
    """Open the store and make the parts; close the store at the end, come what may."""
    async with AsyncExitStack() as stack:
        data_dir = Path(config.gateway.data_dir)
        stack.enter_context(DataDir(data_dir))
        worker = Worker("store")
        stack.callback(worker.close, STORE_CLOSE_S)
        store = await _open_store(config, worker, data_dir)
        stack.callback(_close_store, store, worker)
        for warning in store.warnings:
            log.warning("%s", warning)
        ledger = Ledger()
        ledger.open_store(store.totals())
        catalogue = Catalogue(await worker.call(store.pins))
        committer: Committer[Any] = Committer(
            store,
            worker,
            ledger,
            catalogue,
            interval_s=config.spool.commit_interval,
            backoff=backoff(0.1, 5.0),
            clock=now_ns,
        )
        gateway = Gateway(
            config=config,
            ledger=ledger,
            worker=worker,
            store=store,
            committer=committer,
            catalogue=catalogue,
            registry=SeriesRegistry(),
            delivery=await _make_delivery(config, store, worker, committer, stack),
            started_ns=now_ns(),
        )
        await _make_sources(gateway, data_dir)
        yield gateway
