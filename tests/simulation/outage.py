"""InfluxDB away for hours at 10 readings/s: the disk stays in its bound, all of it comes home.

A million readings are too many for a book that keeps each of them: here the number of a reading
says what it must be, and two bits what has become of it.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway import app
from gateway.model import DeadLetter, Group
from simulators import virtual_time
from simulators.influxdb import Influx
from tests.load import table
from tests.simulation.book import Book, Reading
from tests.simulation.brokers import BrokerSite, Published
from tests.simulation.database import DatabaseSite, Trouble
from tests.simulation.edges import SimulatedEdges, Sites
from tests.simulation.machine import Machine
from tests.simulation.process import Process
from tests.simulation.scenario import MIB, Scenario
from tests.simulation.spool import MemoryDisk
from tests.simulation.world import SECOND_NS, World

DEVICES = 10
BEFORE_S = 60.0
UP_S = 3_600.0
LOOK_S = 1.0
COMMITTED_WITHIN_NS = 2 * SECOND_NS


class Tally(Book):
    """Judges by number; the point of a reading that is home is forgotten."""

    def __init__(self, world: World, influx: Influx, machine: Machine) -> None:
        super().__init__(world, influx, machine)
        self.on_disk: set[int] = set()
        self._ever_on_disk = bytearray(8 * MIB)
        """By number: 1 where it was committed."""
        self.home = 0
        self._world, self._influx = world, influx

    def arrived(self, reading: Reading, now_ns: int) -> None:
        """Its time is judged when it is committed."""

    def committed(self, group: Group[bytes]) -> None:
        for line in group.rows:
            number = _number(line)
            if not number:
                continue
            late_ns = self._world.true_ns() - int(line.rsplit(b" ", 1)[1])
            if self._ever_on_disk[number] or not 0 <= late_ns < COMMITTED_WITHIN_NS:
                self._world.violate(f"committed twice, or under a wrong time: {line!r}")
            self.on_disk.add(number)
            self._ever_on_disk[number] = 1

    def acknowledged_to_broker(self, reading: Reading) -> None:
        self.acknowledged += 1
        if not self._ever_on_disk[reading.number]:
            self._world.violate(f"acknowledged and not on disk: {reading}")

    def sent(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            if _number(line) not in self.on_disk and _number(line):
                self._world.violate(f"sent and not on disk: {line!r}")

    def settled(self, lines: Sequence[bytes], dead: Sequence[DeadLetter]) -> None:
        for line in lines:
            series, fields, stamp = line.decode().split(" ")
            stored = self._influx.points.pop((series, int(stamp)), None)
            number = _number(line)
            if number and stored == {"number": float(number)}:
                self.on_disk.remove(number)
                self.home += 1
            elif number:
                self._world.violate(f"leaves the spool and is not in InfluxDB: {fields} {stored}")


def _number(line: bytes) -> int:
    """The reading's number, which also says which device it is of; 0: a unit."""
    prefix, fields, _ = line.split(b" ")
    number = int(float(fields.removeprefix(b"number="))) if prefix.startswith(b"sensor") else 0
    if number and prefix != _series(number).encode():
        return -1
    return number


def _series(number: int) -> str:
    return f"sensor,device=d{number % DEVICES}"


@dataclass
class Figures:
    """What was seen."""

    violation: str = ""
    readings: int = 0
    home: int = 0
    pending_most: int = 0
    disk_most: int = 0
    disk_bound: int = 0
    drained_s: float = 0.0


def run(seconds: float, max_bytes: int = 256 * MIB) -> Figures:
    """Live through an outage of this length."""
    return virtual_time.run(_live(seconds, max_bytes))


def report(seconds: float) -> tuple[bool, list[str]]:
    """Whether all came home, and the figures."""
    started_s = time.monotonic()
    found = run(seconds)
    rows = {
        "InfluxDB away for": f"{seconds / 3600:g} h, at {DEVICES} readings/s",
        "readings acknowledged, and in InfluxDB": f"{found.readings}, {found.home}",
        "lines that waited, at most": f"{found.pending_most}",
        "bytes on disk, at most, of": f"{found.disk_most} of {found.disk_bound}",
        "all drained after": f"{found.drained_s:.1f} s of simulated time",
        "real time": f"{time.monotonic() - started_s:.0f} s",
    }
    return not found.violation, table(rows) + [found.violation] * bool(found.violation)


async def _live(seconds: float, max_bytes: int) -> Figures:
    world = World(0)
    influx = Influx(2)
    machine = Machine(world, up_s=UP_S)
    book = Tally(world, influx, machine)
    disk = MemoryDisk(committed=book.committed, settled=book.settled)
    site = BrokerSite(world, book, "barn", first_identifier=0)
    sites = Sites(machine, disk, DatabaseSite(world, book, influx), {"barn": site}, {})
    process = Process(world, machine, 0)
    found = Figures(disk_bound=max_bytes)

    async def watch(gateway: app.Gateway) -> None:
        def look() -> None:
            found.pending_most = max(found.pending_most, disk.totals.pending)
            found.disk_most = max(found.disk_most, disk.used)
            for imbalance in gateway.imbalances():
                world.violate(imbalance)

        gateway.committer.on_commit.append(look)
        await asyncio.Event().wait()

    edges = SimulatedEdges(world, sites, process)
    config = _scenario(max_bytes).config(0)
    gateway = asyncio.create_task(app.run(config, process.stop, watch, edges))
    await asyncio.sleep(1.0)
    await _speak(world, site, book, BEFORE_S)
    sites.database.trouble = Trouble.AWAY
    await _speak(world, site, book, seconds)
    sites.database.trouble = Trouble.NONE
    back_s = world.now_s()
    await _drained(disk, site, back_s + seconds)
    found.drained_s = world.now_s() - back_s
    process.stop.set()
    await gateway
    if book.home != book.readings or disk.used > max_bytes:
        world.violate(f"{book.home} of {book.readings} readings are home, {disk.used} bytes kept")
    found.readings, found.home, found.violation = book.readings, book.home, world.violation
    return found


async def _drained(disk: MemoryDisk, site: BrokerSite, latest_s: float) -> None:
    loop = asyncio.get_running_loop()
    for when_s in itertools.count(loop.time(), LOOK_S):
        await asyncio.sleep(when_s - loop.time())
        if when_s > latest_s or not (disk.totals.pending or site.waiting()):
            return


async def _speak(world: World, site: BrokerSite, book: Book, seconds: float) -> None:
    """Every device says something every second."""
    end_s = world.now_s() + seconds
    while world.now_s() < end_s and not world.violation:
        for _ in range(DEVICES):
            book.readings += 1
            number = book.readings
            reading = Reading(number, site.name, _series(number), "")
            topic = f"value/d{number % DEVICES}/number"
            site.publish(Published(topic, b"%d" % number, reading))
        await asyncio.sleep(1.0)


def _scenario(max_bytes: int) -> Scenario:
    """The defaults, but for smaller requests: each attempt compresses one anew."""
    return Scenario(
        seed=0,
        length_s=0.0,
        version=2,
        commit_interval_s=1.0,
        flush_interval_s=1.0,
        batch_bytes=100_000,
        max_bytes=max_bytes,
        protocol="5",
        max_unacknowledged=5_000,
        when_full=("block", "drop_newest"),
        max_age_s=0.0,
        clock_wait_s=60.0,
        drain="oldest_first",
        disk_delay_s=0.005,
        first_identifier=0,
        leaky=False,
        autosave_s=0.0,
        brokers=("barn",),
        ports=(),
        devices=(),
    )
