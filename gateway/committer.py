"""Group commit: observations wait in memory for their transaction, messages for its success.

What arrives is gathered into groups, one transaction each: at once when a source is in a hurry
(half of the broker's window is unacknowledged) or the group is large, else `interval_s` after the
group's first. While one group is written the next one fills, so under load groups grow by
themselves. A message is acknowledged after the commit of its group, never before. A group that the
disk refuses is kept and tried again.

Who may bring how much, and what happens without room, is decided in `admission.py`.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, Protocol, TypeVar

from gateway.admission import Admission, Inlet, WhenFull
from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.ledger import Account, Ledger, Stage
from gateway.model import Group, Observation, Reason, Row, Store, TimeSource
from gateway.sinks.line_protocol import make_series
from gateway.times import is_since_boot

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


@dataclass(slots=True)
class _Share:
    """What one source has in a group."""

    size: int = 0
    arrivals: list[float] = field(default_factory=list)
    """By the event loop's clock, which does not step."""


@dataclass(slots=True)
class _Pending(Generic[Row]):
    """A group, and what is to be done once it is on disk."""

    group: Group[Row] = field(default_factory=Group)
    size: int = 0
    shares: dict[Inlet, _Share] = field(default_factory=dict)
    acknowledgements: dict[Acknowledger, list[int]] = field(default_factory=dict)
    afterwards: list[Callable[[], None]] = field(default_factory=list)


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
        self.admission = Admission(store.group_bytes_max)
        self._own = self.admission.inlet(ledger.account("gateway", "internal"), WhenFull.BLOCK)
        self._pending: _Pending[Row] = _Pending()
        self._arrived = asyncio.Event()
        self._due = asyncio.Event()
        self._changed = asyncio.Event()
        """Set when a group is on disk or there is room again, and replaced by a new one."""
        self._stopping = False
        self.problem = ""
        """What keeps observations from the disk, in words for the operator."""
        self.observers: list[Callable[[str, Observation], None]] = []
        """Called with (source, observation) for each one taken."""
        self.on_commit: list[Callable[[], None]] = []
        self.on_shed: list[Callable[[Observation], None]] = []
        """Called with each observation that was not taken."""

    def add(self, inlet: Inlet, observations: Sequence[Observation]) -> None:
        """Take a source's observations into the next group, or shed them for want of room."""
        account = inlet.account
        account.observations += len(observations)
        if refusal := self.admission.refusal(inlet):
            self._shed(account, observations, refusal)
            return
        pending, pack, size = self._pending, self._store.pack, 0
        group = pending.group
        rows, held = group.rows, group.held
        if inlet.when_full is WhenFull.DROP_OLDEST:
            rows, held = group.droppable, group.held_droppable
        share = pending.shares.get(inlet)
        if share is None:
            share = pending.shares[inlet] = _Share()
        now_s = asyncio.get_running_loop().time()
        for observation in observations:
            row = pack(observation)
            (held if is_since_boot(observation.received_at_ns) else rows).append(row)
            size += self._store.size(row)
            share.arrivals.append(now_s)
            for observe in self.observers:
                observe(account.source, observation)
        account.uncommitted += len(observations)
        share.size += size
        pending.size += size
        self._arrived.set()
        if HURRY_SHARE * pending.size > self._store.group_bytes_max:
            self.hurry()
        self.admission.take(inlet, size)

    async def ready(self, inlet: Inlet) -> None:
        """Wait until all that the source brought is on disk, and it may come again."""
        while inlet.size or self.admission.blocks(inlet):
            if inlet.size:  # for room there is nothing to hurry
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

    def forget(self, session: str, then: Callable[[], None]) -> None:
        """The broker knows nothing of the session any more: nor do we, from this group on.

        `then` is called when that is on disk, which is as soon as can be.
        """
        self._pending.group.seen.pop(session, None)
        self._pending.group.forget.add(session)
        self._pending.afterwards.append(then)
        self._arrived.set()
        self.hurry()

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
            if self.admission.has_room:
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
        pressure, problem = await self._commit(pending.group)
        self._settle(pending)
        self.problem = self.admission.yield_to(pressure, problem)
        self._announce()

    async def _commit(self, group: Group[Row]) -> tuple[float, str]:
        """Try until the group is on disk; returns how full the store is, in words as well."""
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

    def _write(self, group: Group[Row]) -> tuple[float, str]:
        """In the store's thread. Once the group is on disk this does not fail any more."""
        if not group.is_empty():
            self._store.commit(group)
        try:
            pressure = self._store.pressure()
        except StoreError as error:
            return math.inf, str(error)
        return pressure, DISK_FULL if pressure == math.inf else FULL

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
        now_s = asyncio.get_running_loop().time()
        for inlet, share in pending.shares.items():
            account, count = inlet.account, len(share.arrivals)
            for arrived_s in share.arrivals:
                account.commit_latency.add(round((now_s - arrived_s) * 1e9))
            account.uncommitted -= count
            account.spooled += count
            self.admission.give_back(inlet, share.size)
        for connection, identifiers in pending.acknowledgements.items():
            connection.acknowledge(identifiers)
        for call in (*pending.afterwards, *self.on_commit):
            call()

    def _add_units(self) -> None:
        """Publish the units of fields seen for the first time, as points like any other."""
        if not self.admission.has_room:
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

    def _shed(self, account: Account, observations: Sequence[Observation], why: Reason) -> None:
        for observation in observations:
            self._ledger.lose(
                account,
                Stage.SHED,
                why,
                observation.series.prefix,
                now_ns=observation.received_at_ns,
            )
            for call in self.on_shed:
                call(observation)

    def _announce(self) -> None:
        """What waits for the disk or for room may look again."""
        self._changed.set()
        self._changed = asyncio.Event()
