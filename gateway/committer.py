"""Group commit: observations wait in memory for their transaction, messages for its success.

What arrives is gathered into groups, one transaction each: at once when a source is in a hurry
(half of the broker's window is unacknowledged) or the group is large, else `interval_s` after the
group's first. While one group is written the next one fills, so under load groups grow by
themselves. A message is acknowledged after the commit of its group, never before. A group that the
disk refuses is kept and tried again.

Memory is shared fairly: what is not on disk yet takes at most the store's `group_bytes_max`, and
each source at most as much as it leaves free. So one that floods us gets half, the next one half of
the rest, and those that bring little never meet the bound. A source beyond its share pauses, or
where it cannot, its observations are shed and counted.

When the store is full each source does what its `WhenFull` says; when the disk is, those that can
wait stay away, and the others are shed. It all goes on by itself once there is room.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, ParamSpec, Protocol, TypeVar

from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.ledger import Account, Ledger, Stage
from gateway.model import Group, Observation, Reason, Room, Row, Store, TimeSource
from gateway.sinks.line_protocol import make_series

log = logging.getLogger(__name__)

HURRY_SHARE = 16
"""A group that fills this part of the memory allowed is committed at once."""

FULL = "the store has reached its limit (spool.max_bytes)"
DISK_FULL = "the disk is nearly full (spool.min_free)"

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Protocol):
    """Runs blocking functions in order, off the event loop."""

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Acknowledger(Protocol):
    """The connection that a message came by: acknowledgements belong to it and die with it."""

    def acknowledge(self, identifiers: Sequence[int]) -> None: ...


class WhenFull(StrEnum):
    """What a source does when the store has reached its limit."""

    BLOCK = "block"
    """Stay away, and let the broker keep what comes; whoever cannot wait is shed."""
    DROP_NEWEST = "drop_newest"
    """What it brings is shed."""
    DROP_OLDEST = "drop_oldest"
    """What it brings is taken, and the oldest of what such sources brought is evicted."""


class Valve(Protocol):
    """A source that can wait."""

    def pause(self) -> None:
        """Bring nothing for a moment, without going away."""

    def resume(self) -> None: ...

    def leave(self, why: str) -> None:
        """Go away, and do not come back before `Committer.ready`."""


@dataclass(slots=True, eq=False)
class Inlet:
    """One source's way in."""

    account: Account
    when_full: WhenFull = WhenFull.BLOCK
    valve: Valve | None = None
    """None: it cannot wait."""
    size: int = 0
    """Bytes of its observations that are not on disk yet."""
    paused: bool = False


@dataclass(slots=True)
class _Share:
    """What one source has in a group."""

    size: int = 0
    arrivals: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Pending(Generic[Row]):
    """A group, and what is to be done once it is on disk."""

    group: Group[Row] = field(default_factory=Group)
    size: int = 0
    shares: dict[Inlet, _Share] = field(default_factory=dict)
    acknowledgements: dict[Acknowledger, list[int]] = field(default_factory=dict)


