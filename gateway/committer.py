"""Group commit: observations wait in memory for their transaction, messages for its success.

What arrives is gathered into groups, one transaction each: at once when a source is in a hurry
(half of the broker's window is unacknowledged), else `interval_s` after the group's first. While
one group is written the next one fills, so under load groups grow by themselves.

A message is acknowledged after the commit of its group, never before. A group that the disk
refuses is kept and tried again. Where memory or the spool is full `accepting` is cleared: sources
that can wait stay away, observations of the others are shed and counted, and as soon as there is
room again all goes on.

Limit: UNCOMMITTED_MAX bytes of packed observations in memory.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, Protocol, TypeVar

from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.ledger import Account, Ledger, Stage
from gateway.model import Group, Observation, Reason, Row, Store, TimeSource
from gateway.sinks.line_protocol import make_series
from gateway.times import is_since_boot

log = logging.getLogger(__name__)

UNCOMMITTED_MAX = 16 * 1024 * 1024

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Protocol):
    """Runs blocking functions in order, off the event loop."""

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Acknowledger(Protocol):
    """The connection that a message came by: acknowledgements belong to it and die with it."""

    def acknowledge(self, identifiers: Sequence[int]) -> None: ...


@dataclass(slots=True)
class _Pending(Generic[Row]):
    """A group, and what is to be done once it is on disk."""

    group: Group[Row] = field(default_factory=Group)
    size: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)
    """By the event loop's clock, which does not step."""
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
        self._own_account = ledger.account("gateway", "internal")
        self._pending: _Pending[Row] = _Pending()
        self._writing_size = 0
        self._arrived = asyncio.Event()
        self._due = asyncio.Event()
        self._stopping = False
        self.accepting = asyncio.Event()
        """Set while there is room; sources that can wait stay away while it is not."""
        self.accepting.set()
        self.problem = ""
        """What keeps observations from the disk, in words for the operator."""
        self.observers: list[Callable[[str, Observation], None]] = []
        """Called with (source, observation) for each one taken."""
        self.on_commit: list[Callable[[], None]] = []
        self.on_block: list[Callable[[str], None]] = []
        """Called with the problem when there is no room any more."""

    def add(self, account: Account, observations: Sequence[Observation]) -> None:
        """Take a source's observations into the next group, or shed them for want of room."""
        account.observations += len(observations)
        if not self.accepting.is_set():
            self._shed(account, observations)
            return
        pending = self._pending
        now_s = asyncio.get_running_loop().time()
        for observation in observations:
            row = self._store.pack(observation)
            is_held = is_since_boot(observation.received_at_ns)
            (pending.group.held if is_held else pending.group.rows).append(row)
            pending.size += self._store.size(row)
            pending.arrivals.append(now_s)
            for observe in self.observers:
                observe(account.source, observation)
        account.uncommitted += len(observations)
        pending.counts[account.source] = pending.counts.get(account.source, 0) + len(observations)
        self._arrived.set()
        if pending.size + self._writing_size > UNCOMMITTED_MAX:
            self._block("readings arrive faster than the disk takes them")

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
            if self.accepting.is_set():
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
        await self._commit(pending.group)
        self._writing_size = 0
        self._settle(pending)
        await self._look_for_room()

    async def _commit(self, group: Group[Row]) -> None:
        """Try until the group is on disk."""
        while True:
            try:
                if group.rows or group.held or group.pins or group.seen or group.forget:
                    await self._worker.call(self._store.commit, group)
            except StoreError as error:
                if self.problem != str(error):
                    log.warning("commits fail, trying again: %s", error)
                self.problem = str(error)
                await self._pause(self._backoff.next_s())
            else:
                self._backoff.reset()
                return

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
        for arrived_s in pending.arrivals:
            self._ledger.commit_latency.add(round((now_s - arrived_s) * 1e9))
        for source, count in pending.counts.items():
            account = self._ledger.accounts[source]
            account.uncommitted -= count
            account.spooled += count
        for connection, identifiers in pending.acknowledgements.items():
            connection.acknowledge(identifiers)
        for call in self.on_commit:
            call()

    def _add_units(self) -> None:
        """Publish the units of fields seen for the first time, as points like any other."""
        if not self.accepting.is_set():
            return  # each is published once: they wait for room
        fresh, self._catalogue.fresh_units = self._catalogue.fresh_units, []
        account = self._own_account
        for measurement, name, unit in fresh:
            series = make_series("units", {"measurement": measurement, "field": name})
            now_ns = self._clock()
            account.readings += 1
            account.quantities += 1
            account.fields += 1
            self.add(
                account, [Observation(series, {"unit": unit}, now_ns, now_ns, TimeSource.ARRIVAL)]
            )

    def _shed(self, account: Account, observations: Sequence[Observation]) -> None:
        for observation in observations:
            self._ledger.lose(
                account,
                Stage.SHED,
                Reason.SPOOL_FULL,
                observation.series.prefix,
                now_ns=observation.received_at_ns,
            )

    def _block(self, problem: str) -> None:
        if self.accepting.is_set():
            log.warning("no room: %s; sources that can wait stay away", problem)
            self.accepting.clear()
            for call in self.on_block:
                call(problem)
        self.problem = problem

    async def _look_for_room(self) -> None:
        """After each commit, and at every interval while there is none."""
        try:
            has_room = await self._worker.call(self._store.has_room)
        except StoreError as error:
            self._block(str(error))
            return
        if not has_room:
            self._block("the spool has reached its limit, or the disk is nearly full")
        elif self._pending.size <= UNCOMMITTED_MAX // 2:
            if not self.accepting.is_set():
                log.info("there is room again")
                self.accepting.set()
            self.problem = ""
