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
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.clock import now_ns
from gateway.committer import Committer
from gateway.config.models import Config, InfluxDB
from gateway.delivery import Delivery
from gateway.intake import supervise
from gateway.ledger import Ledger
from gateway.model import Batch, DeadLetter
from gateway.series import SeriesRegistry
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from gateway.sources import Parts, Source, mqtt_source, serial_source
from gateway.spool.archive import Archive
from gateway.spool.lock import DataDir
from gateway.spool.store import SPOOL_FILE, Spool
from gateway.spool.worker import Worker
from gateway.transports.mqtt_state import MqttState

log = logging.getLogger(__name__)

COMMIT_S = 3.0
"""For the last commit; with what follows it stays below the 5 s that an end may take."""

STORE_CLOSE_S = 1.0
HALT_PAUSE_S = 30.0
THREADS = 32
"""For looking up InfluxDB's name and compressing: more than can hang at a time."""

ARCHIVE_FILE = "archive.db"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running parts, as the console and the commands see them."""

    parts: Parts
    worker: Worker
    store: Spool | Archive
    delivery: Delivery | None
    """None: the archive is the store itself."""
    sources: list[Source]
    started_ns: int

    @property
    def config(self) -> Config:
        return self.parts.config

    @property
    def ledger(self) -> Ledger:
        return self.parts.ledger

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
        if self.committer.problem:
            found.append(f"store: {self.committer.problem}")
        if self.delivery is not None and self.delivery.problem:
            found.append(f"InfluxDB: {self.delivery.problem}")
        return found


class _SpoolThread:
    """The spool as delivery sees it: its calls run in the store's thread."""

    def __init__(self, spool: Spool, worker: Worker) -> None:
        self._spool = spool
        self._worker = worker

    async def read(self, after: int, max_bytes: int, max_lines: int) -> Batch | None:
        return await self._worker.call(self._spool.read, after, max_bytes, max_lines)

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        await self._worker.call(self._spool.settle, rows, delivered, dead)


def backoff(first_s: float, max_s: float) -> Backoff:
    return Backoff(first_s, max_s, random.Random())  # noqa: S311 -- jitter


async def run(
    config: Config,
    stop: asyncio.Event,
    serve: Callable[[Gateway], Coroutine[None, None, None]],
) -> None:
    """Run the gateway until `stop` is set; on return all that the disk took is committed.

    Args:
        config: what to run.
        stop: set by signals.
        serve: runs beside it, for the console and the caller's own purposes, until cancelled.

    Raises:
        DataDirBusyError: another gateway holds the data directory.
        StoreError: the store cannot be opened.
        ConfigError: a part refuses its settings.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with (
        _assemble(config) as gateway,
        _committing(gateway.committer) as finish,
        asyncio.TaskGroup() as group,
    ):
        beside = [group.create_task(serve(gateway), name="serve")]
        if gateway.delivery is not None:
            beside.append(group.create_task(gateway.delivery.run(), name="delivery"))
        await _run_sources(gateway.sources, stop)
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


async def _run_sources(sources: list[Source], stop: asyncio.Event) -> None:
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
            for source in sources
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
        store = await _open_store(config, worker, data_dir)
        stack.push_async_callback(_close_store, store, worker)
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
        parts = Parts(config, ledger, catalogue, SeriesRegistry(), committer)
        yield Gateway(
            parts=parts,
            worker=worker,
            store=store,
            delivery=await _make_delivery(config, store, worker, committer, stack),
            sources=await _make_sources(parts, store, worker, data_dir),
            started_ns=now_ns(),
        )


async def _open_store(config: Config, worker: Worker, data_dir: Path) -> Spool | Archive:
    limits = config.spool
    if config.influxdb is None:
        return await worker.call(Archive.open, data_dir / ARCHIVE_FILE, min_free=limits.min_free)
    return await worker.call(
        Spool.open,
        data_dir / SPOOL_FILE,
        max_bytes=limits.max_bytes,
        min_free=limits.min_free,
        now_ns=now_ns,
    )


async def _close_store(store: Spool | Archive, worker: Worker) -> None:
    """Bring everything into the file; a disk that hangs is left behind, nothing is lost by it."""
    try:
        async with asyncio.timeout(STORE_CLOSE_S):
            await worker.call(store.close)
    except TimeoutError:
        log.warning("the disk does not answer; the store is closed without it")


async def _make_delivery(
    config: Config,
    store: Spool | Archive,
    worker: Worker,
    committer: Committer[Any],
    stack: AsyncExitStack,
) -> Delivery | None:
    if config.influxdb is None or isinstance(store, Archive):
        return None
    sink = await stack.enter_async_context(InfluxSink(influx_target(config.influxdb), now_ns))
    delivery = Delivery(
        _SpoolThread(store, worker),
        sink,
        flush_interval_s=config.influxdb.flush_interval,
        batch_bytes=config.influxdb.batch_bytes,
        backoff=backoff(0.5, 15.0),
        disk_backoff=backoff(0.1, 5.0),
        halt_pause_s=HALT_PAUSE_S,
        now_ns=now_ns,
    )
    committer.on_commit.append(delivery.notify)
    return delivery


async def _make_sources(
    parts: Parts, store: Spool | Archive, worker: Worker, data_dir: Path
) -> list[Source]:
    config = parts.config
    sources = [serial_source(entry, parts) for entry in config.serial]
    state = MqttState(data_dir)
    for entry in config.mqtt:
        session = entry.client_id or state.client_id(entry.name, config.gateway.name)
        seen = await worker.call(store.seen, session)
        sources.append(mqtt_source(entry, parts, state, session, seen))
    return sources


def influx_target(settings: InfluxDB) -> InfluxTarget:
    return InfluxTarget(
        version=settings.version,
        url=settings.url,
        database=settings.database or "",
        retention_policy=settings.retention_policy or "",
        org=settings.org or "",
        bucket=settings.bucket or "",
        token=settings.secret_token() or "",
        username=settings.username or "",
        password=settings.secret_password() or "",
        timeout_s=settings.timeout,
        ca_file=str(settings.ca_file or ""),
    )