class Committer(Generic[Row]):
    """Takes observations and messages on the event loop; `run` brings them to the disk."""

    def __init__(
        self,
        store: Store[Row],
        worker: Worker,
        ledger: Ledger,
        catalogue: Catalogue,
        *,
        interval_s: float,
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self._store = store
        self._worker = worker
        self._ledger = ledger
        self._catalogue = catalogue
        self._interval_s = interval_s
        self._backoff = backoff
        self._clock = clock
        self._own = Inlet(ledger.account("gateway", "internal"))
        self._inlets = [self._own]
        self._pending: _Pending[Row] = _Pending()
        self._writing_size = 0
        self._arrived = asyncio.Event()
        self._due = asyncio.Event()
        self._changed = asyncio.Event()
        """Set when a group is on disk or there is room again, and replaced by a new one."""
        self._stopping = False
        self.room = Room.FREE
        self.problem = ""
        """What keeps observations from the disk, in words for the operator."""
        self.observers: list[Callable[[str, Observation], None]] = []
        """Called with (source, observation) for each one taken."""
        self.on_commit: list[Callable[[], None]] = []

    def inlet(self, account: Account, when_full: WhenFull, valve: Valve | None = None) -> Inlet:
        """A new source's way in."""
        made = Inlet(account, when_full, valve)
        self._inlets.append(made)
        return made

    def add(self, inlet: Inlet, observations: Sequence[Observation]) -> None:
        """Take a source's observations into the next group, or shed them for want of room."""
        account = inlet.account
        account.observations += len(observations)
        if refusal := self._refusal(inlet):
            self._shed(account, observations, refusal)
            return
        pending, pack, size = self._pending, self._store.pack, 0
        drop = inlet.when_full is WhenFull.DROP_OLDEST
        rows = pending.group.droppable if drop else pending.group.rows
        share = pending.shares.get(inlet)
        if share is None:
            share = pending.shares[inlet] = _Share()
        for observation in observations:
            row = pack(observation)
            rows.append(row)
            size += self._store.size(row)
            share.arrivals.append(observation.received_at_ns)
            for observe in self.observers:
                observe(account.source, observation)
        account.uncommitted += len(observations)
        share.size += size
        pending.size += size
        inlet.size += size
        self._arrived.set()
        if HURRY_SHARE * pending.size > self._store.group_bytes_max:
            self.hurry()
        if inlet.valve is not None and not inlet.paused and self._is_beyond_its_share(inlet):
            inlet.paused = True
            inlet.valve.pause()

    def blocks(self, inlet: Inlet) -> bool:
        """Whether the source is to stay away."""
        if inlet.valve is None or self.room is Room.FREE:
            return False
        return self.room is Room.DISK or inlet.when_full is WhenFull.BLOCK

    async def ready(self, inlet: Inlet) -> None:
        """Wait until all that the source brought is on disk, and it may come again."""
        while inlet.size or self.blocks(inlet):
            self.hurry()
            await self._changed.wait()

    def acknowledge_later(self, connection: Acknowledger, identifier: int) -> None:
        """Acknowledge a message once the present group is on disk."""
        self._pending.acknowledgements.setdefault(connection, []).append(identifier)
        self._arrived.set()

    def abandon(self, connection: Acknowledger) -> None:
        """The connection has ended, and its acknowledgements with it: do not gather them."""
        self._pending.acknowledgements.pop(connection, None)

    def remember(self, session: str, identifier: int, digest: bytes) -> None:
        """Keep a message's identity with the present group, to know it when it is redelivered."""
        self._pending.group.seen.setdefault(session, []).append((identifier, digest))

    def forget(self, session: str) -> None:
        """The broker knows nothing of the session any more: nor do we, from this group on."""
        self._pending.group.seen.pop(session, None)
        self._pending.group.forget.add(session)
        self._arrived.set()

    def hurry(self) -> None:
        """Commit now instead of at the end of the interval."""
        self._due.set()

    def stop(self) -> None:
        """Commit what is there, then let `run` return."""
        self._stopping = True
        self._arrived.set()
        self._due.set()

    async def run(self) -> None:
        """Commit group after group until `stop`, then what is left.

        To be cancelled only where the disk takes nothing any more: no group is ever skipped, since
        a later one may acknowledge what an earlier one holds.
        """
        while not self._stopping:
            if self.room is Room.FREE:
                await self._arrived.wait()
            await self._wait_until_due()
            await self._commit_pending()
        await self._commit_pending()

    async def _wait_until_due(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()

    async def _commit_pending(self) -> None:
        self._add_units()
        self._arrived.clear()
        pending, self._pending = self._pending, _Pending()
        pending.group.pins, self._catalogue.fresh_pins = self._catalogue.fresh_pins, []
        self._writing_size = pending.size
        room, problem = await self._commit(pending.group)
        self._writing_size = 0
        self._settle(pending)
        self._set_room(room, problem)
        self._announce()

    async def _commit(self, group: Group[Row]) -> tuple[Room, str]:
        """Try until the group is on disk; returns whether there is room for the next one."""
        while True:
            try:
                found = await self._worker.call(self._write, group)
            except StoreError as error:
                if self.problem != str(error):
                    log.warning("commits fail, trying again: %s", error)
                self.problem = str(error)
                await self._pause(self._backoff.next_s())
            else:
                self._backoff.reset()
                return found

    def _write(self, group: Group[Row]) -> tuple[Room, str]:
        """In the store's thread. Once the group is on disk this does not fail any more."""
        if group.rows or group.droppable or group.pins or group.seen or group.forget:
            self._store.commit(group)
        try:
            room = self._store.room()
        except StoreError as error:
            return Room.DISK, str(error)
        return room, {Room.FREE: "", Room.LIMIT: FULL, Room.DISK: DISK_FULL}[room]

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not through `stop`."""
        was_stopping = self._stopping
        try:
            async with asyncio.timeout(seconds):
                while self._stopping == was_stopping:
                    self._due.clear()
                    await self._due.wait()
        except TimeoutError:
            pass

    def _settle(self, pending: _Pending[Row]) -> None:
        """The group is on disk: the counts move, the messages are acknowledged."""
        now_ns = self._clock()
        for inlet, share in pending.shares.items():
            account, count = inlet.account, len(share.arrivals)
            for received_at_ns in share.arrivals:
                account.commit_latency.add(now_ns - received_at_ns)
            account.uncommitted -= count
            account.spooled += count
            inlet.size -= share.size
        for connection, identifiers in pending.acknowledgements.items():
            connection.acknowledge(identifiers)
        for call in self.on_commit:
            call()

    def _add_units(self) -> None:
        """Publish the units of fields seen for the first time, as points like any other."""
        if self.room is not Room.FREE:
            return  # each is published once: they wait for room
        fresh, self._catalogue.fresh_units = self._catalogue.fresh_units, []
        account = self._own.account
        for measurement, name, unit in fresh:
            series = make_series("units", {"measurement": measurement, "field": name})
            now_ns = self._clock()
            account.readings += 1
            account.quantities += 1
            account.fields += 1
            self.add(
                self._own, [Observation(series, {"unit": unit}, now_ns, now_ns, TimeSource.ARRIVAL)]
            )

    def _refusal(self, inlet: Inlet) -> Reason | None:
        """Why the source's observations cannot be taken now, if they cannot."""
        if self.room is not Room.FREE and (
            self.room is Room.DISK or inlet.when_full is not WhenFull.DROP_OLDEST
        ):
            return Reason.SPOOL_FULL
        if inlet.valve is None and self._is_beyond_its_share(inlet):
            return Reason.DISK_SLOW
        return None

    def _is_beyond_its_share(self, inlet: Inlet) -> bool:
        free = self._store.group_bytes_max - self._pending.size - self._writing_size
        return inlet.size > free

    def _shed(self, account: Account, observations: Sequence[Observation], why: Reason) -> None:
        for observation in observations:
            self._ledger.lose(
                account,
                Stage.SHED,
                why,
                observation.series.prefix,
                now_ns=observation.received_at_ns,
            )

    def _set_room(self, room: Room, problem: str) -> None:
        was, self.room, self.problem = self.room, room, problem
        if was is Room.FREE and room is not Room.FREE:
            log.warning("no room: %s; sources that can wait stay away", problem)
        elif room is Room.FREE and was is not Room.FREE:
            log.info("there is room again")
        for inlet in self._inlets:
            if inlet.valve is not None and self.blocks(inlet):
                inlet.valve.leave(problem)

    def _announce(self) -> None:
        """What waits for the disk or for room may look again."""
        for inlet in self._inlets:
            if inlet.valve is not None and inlet.paused and not self._is_beyond_its_share(inlet):
                inlet.paused = False
                inlet.valve.resume()
        self._changed.set()
        self._changed = asyncio.Event()
