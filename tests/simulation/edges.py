"""The simulated world as `gateway.edges.Edges`: one per process."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.config.models import Config, InfluxDB
from gateway.config.sources import Mqtt, Serial
from gateway.edges import OPEN_AGAIN_S, OpenStore
from gateway.errors import DiskFullError
from gateway.model import DeadLetter, Group
from gateway.settings import influx_target
from tests.simulation.brokers import BrokerSite, SimulatedBroker
from tests.simulation.database import DatabaseSite, SimulatedSink
from tests.simulation.machine import Machine
from tests.simulation.ports import PortSite, SimulatedPort
from tests.simulation.process import Process, SimulatedWorker, delays
from tests.simulation.spool import MemoryDisk, MemorySpool
from tests.simulation.world import SECOND_NS, Moment, World


@dataclass
class Sites:
    """Everything that the gateway can reach."""

    machine: Machine
    disk: MemoryDisk
    database: DatabaseSite
    brokers: Mapping[str, BrokerSite]
    ports: Mapping[str, PortSite]
    disk_delay_s: float = 0.002
    disk_slow_s: float = 0.0
    """How long the disk may take at present, where that is longer."""


class _Sessions:
    """Client ids that outlive the process."""

    def client_id(self, name: str, gateway_name: str) -> str:
        return f"{gateway_name}-{name}"


class _WatchedSpool(MemorySpool):
    """A spool whose process may die at any step."""

    def __init__(
        self,
        world: World,
        process: Process,
        disk: MemoryDisk,
        *,
        max_bytes: int,
        min_free: int,
        max_age_ns: int | None,
    ) -> None:
        super().__init__(
            disk,
            max_bytes=max_bytes,
            min_free=min_free,
            now_ns=process.clock,
            boot=process.clock.boot,
            max_age_ns=max_age_ns,
        )
        self._world, self._process = world, process

    def commit(self, group: Group[bytes]) -> None:
        self._world.moment(Moment.COMMITTING)
        if not self._process.alive:
            return
        super().commit(group)
        held = len(group.held) + len(group.held_droppable)
        self._world.note("committed", len(group.rows), len(group.droppable), held)
        self._world.moment(Moment.COMMITTED)

    def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        super().settle(rows, delivered, dead)
        self._world.note("settled", delivered, len(dead))
        self._world.moment(Moment.SETTLED)


class SimulatedEdges:
    """What one process has of the world."""

    def __init__(self, world: World, sites: Sites, process: Process) -> None:
        self.clock = process.clock
        self.rng = process.rng
        self._world, self._sites, self._process = world, sites, process

    @asynccontextmanager
    async def open(self, config: Config, stop: asyncio.Event) -> AsyncIterator[OpenStore]:
        sites, limits = self._sites, config.spool
        while sites.disk.problem:
            with suppress(TimeoutError):
                async with asyncio.timeout(OPEN_AGAIN_S):
                    await stop.wait()
                raise DiskFullError(sites.disk.problem)
        store = _WatchedSpool(
            self._world,
            self._process,
            sites.disk,
            max_bytes=limits.max_bytes,
            min_free=limits.min_free,
            max_age_ns=int(limits.max_age * SECOND_NS) or None,
        )
        rng = self._world.chance("disk", str(self._process.number))
        worker = SimulatedWorker(
            self._process, lambda: delays(rng, sites.disk_delay_s, lambda: sites.disk_slow_s)
        )
        yield OpenStore(store, worker, _Sessions())

    def sink(self, settings: InfluxDB) -> SimulatedSink:
        return SimulatedSink(
            influx_target(settings), self.clock, self._sites.database, self._process
        )

    def port(self, entry: Serial) -> SimulatedPort:
        return SimulatedPort(self._sites.ports[entry.name], self._process)

    def broker(self, entry: Mqtt, client_id: str) -> SimulatedBroker:
        return SimulatedBroker(self._sites.brokers[entry.name], self._process, entry, client_id)
