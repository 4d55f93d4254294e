"""What all parts of a simulated world share: time, chance, the record of events, the verdict.

Everything is a function of the seed: each consumer of chance has a generator of its own by name,
events at one instant happen in the order in which they were planned, and nothing is ordered by
hashes or addresses. The hash of all events says whether two runs were the same.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from simulators.seeds import generator

START_NS: Final = 1_800_000_000_000_000_000
SECOND_NS: Final = 1_000_000_000
EVENTS_KEPT: Final = 100


class Moment(StrEnum):
    """Instants at which a crash hurts most."""

    COMMITTING = "committing"  # the group is about to be on disk
    COMMITTED = "committed"  # it is, and nobody knows yet
    ACKNOWLEDGING = "acknowledging"  # the first of several acknowledgements is on its way
    STORED = "stored"  # InfluxDB has the lines, and has not said so
    SETTLED = "settled"  # rows are gone from the spool


class Trace:
    """The last events, and a hash of all."""

    def __init__(self) -> None:
        self.count = 0
        self._last: deque[tuple[object, ...]] = deque(maxlen=EVENTS_KEPT)
        self._hash = blake2b(digest_size=8)

    def add(self, *event: object) -> None:
        """Note what happened; the parts must look the same in every run."""
        self.count += 1
        self._last.append(event)
        self._hash.update(repr(event).encode())

    def digest(self) -> str:
        return self._hash.hexdigest()

    def lines(self) -> list[str]:
        return [f"{at_s:12.3f} s  {' '.join(map(str, rest))}" for at_s, *rest in self._last]


class World:
    """Time, chance, record and verdict."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.trace = Trace()
        self.violation = ""
        """The first thing that must not be, in words."""
        self.ended = asyncio.Event()
        """Set with the first violation: nothing that follows would be worth anything."""
        self.armed: Moment | None = None
        """The process is to be killed at the next such moment."""
        self.kill: Callable[[str], None]
        self._loop = asyncio.get_running_loop()

    def chance(self, *names: str) -> random.Random:
        """A generator of one's own."""
        return generator(self.seed, *names)

    def now_s(self) -> float:
        """Seconds since the beginning; never steps."""
        return self._loop.time()

    def elapsed_ns(self) -> int:
        return round(self._loop.time() * SECOND_NS)

    def true_ns(self) -> int:
        """The date, as everybody knows it but perhaps the gateway."""
        return START_NS + self.elapsed_ns()

    def later(self, delay_s: float, call: Callable[..., object], *args: object) -> None:
        self._loop.call_later(delay_s, call, *args)

    def note(self, *event: object) -> None:
        if not self.violation:
            self.trace.add(round(self._loop.time(), 6), *event)

    def violate(self, what: str) -> None:
        """Note that something happened which must not; the first such thing counts."""
        if not self.violation:
            self.note("VIOLATION", what)
            self.violation = f"at {self.now_s():.3f} s: {what}"
            self.ended.set()

    def moment(self, moment: Moment) -> None:
        """Pass an instant at which a crash may have been planned."""
        if self.armed is moment:
            self.armed = None
            self.kill(f"at the moment: {moment}")
