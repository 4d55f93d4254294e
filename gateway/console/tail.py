"""Observations as they come, for whoever follows them: lines of JSON.

Strategy: a follower is an observer of the committer with a queue of its own, and exists only while
somebody reads: on the hot path it costs one append. What is read is turned into text afterwards,
in batches with a pause between them, so that following a busy gateway costs it little.

Limits: FOLLOWERS_MAX followers; QUEUE_MAX observations in a queue, from which the oldest go first;
BATCH_MAX observations every PAUSE_S to each. The reader is told how many it missed.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypedDict, final

from gateway.console.status import Units, iso_time
from gateway.model import FieldValue, Observation

FOLLOWERS_MAX = 16
QUEUE_MAX = 1_000
BATCH_MAX = 500
PAUSE_S = 0.1

Observer = Callable[[str, Observation], None]


@final
class Observed(TypedDict):
    """One observation."""

    source: str
    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    units: dict[str, str]
    """The UCUM code of each field that has one."""
    time: str | None
    time_source: str
    """"device" or "arrival": who says so."""


@final
class Missed(TypedDict):
    """Observations that came too fast for this reader."""

    missed: int


class Follower:
    """One reader's queue."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, Observation]] = deque(maxlen=QUEUE_MAX)
        self._missed = 0
        self._arrived = asyncio.Event()

    def take(self, source: str, observation: Observation) -> None:
        """Queue an observation; where there is no room the oldest makes some."""
        if len(self._queue) == QUEUE_MAX:
            self._missed += 1
        self._queue.append((source, observation))
        self._arrived.set()

    async def read(self, units: Units) -> bytes:
        """The next lines, at least one: what was missed, then what came after it."""
        await self._arrived.wait()
        entries: list[Observed | Missed] = []
        if self._missed:
            entries.append({"missed": self._missed})
            self._missed = 0
        size = min(len(self._queue), BATCH_MAX)
        entries += [observed(*self._queue.popleft(), units) for _ in range(size)]
        if not self._queue:
            self._arrived.clear()
        return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


@contextmanager
def following(observers: list[Observer]) -> Iterator[Follower]:
    """A follower among the committer's observers."""
    follower = Follower()
    observers.append(follower.take)
    try:
        yield follower
    finally:
        observers.remove(follower.take)


def observed(source: str, observation: Observation, units: Units) -> Observed:
    """The observation as plain data."""
    measurement, tags, _ = observation.series
    known = {name: units.get((measurement, name), "") for name in observation.fields}
    return {
        "source": source,
        "measurement": measurement,
        "tags": dict(tags),
        "fields": dict(observation.fields),
        "units": {name: unit for name, unit in known.items() if unit},
        "time": iso_time(observation.time_ns),
        "time_source": observation.time_source,
    }
