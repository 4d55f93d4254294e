"""Small stand-ins for the disk, the clock and a broker's connection, for tests of the flow."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ParamSpec, TypeVar

from gateway.admission import WhenFull
from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.clock import Clock, SystemClock
from gateway.committer import Committer
from gateway.errors import StoreError
from gateway.ledger import Ledger
from gateway.model import Group, Observation, Series, TimeSource, Totals

P = ParamSpec("P")
T = TypeVar("T")

NOON = 1_800_000_000_000_000_000


@dataclass
class Machine:
    """A `ClockSource` whose time moves when the test says so."""

    time_ns: int = NOON
    up_ns: int = 42 * 10**9
    synchronized: bool = True
    boot: str = "first boot"
    looks: int = 0

    def time_of_day_ns(self) -> int:
        return self.time_ns

    def since_boot_ns(self) -> int:
        return self.up_ns

    def is_synchronized(self) -> bool:
        self.looks += 1
        return self.synchronized

    def advance(self, seconds: float) -> None:
        self.time_ns += round(seconds * 1e9)
        self.up_ns += round(seconds * 1e9)

    def step(self, seconds: float) -> None:
        """Somebody sets the time of day."""
        self.time_ns += round(seconds * 1e9)

    def clock(self, *, trust: bool = False, wait_s: float = 600.0) -> SystemClock:
        """A clock of this machine, set up."""
        made = SystemClock(self)
        made.set_up(trust=trust, wait_s=wait_s)
        return made


class Disk:
    """A `Store` in memory that can be full, fail, or be slow."""

    def __init__(self) -> None:
        self.groups: list[Group[Observation]] = []
        self.waiting: list[Observation] = []
        """Held, and not released yet."""
        self.failures = 0
        """So many commits fail from now on."""
        self.fullness = -1.0
        self.counts = Totals()
        self.group_bytes_max = 1_600_000

    def pack(self, observation: Observation) -> Observation:
        return observation

    def size(self, row: Observation) -> int:
        return 100

    def commit(self, group: Group[Observation]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        self.groups.append(group)
        self.waiting += [*group.held, *group.held_droppable]
        count = len(group.rows) + len(group.droppable)
        count += len(group.held) + len(group.held_droppable)
        self.counts.spooled += count
        self.counts.pending += count

    def pressure(self) -> float:
        return self.fullness

    def held(self) -> int:
        return len(self.waiting)

    def release(self, offset_ns: int) -> None:
        """One at a time."""
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        if self.waiting:
            waited = self.waiting.pop(0)
            time_ns = waited.time_ns + offset_ns
            self.groups.append(Group(rows=[waited._replace(time_ns=time_ns)]))

    def totals(self) -> Totals:
        return self.counts

    def rows(self) -> list[Observation]:
        return [row for group in self.groups for row in (*group.rows, *group.droppable)]


class Inline:
    """A worker that works at once; while `gate` is clear its calls wait."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self.gate.wait()
        return fn(*args, **kwargs)


@dataclass(eq=False)
class Wire:
    """A connection to a broker, as the intake sees it."""

    session_present: bool = True
    unacknowledged_messages: int = 0
    problems: list[str] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    paused: bool = False
    subscribed: bool = False

    def subscribe(self) -> None:
        self.subscribed = True

    def acknowledge(self, identifiers: Sequence[int]) -> None:
        self.acknowledged += identifiers

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def leave(self, why: str) -> None:
        self.left.append(why)


class Rig:
    """A committer with everything around it."""

    def __init__(self, *, interval_s: float = 1.0, clock: Clock | None = None) -> None:
        self.disk = Disk()
        self.worker = Inline()
        self.ledger = Ledger()
        self.catalogue = Catalogue([])
        self.committer = Committer(
            self.disk,
            self.worker,
            self.ledger,
            self.catalogue,
            interval_s=interval_s,
            backoff=Backoff(0.0, 0.0, Random(1)),
            clock=clock or (lambda: NOON),
        )
        self.account = self.ledger.account("mast", "serial")
        self.inlet = self.committer.admission.inlet(self.account, WhenFull.DROP_NEWEST)

    def balanced(self) -> bool:
        return self.ledger.balanced(self.disk.totals())


def observation(number: int) -> Observation:
    """One of a series, told apart by its time."""
    series = Series("sensor", (("device", "a"),), "sensor,device=a")
    return Observation(series, {"temperature": 1.0}, NOON + number, NOON, TimeSource.ARRIVAL)


async def turns(count: int = 20) -> None:
    """Let the tasks of the loop go on until all wait for something else than each other."""
    for _ in range(count):
        await asyncio.sleep(0)
