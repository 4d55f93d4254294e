"""Small stand-ins for the disk, the clock and a broker's connection, for tests of the flow."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ParamSpec, TypeVar

from gateway.admission import WhenFull
from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.committer import Committer
from gateway.errors import StoreError
from gateway.ledger import Ledger
from gateway.model import Group, Observation, Series, TimeSource, Totals

P = ParamSpec("P")
T = TypeVar("T")

NOON = 1_800_000_000_000_000_000


class Disk:
    """A `Store` in memory that can be full, fail, or be slow."""

    def __init__(self) -> None:
        self.groups: list[Group[Observation]] = []
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
        count = len(group.rows) + len(group.droppable)
        self.counts.spooled += count
        self.counts.pending += count

    def pressure(self) -> float:
        return self.fullness

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

    def __init__(self, *, interval_s: float = 1.0) -> None:
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
            clock=lambda: NOON,
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
