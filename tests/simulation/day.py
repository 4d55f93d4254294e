"""One run of a scenario: the gateway lives through it, is killed and started again, and is judged.

After the last fault everything is made well, and the gateway gets DRAIN_S to bring everything home:
whatever waits longer, waits for ever.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway import app
from simulators import virtual_time
from simulators.influxdb import Influx
from tests.simulation.book import Book
from tests.simulation.brokers import BrokerSite
from tests.simulation.checks import Inspector
from tests.simulation.database import DatabaseSite
from tests.simulation.devices import Speaker
from tests.simulation.edges import SimulatedEdges, Sites
from tests.simulation.faults import Faults
from tests.simulation.machine import Machine
from tests.simulation.ports import PortSite
from tests.simulation.process import Process
from tests.simulation.scenario import Scenario
from tests.simulation.spool import MemoryDisk
from tests.simulation.world import World

DRAIN_S = 4 * 3600.0
LOOK_S = 60.0
DRAIN_LOOK_S = 15.0
RESTART_S = 5.0
"""What a supervisor waits before it starts a process again that ended by itself."""
END_S = 6.0
UP_S = 3_600.0
"""Since the machine's start, when all begins: its clock is trusted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    seed: int
    violation: str
    trace: str
    """The hash of all events."""
    events: list[str]
    """The last ones."""
    figures: dict[str, float]

    def report(self, scenario: Scenario) -> str:
        """Everything that helps to understand a violation."""
        return "\n".join(
            (
                f"seed {self.seed}: {self.violation}",
                f"{scenario}",
                *map(str, scenario.faults),
                *self.events,
            )
        )


def run(scenario: Scenario) -> Outcome:
    """Live through the scenario, in no time."""
    return virtual_time.run(_Day(scenario).live())


class _Day:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    async def live(self) -> Outcome:
        world = self._world = World(self._scenario.seed)
        self._build()
        with _listening(world):
            self._keeper = asyncio.create_task(self._keep_running())
            await _wait(world.ended, self._scenario.length_s)
            if not world.violation:
                await self._drain()
            await self._end()
        if not world.violation:
            self._inspector.close()
        return Outcome(
            world.seed,
            world.violation,
            world.trace.digest(),
            world.trace.lines(),
            self._inspector.figures(),
        )

    def _build(self) -> None:
        scenario, world = self._scenario, self._world
        influx = Influx(scenario.version)
        machine = self._machine = Machine(world, up_s=UP_S)
        book = Book(world, influx, machine)
        book.may_evict_old = scenario.max_age_s > 0
        disk = MemoryDisk(
            committed=book.committed,
            settled=book.settled,
            evicted=book.evicted,
            released=book.released,
            buried=book.buried,
        )
        self._sites = Sites(
            machine=machine,
            disk=disk,
            database=DatabaseSite(world, book, influx),
            brokers={
                name: BrokerSite(
                    world,
                    book,
                    name,
                    first_identifier=scenario.first_identifier,
                    leaky=scenario.leaky,
                )
                for name in scenario.brokers
            },
            ports={name: PortSite(world, book, name) for name in scenario.ports},
            disk_delay_s=scenario.disk_delay_s,
        )
        self._inspector = Inspector(world, book, self._sites, scenario)
        reachable: dict[str, BrokerSite | PortSite] = {**self._sites.brokers, **self._sites.ports}
        self._speakers = [
            Speaker(world, book, device, reachable[device.where]) for device in scenario.devices
        ]
        self._faults = Faults(world, self._sites, self, self._speakers, scenario)
        self._sites.database.poison()
        world.kill = self.kill
        self._restart_s = 0.0
        self._stopping = False
        self._runs = 0
        self._unwinding: list[asyncio.Task[None]] = []

    # What faults do to the process.

    def kill(self, why: str) -> None:
        """SIGKILL."""
        process = self._process
        if process.alive:
            self._world.note("gateway killed", why)
            self._inspector.count(process)
            process.revoke()
            process.died.set()

    def restart(self) -> None:
        """SIGTERM."""
        self._world.note("gateway stops")
        self._process.stop.set()

    def stay_down(self, seconds: float) -> None:
        """How long until the process is started again, once it is dead."""
        self._restart_s = seconds

    async def _keep_running(self) -> None:
        """Start the gateway again whenever it has ended."""
        while not self._stopping:
            process = self._process = Process(self._world, self._machine, self._runs)
            task = asyncio.create_task(self._gateway(process, self._runs))
            self._runs += 1
            task.add_done_callback(process.task_done)
            await process.died.wait()
            if not process.alive:
                task.cancel()
            self._unwinding.append(task)
            if process.alive:
                self._inspector.ended(process, task.exception())
                process.revoke()
            await asyncio.sleep(self._restart_s)
            self._restart_s = RESTART_S

    async def _gateway(self, process: Process, run: int) -> None:
        self._world.note("gateway starts", run)

        async def serve(gateway: app.Gateway) -> None:
            process.started(gateway)
            gateway.committer.on_commit.append(lambda: self._inspector.committed(process))
            while True:
                await asyncio.sleep(LOOK_S)
                self._inspector.look(process)
                self._inspector.ask_for_idleness(process, LOOK_S)

        edges = SimulatedEdges(self._world, self._sites, process)
        await app.run(self._scenario.config(run), process.stop, serve, edges)

    # The end.

    async def _drain(self) -> None:
        """All is well from now on: wait until everything is home."""
        world = self._world
        self._faults.make_well()
        started_s = world.now_s()
        await _wait(world.ended, DRAIN_LOOK_S)  # what is on the network arrives
        while not world.violation and (waiting := self._inspector.waiting(self._process)):
            await _wait(world.ended, DRAIN_LOOK_S)
            if world.now_s() > started_s + DRAIN_S:
                world.violate(f"waits for ever: {'; '.join(waiting)}")
        self._inspector.drained_s = world.now_s() - started_s

    async def _end(self) -> None:
        self._stopping = True
        self._process.stop.set()
        await _wait(self._process.died, END_S)
        if not self._process.died.is_set():
            self._world.violate(f"the gateway does not end within {END_S:g} s")
        self._keeper.cancel()
        for task in self._unwinding:
            task.cancel()
        await asyncio.wait([self._keeper, *self._unwinding])


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


class _Listener(logging.Handler):
    """What the gateway logs belongs to the record; a traceback is a violation."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.note("log", record.getMessage())
        if record.exc_info and record.exc_info[1]:
            self._world.violate(f"{record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def _listening(world: World) -> Iterator[None]:
    log, listener = logging.getLogger("gateway"), _Listener(world)
    level, propagate = log.level, log.propagate
    log.addHandler(listener)
    log.setLevel(logging.WARNING)
    log.propagate = False
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: world.violate(f"nobody caught {context.get('exception')!r}")
    )
    try:
        yield
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
        log.propagate = propagate
