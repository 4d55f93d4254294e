"""Where the gateway meets the world: clock, chance, disk, ports, brokers, InfluxDB.

`app` makes everything else and takes these parts as they come. `RealEdges` is the world; a
simulation brings another one, and the whole gateway runs in it.

Nothing that can hang is waited for: closing the store has STORE_CLOSE_S; threads that look up names
or open ports are left behind (`service` leaves the process without joining them).
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

from gateway.backoff import RandomSource
from gateway.clock import KernelClock, SystemClock
from gateway.committer import Worker
from gateway.config.models import Config, InfluxDB
from gateway.config.sources import Mqtt, Serial
from gateway.errors import DiskFullError
from gateway.intake import Connection, Message
from gateway.model import Batch, DeadLetter, Pin, Sink, Store, Totals
from gateway.polling import Port
from gateway.ports import RealPort, make_port
from gateway.settings import broker_settings, influx_target
from gateway.sinks.influxdb import InfluxSink
from gateway.spool import worker
from gateway.spool.archive import Archive
from gateway.spool.lock import DataDir
from gateway.spool.store import Spool
from gateway.transports.mqtt import MqttTransport
from gateway.transports.mqtt_state import MqttState

log = logging.getLogger(__name__)

STORE_CLOSE_S = 1.0
OPEN_AGAIN_S = 2.0
THREADS = 32
"""For looking up InfluxDB's name and compressing: more than can hang at a time."""

SPOOL_FILE = "spool.db"
ARCHIVE_FILE = "archive.db"

_LEFT_BEHIND = (
    'no [[mqtt]] entry is called "%s" any more: its broker goes on keeping messages for us; '
    "they come when an entry has that name again"
)
_WHEN_SENT = "they are sent once the configuration has an [influxdb] section again"


class Keeper(Store[Any], Protocol):
    """The store as `app` needs it: what it knows of earlier runs, beside what `Store` says."""

    @property
    def path(self) -> Path:
        """Where it is, for the operator."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the operator should know about the file, since it was opened."""

    @property
    def opening(self) -> Totals:
        """The counts when it was opened, before what damage had cost was counted."""

    def pins(self) -> list[Pin]:
        """Blocking: the types that fields have."""

    def seen(self, session: str) -> list[tuple[int, bytes]]:
        """Blocking: the last committed messages of an MQTT session."""

    def unpin(self, measurement: str, field: str) -> bool:
        """Blocking: free a field for another type; False where it has none."""


class Spooler(Keeper, Protocol):
    """A store that something has to be delivered from."""

    def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        """Blocking: see `delivery.SpoolReader`."""

    def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        """Blocking: see `delivery.SpoolReader`."""


class Sessions(Protocol):
    """What must outlive a restart about our MQTT sessions."""

    def client_id(self, name: str, gateway_name: str) -> str:
        """The session's client id, made the first time."""


class OpenStore(NamedTuple):
    """The data directory, opened."""

    store: Keeper
    """A `Spooler` where the configuration has an [influxdb] section."""
    worker: Worker
    """All blocking calls of the store go through it."""
    sessions: Sessions


class Broker(Protocol):
    """An MQTT broker; each `run` is one connection's life, and raises when it ends."""

    async def run(
        self,
        opened: Callable[[Connection], None],
        receive: Callable[[Connection, Message], None],
    ) -> NoReturn: ...


class Edges(Protocol):
    """The parts that know the world."""

    @property
    def clock(self) -> SystemClock:
        """`app` sets it up."""

    @property
    def rng(self) -> RandomSource:
        """For jitter."""

    def open(self, config: Config, stop: asyncio.Event) -> AbstractAsyncContextManager[OpenStore]:
        """Hold the data directory, its store open; at the end it is closed, come what may.

        Waits for a disk that is full, but not beyond `stop`.
        """

    def sink(self, settings: InfluxDB) -> AbstractAsyncContextManager[Sink]: ...

    def port(self, entry: Serial) -> Port: ...

    def broker(self, entry: Mqtt, client_id: str) -> Broker: ...


class RealEdges:
    """The world."""

    def __init__(self) -> None:
        self.clock = SystemClock(KernelClock())
        self.rng: RandomSource = random.Random()  # noqa: S311 -- jitter
        self._state: MqttState

    @asynccontextmanager
    async def open(self, config: Config, stop: asyncio.Event) -> AsyncIterator[OpenStore]:
        """Raise DataDirBusyError, or StoreError where the store cannot be opened."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        data_dir = Path(config.gateway.data_dir)
        with DataDir(data_dir):
            thread = worker.Worker("store")
            store = await _open_patiently(thread, config, data_dir, self.clock, stop)
            try:
                self._state = MqttState(data_dir)
                for name in self._state.names() - {entry.name for entry in config.mqtt}:
                    log.warning(_LEFT_BEHIND, name)
                yield OpenStore(store, thread, self._state)
            finally:
                await _close_store(store, thread)

    def sink(self, settings: InfluxDB) -> InfluxSink:
        return InfluxSink(influx_target(settings), self.clock)

    def port(self, entry: Serial) -> RealPort:
        return make_port(entry)

    def broker(self, entry: Mqtt, client_id: str) -> MqttTransport:
        return MqttTransport(entry.name, broker_settings(entry, client_id), self._state)


async def _open_patiently(
    thread: worker.Worker,
    config: Config,
    data_dir: Path,
    clock: SystemClock,
    stop: asyncio.Event,
) -> Spool | Archive:
    """Try until the disk has room for opening; raise what it says once there is no time left."""
    warned = ""
    while True:
        try:
            return await thread.call(_open_store, config, data_dir, clock)
        except DiskFullError as error:
            if str(error) != warned:
                warned = str(error)
                log.warning("cannot open the store, trying again: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(OPEN_AGAIN_S):
                    await stop.wait()
                raise


def _open_store(config: Config, data_dir: Path, clock: SystemClock) -> Spool | Archive:
    limits = config.spool
    path = data_dir / SPOOL_FILE
    left = ""
    if config.influxdb is not None or path.exists():
        spool = Spool.open(
            path,
            max_bytes=limits.max_bytes,
            min_free=limits.min_free,
            now_ns=clock,
            boot=clock.boot,
            max_age_ns=int(limits.max_age * 1e9) or None,
        )
        if config.influxdb is not None:
            return spool
        pending = spool.totals().pending
        spool.close()
        if pending:
            left = f"{pending} lines wait in {path} for InfluxDB: {_WHEN_SENT}"
    archive = Archive.open(data_dir / ARCHIVE_FILE, min_free=limits.min_free, boot=clock.boot)
    if left:
        archive.warn(left)
    return archive


async def _close_store(store: Spool | Archive, thread: worker.Worker) -> None:
    """Bring everything into the file; a disk that hangs is left behind, nothing is lost by it."""
    try:
        async with asyncio.timeout(STORE_CLOSE_S):
            await thread.call(store.close)
    except TimeoutError:
        log.warning("the disk does not answer; the store is closed without it")
